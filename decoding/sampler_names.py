"""Samplers by name: what `--sampler` and its like understand.

`NAME[:option=value,…]`, such as `smc:n=16,ess=0.7` or `smc:n=8,proposal=AdaptiveRejection`. Names are those of
`samplers`, in any case; options are the fields of the class that hold a number, a word or another sampler. Whatever
sampler that package exports is known here: nothing is listed twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields
from difflib import get_close_matches
from typing import Any, Final

import samplers
from samplers.errors import InvalidOption
from samplers.protocols import Sampler

_WORDS: Final[Mapping[str, bool]] = {"true": True, "false": False}
_PARSERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "bool": lambda text: _WORDS[text.lower()],
    "int": int,
    "float": float,
    "str": str,
}


def names() -> list[str]:
    """The samplers that can be made from text alone: those that need a model or a scorer of yours are left out.

    >>> "SMC" in names() and "Masking" in names()
    True
    """
    known = {name: getattr(samplers, name) for name in samplers.__all__}
    return sorted(
        name for name, made in known.items() if hasattr(made, "law") and not any(map(_required, fields(made)))
    )


def _required(field: Field[Any]) -> bool:
    return field.init and field.default is MISSING and field.default_factory is MISSING


def sampler_of(spec: str) -> Sampler:
    """The sampler that a specification describes.

    >>> sampler_of("smc:n=16,ess=0.7").n, sampler_of("adaptive-rejection").variant
    (16, 'wildcard')
    >>> sampler_of("SMCC")
    Traceback (most recent call last):
    samplers.errors.InvalidOption: there is no sampler 'SMCC'
    hint: did you mean SMC?
    """
    name, _, options = spec.partition(":")
    made = _class_of(name)
    known = options_of(made)
    return made(**dict(_setting(made.__name__, known, part) for part in options.split(",") if part.strip()))


def options_of(made: type[Any]) -> dict[str, str]:
    """The options of a sampler that can be written as text, and their types.

    >>> options_of(samplers.Rejection)
    {'max_draws': 'int', 'width': 'int'}
    """
    return {field.name: kind for field in fields(made) if field.init and (kind := _kind(field))}


def _kind(field: Field[Any]) -> str:
    """The type of an option, or nothing where text cannot say it."""
    kind = str(field.type).removesuffix(" | None")
    return kind if kind in _PARSERS or kind == "TokenSampler" else ""


def _class_of(name: str) -> type[Any]:
    by_key = {_key(known): known for known in names()}
    found = by_key.get(_key(name))
    if found is None:
        close = get_close_matches(_key(name), by_key, 1, 0.3)
        hint = f"did you mean {by_key[close[0]]}?" if close else f"there are {', '.join(names())}"
        raise InvalidOption(f"there is no sampler {name!r}", hint=hint)
    return getattr(samplers, found)


def _key(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _setting(sampler: str, known: Mapping[str, str], part: str) -> tuple[str, Any]:
    option, _, text = (piece.strip() for piece in part.partition("="))
    if option not in known:
        there_are = f"{sampler} has {', '.join(known)}" if known else f"{sampler} has no options"
        raise InvalidOption(f"{sampler} has no option {option!r}", hint=there_are)
    return option, _value(sampler, option, known[option], text)


def _value(sampler: str, option: str, kind: str, text: str) -> Any:
    if text.lower() == "none":
        return None
    if kind == "TokenSampler":
        return _class_of(text)()
    try:
        return _PARSERS[kind](text)
    except (ValueError, KeyError):
        raise InvalidOption(f"{option} of {sampler} is of type {kind}, not {text!r}") from None
