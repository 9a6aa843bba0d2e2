r"""The built-in model: a language model of two million weights that comes with the package.

It writes JSON records, SQL, small sums, dates and short answers, and reads values out of a sentence into a record. It
makes examples, tests and exact comparisons run offline in seconds; nobody should ask it for knowledge. `load()` needs
numpy alone; `as_transformers()` and `hf_directory()` give the same model to Hugging Face and vLLM.

Read on in `llama` (the transformer), `prefixes` (what is remembered between calls), `tokenizer`, and, for how it came
about, `corpus` and `train`. MODEL_CARD.md says what it can do and what not.

>>> model = load("Extract the person from: Ada Lovelace is 36 years old.\nJSON:")
>>> text = []
>>> while not set(text) & set(model.vocabulary.eos):
...     text.append(int(model.log_probs([text])[0].argmax()))
>>> model.decode(text)
' {"name": "Ada Lovelace", "age": 36}'
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from decoding.embedded.hugging_face import as_transformers, hf_directory
from decoding.embedded.llama import Llama, read_llama
from decoding.embedded.model import EmbeddedModel
from decoding.embedded.prefixes import Prefixes
from decoding.embedded.tokenizer import Tokenizer, read_tokenizer
from decoding.embedded.tokenizer_training import BEGIN, END
from grammars import Vocabulary

__all__ = ["EmbeddedModel", "as_transformers", "hf_directory", "load"]


def load(prompt: str | bytes = "", *, folder: Path | None = None, kept_prefixes: int = 1 << 15) -> EmbeddedModel:
    """The built-in model after `prompt`, or the one that `train` wrote into `folder`.

    Weights are read once per process and shared; each model that `load` makes has a memory of its own, of at most
    `kept_prefixes` positions (about 3 KB each).

    >>> load().vocabulary.size
    2048
    """
    llama, tokenizer, vocabulary = _read(folder or hf_directory())
    empty = EmbeddedModel(vocabulary, (BEGIN,), tokenizer, llama, Prefixes(llama, kept_prefixes))
    return empty.with_prompt(prompt)


@lru_cache(maxsize=4)
def _read(folder: Path) -> tuple[Llama, Tokenizer, Vocabulary]:
    tokenizer = read_tokenizer(folder / "tokenizer.json")
    vocabulary = Vocabulary(tokenizer.tokens, eos=[END], special=tokenizer.specials - {END})
    return read_llama(folder), tokenizer, vocabulary
