"""The bytes of a model's tokens: a `Vocabulary` from whatever tokenizer the model comes with.

A mask is about bytes, so the bytes of every token must be known exactly. They are read from the tokenizer's own
tables, never from `decode([id])`: decoding a single token loses what only its neighbours complete (half a character)
and adds or drops blanks.

| tokenizer | bytes of a token |
|---|---|
| Hugging Face, byte-level BPE (GPT-2, Llama 3, Qwen) | each letter stands for a byte |
| Hugging Face or SentencePiece, BPE or Unigram (Llama 2, T5) | `▁` is a blank, `<0x0A>` a byte, the rest UTF-8 |
| Hugging Face, WordPiece (BERT) | `##x` goes on with a word, all others begin with a blank |
| tiktoken, mistral-common (tekken) | given by the library |

Then some texts are encoded and their tokens' bytes put together again: a tokenizer whose tables contradict what it
does is refused with a `VocabularyError` that shows the text.

>>> from decoding.embedded import hf_directory
>>> from transformers import PreTrainedTokenizerFast
>>> tokenizer = PreTrainedTokenizerFast.from_pretrained(hf_directory())
>>> vocabulary_from(tokenizer).tokens[300:303]
(b'User', b' is', b'SO')
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from decoding.tokenizers import hugging_face, mistral, sentence_piece, tiktoken
from decoding.tokenizers.pieces import Pieces
from decoding.tokenizers.verification import verify
from grammars import Vocabulary, VocabularyError

__all__ = ["Pieces", "vocabulary_from"]

_READERS: tuple[Callable[[Any], Pieces | None], ...] = (
    mistral.pieces,
    hugging_face.pieces,
    tiktoken.pieces,
    sentence_piece.pieces,
)


def vocabulary_from(tokenizer: Any, *, eos: Iterable[int] | None = None, size: int | None = None) -> Vocabulary:
    """The vocabulary of a tokenizer of any of the kinds above; anything that has a `vocabulary` keeps it.

    `eos`: the tokens that end a text, if they are others than the tokenizer names (a chat model often ends its turns
    with a token of its own, which `generation_config.eos_token_id` lists). `size`: as many ids as the model has
    logits, if these are more than the tokenizer's; the ids that stand for nothing are never allowed.

    >>> import tiktoken
    >>> encoding = tiktoken.Encoding(
    ...     "tiny", pat_str=".", mergeable_ranks={b"a": 0, b"b": 1, b"ab": 2}, special_tokens={"<|endoftext|>": 3}
    ... )
    >>> vocabulary_from(encoding).tokens
    (b'a', b'b', b'ab', b'<|endoftext|>')
    """
    known = getattr(tokenizer, "vocabulary", None)
    if isinstance(known, Vocabulary):
        return known if eos is None and size is None else _resized(known, eos, size)
    for reader in _READERS:
        found = reader(tokenizer)
        if found is not None:
            verify(found)
            return _vocabulary(found, eos, size)
    raise VocabularyError(
        f"{type(tokenizer).__name__} is no tokenizer that scansion knows",
        hint="give a tokenizer of transformers, tiktoken, sentencepiece or mistral-common, or build a Vocabulary "
        "from the bytes of the tokens",
    )


def _vocabulary(found: Pieces, eos: Iterable[int] | None, size: int | None) -> Vocabulary:
    ends = sorted(found.eos if eos is None else set(eos))
    if not ends:
        raise VocabularyError(
            "the tokenizer names no token that ends a text", hint="say which it is: vocabulary_from(..., eos=[id])"
        )
    tokens = _padded(found.tokens, size)
    special = found.special.union(range(len(found.tokens), len(tokens))) - set(ends)
    return Vocabulary(tokens, eos=ends, special=special)


def _resized(known: Vocabulary, eos: Iterable[int] | None, size: int | None) -> Vocabulary:
    pieces = Pieces(list(known.tokens), special=set(known.special) | set(known.eos), eos=set(known.eos))
    return _vocabulary(pieces, eos, size)


def _padded(tokens: list[bytes], size: int | None) -> list[bytes]:
    if size is None or size <= len(tokens):
        return tokens
    return tokens + [b""] * (size - len(tokens))
