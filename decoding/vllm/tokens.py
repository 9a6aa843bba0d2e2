"""The vocabulary of a model as vLLM has it: as wide as its logits, with all the tokens at which vLLM stops."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from threading import Lock
from typing import Any

from decoding.tokenizers import vocabulary_from
from grammars import Vocabulary

_lock = Lock()
_known: dict[tuple[Any, ...], Vocabulary] = {}


def vocabulary_of(model_config: Any, tokenizer: Any = None) -> Vocabulary:
    """The vocabulary of `vllm_config.model_config`; built once in a process."""
    key = (  # not the ends themselves: they are read from a file, which is too slow for every request
        model_config.tokenizer,
        model_config.tokenizer_revision,
        str(model_config.tokenizer_mode),
        model_config.get_vocab_size(),
        model_config.hf_config_path or model_config.model,
        model_config.revision,
        model_config.generation_config,
    )
    with _lock:
        if key not in _known:
            _known[key] = _built(model_config, tokenizer)
        return _known[key]


def _built(model_config: Any, tokenizer: Any) -> Vocabulary:
    if tokenizer is None:
        from vllm.tokenizers import cached_tokenizer_from_config  # pyright: ignore[reportMissingImports]

        tokenizer = cached_tokenizer_from_config(model_config)
    own = getattr(tokenizer, "eos_token_id", None)
    ends = _ends(model_config) | ({int(own)} if own is not None else set())
    return vocabulary_from(tokenizer, eos=ends or None, size=model_config.get_vocab_size())


def _ends(model_config: Any) -> set[int]:
    """Those of the generation config, where chat models name the end of their turns."""
    ends = model_config.try_get_generation_config().get("eos_token_id")
    return set() if ends is None else {ends} if isinstance(ends, int) else set(ends)


def ending(vocabulary: Vocabulary, stops: Iterable[int]) -> Vocabulary:
    """The same tokens, but a request's own stop tokens end the text as well: they are no text any more, and allowed
    where the text is complete.

    >>> v = Vocabulary([b"a", b";", b"<end>"], eos=[2])
    >>> ending(v, [1]).eos, ending(v, [2]) is v
    ((1, 2), True)
    """
    more = frozenset(stop for stop in stops if 0 <= stop < vocabulary.size) - set(vocabulary.eos)
    return _with_ends(vocabulary, more) if more else vocabulary


@lru_cache(maxsize=16)
def _with_ends(vocabulary: Vocabulary, more: frozenset[int]) -> Vocabulary:
    return Vocabulary(vocabulary.tokens, eos=more.union(vocabulary.eos), special=vocabulary.special - more)
