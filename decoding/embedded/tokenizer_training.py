r"""The tokenizer of the built-in model: byte-level byte-pair encoding, learned from the corpus.

A text is first cut where merges would hurt: words, single digits, runs of punctuation, white space; a word takes the
space before it. Then the most frequent pair of neighbouring tokens becomes a token, again and again. All 256 bytes
are tokens, so every text can be written. Digits stay single: a sum is learned digit by digit.

The pattern names only ASCII characters, and counts all others as letters. So every engine cuts alike, Python's `re`
among them, which has no classes of Unicode letters.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from decoding.embedded.tokenizer import PATTERN

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SPECIALS = ("<|begin|>", "<|end|>", "<|pad|>")
BEGIN, END, PAD = range(3)

CHAT = (
    "{% for m in messages %}{% if m['role'] == 'system' %}System{% elif m['role'] == 'user' %}User"
    "{% elif m['role'] == 'tool' %}Tool{% else %}Assistant{% endif %}: {{ m['content'] }}"
    "{% if not loop.last %}{{ '\\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '\\nAssistant:' }}{% endif %}"
)


def train_tokenizer(texts: Iterable[str], size: int) -> Tokenizer:
    """A tokenizer of `size` tokens learned from `texts`."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE())
    cut = pre_tokenizers.Split(Regex(PATTERN), behavior="isolated")
    as_letters = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([cut, as_letters])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{SPECIALS[BEGIN]} $A",
        pair=f"{SPECIALS[BEGIN]} $A {SPECIALS[BEGIN]} $B",
        special_tokens=[(SPECIALS[BEGIN], BEGIN)],
    )
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(SPECIALS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def write_tokenizer(tokenizer: Tokenizer, out: Path, positions: int) -> None:
    """The tokenizer and what Hugging Face wants to know about it."""
    tokenizer.save(str(out / "tokenizer.json"))
    begin, end, pad = SPECIALS
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": begin,
        "eos_token": end,
        "pad_token": pad,
        "padding_side": "left",
        "model_max_length": positions,
        "clean_up_tokenization_spaces": False,
        "chat_template": CHAT,
    }
    write_json(settings, out / "tokenizer_config.json")


def write_json(content: object, path: Path) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", "utf-8")
