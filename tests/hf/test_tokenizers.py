"""The bytes of tokens are those that the tokenizer means."""

from __future__ import annotations

from typing import Any

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from decoding.tokenizers import vocabulary_from
from decoding.tokenizers.hugging_face import byte_level
from grammars import Vocabulary, VocabularyError

TEXTS = [
    "the quick brown fox",
    "red, green and blue",
    "the answer is 42",
    '{"name": "Zoë"}',
    "hello world",
    "数学者 and 🙂",
]


def trained(kind: str) -> PreTrainedTokenizerFast:
    """A small tokenizer of each kind, trained on the spot."""
    tokenizer, trainer = KINDS[kind]()
    tokenizer.train_from_iterator(TEXTS * 50, trainer)
    tokenizer.add_special_tokens([AddedToken("<end>", special=True)])
    tokenizer.add_tokens(["<tool>"])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>")


def byte_level_bpe() -> tuple[Any, Any]:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    return tokenizer, trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)


def metaspace_bpe() -> tuple[Any, Any]:
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    specials = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256))]
    return tokenizer, trainers.BpeTrainer(vocab_size=420, special_tokens=specials, show_progress=False)


def unigram() -> tuple[Any, Any]:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer, trainers.UnigramTrainer(
        vocab_size=60, unk_token="<unk>", special_tokens=["<unk>"], show_progress=False
    )


def word_piece() -> tuple[Any, Any]:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer, trainers.WordPieceTrainer(vocab_size=200, special_tokens=["[UNK]"], show_progress=False)


KINDS = {"byte level": byte_level_bpe, "byte fallback": metaspace_bpe, "unigram": unigram, "word piece": word_piece}


@pytest.mark.parametrize("kind", KINDS)
def test_texts_come_back_from_the_bytes_of_their_tokens(kind: str) -> None:
    tokenizer = trained(kind)
    vocabulary = vocabulary_from(tokenizer)
    for text in TEXTS[:3] if kind == "word piece" else TEXTS:
        ids = tokenizer(text, add_special_tokens=False).input_ids
        data = b"".join(vocabulary.tokens[i] for i in ids)
        assert data.removeprefix(b" ") == text.encode(), (kind, text)


@pytest.mark.parametrize("kind", KINDS)
def test_special_tokens_are_special_and_added_ones_are_text(kind: str) -> None:
    tokenizer = trained(kind)
    vocabulary = vocabulary_from(tokenizer)
    end, tool = (tokenizer.convert_tokens_to_ids(piece) for piece in ("<end>", "<tool>"))
    assert vocabulary.eos == (end,)
    assert tool not in vocabulary.special
    assert vocabulary.tokens[tool] == b"<tool>"
    if kind != "byte level":
        unknown = tokenizer.convert_tokens_to_ids("[UNK]" if kind == "word piece" else "<unk>")
        assert unknown in vocabulary.special


def test_a_tokenizer_read_by_the_wrong_rules_is_refused() -> None:
    """Byte-level pieces with a decoder for Metaspace, as a broken configuration gives them."""
    tokenizer = trained("byte level")
    tokenizer.backend_tokenizer.decoder = decoders.Metaspace()
    with pytest.raises(VocabularyError, match="comes back as"):
        vocabulary_from(tokenizer)


def test_every_byte_has_a_letter() -> None:
    letters = {byte_level(letter) for letter in pre_tokenizers.ByteLevel.alphabet()}
    assert letters == {bytes([byte]) for byte in range(256)}


def test_ends_and_sizes_may_be_given() -> None:
    tokenizer = trained("byte level")
    plain = vocabulary_from(tokenizer)
    wider = vocabulary_from(tokenizer, eos=[3, plain.eos[0]], size=plain.size + 5)
    assert wider.eos == (3, plain.eos[0])
    assert wider.size == plain.size + 5
    assert set(range(plain.size, wider.size)) <= wider.special


def test_tiktoken_and_ready_vocabularies_are_taken() -> None:
    tiktoken = pytest.importorskip("tiktoken")
    ranks = {bytes([byte]): byte for byte in range(256)} | {b"ab": 256}
    encoding = tiktoken.Encoding("t", pat_str=r"[a-z]+|.", mergeable_ranks=ranks, special_tokens={"<|endoftext|>": 257})
    vocabulary = vocabulary_from(encoding)
    assert vocabulary.tokens[256] == b"ab"
    assert vocabulary.eos == (257,)

    class Model:
        vocabulary = Vocabulary([b"a", b"<end>"], eos=[1])

    assert vocabulary_from(Model()) is Model.vocabulary


def test_what_is_no_tokenizer_is_refused() -> None:
    with pytest.raises(VocabularyError, match="dict is no tokenizer"):
        vocabulary_from({})
    tokenizer = trained("byte level")
    tokenizer.eos_token = None
    with pytest.raises(VocabularyError, match="ends a text"):
        vocabulary_from(tokenizer)
