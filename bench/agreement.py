"""Do the engines mean the same language? Every mask of every text, compared bit by bit.

A difference is explained by a rule below, by what the language says of the engine, or not at all. For a regex the
package `regex` is asked who is right: by partial matching it knows whether a text can be completed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import regex
from engines import Compiled, Engine, Unsupported
from languages import Language
from numpy.typing import NDArray
from vocabularies import Tokens

CANONICAL = "forced text in its canonical tokens only"
UNEXPLAINED = "unexplained"
_JUDGED = 40

Bits = NDArray[np.bool_]


@dataclass
class Comparison:
    """The masks of one engine against scansion's on one language."""

    engine: str
    masks: int = 0
    differing: int = 0
    tokens: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    example: str = ""
    judged: int = 0
    ours_right: int = 0


@dataclass
class Agreement:
    """Which engines take part, which texts all of them accept, and where masks differ."""

    compiled: dict[str, Compiled]
    texts: list[list[int]]
    comparisons: dict[str, Comparison]
    remarks: list[str]


def compare(language: Language, engines: list[Engine], tokens: Tokens) -> Agreement:
    """Follow every text with all engines in lockstep."""
    agreement = Agreement({}, [], {}, [])
    for engine in engines:
        try:
            agreement.compiled[engine.name] = engine.compile(language)
        except Unsupported as error:
            agreement.remarks.append(f"{engine.name} takes no part: {error}")
    agreement.comparisons = {name: Comparison(name) for name in agreement.compiled if name != "scansion"}
    for text in language.texts:
        ids = tokens.encode(text)
        refused = _lockstep(language, agreement, ids, tokens)
        if refused:
            agreement.remarks.append(f"a text is left out: {refused}")
        else:
            agreement.texts.append(ids)
    return agreement


def _lockstep(language: Language, agreement: Agreement, ids: list[int], tokens: Tokens) -> str:
    """Compare the masks along one text; who refused it and where, or nothing."""
    vocabulary = tokens.vocabulary
    for compiled in agreement.compiled.values():
        compiled.restart()
    before = b""
    for token in (*ids, vocabulary.eos[0]):
        masks = {name: bits(compiled, vocabulary.size) for name, compiled in agreement.compiled.items()}
        for name, comparison in agreement.comparisons.items():
            _note(language, comparison, masks["scansion"], masks[name], before, tokens)
        for name, compiled in agreement.compiled.items():
            if not masks[name][token]:
                return f"{name} refuses {vocabulary.tokens[token]!r} after {before[-40:]!r}"
            if token not in vocabulary.eos:
                compiled.commit(token)
        before += vocabulary.tokens[token]
    return ""


def bits(compiled: Compiled, size: int) -> Bits:
    """The mask of the next token, one boolean a token."""
    compiled.fill()
    return np.unpackbits(compiled.mask.view(np.uint8), bitorder="little")[:size].astype(np.bool_)


def _note(language: Language, seen: Comparison, ours: Bits, theirs: Bits, before: bytes, tokens: Tokens) -> None:
    seen.masks += 1
    different = np.flatnonzero(ours != theirs)
    if not len(different):
        return
    seen.differing += 1
    seen.tokens += len(different)
    reason = _reason(language, seen.engine, ours, theirs)
    if reason not in seen.reasons:
        some = ", ".join(f"{'+' if ours[t] else '-'}{tokens.vocabulary.tokens[t]!r}" for t in different[:4])
        seen.example += f"{reason}: after {before[-20:]!r} {some}; "
    seen.reasons[reason] = seen.reasons.get(reason, 0) + 1
    if language.regex is not None and language.has_oracle and reason != CANONICAL:
        _judge(language.regex, seen, ours, different, before, tokens)


def _reason(language: Language, engine: str, ours: Bits, theirs: Bits) -> str:
    if engine == "llguidance" and theirs.sum() == 1 and ours[theirs].all():
        return CANONICAL
    return language.differences.get(engine, UNEXPLAINED)


def _judge(
    pattern: str, seen: Comparison, ours: Bits, different: NDArray[np.int64], before: bytes, tokens: Tokens
) -> None:
    for token in different.tolist():
        try:
            text = (before + tokens.vocabulary.tokens[token]).decode()
        except UnicodeDecodeError:
            continue  # the oracle reads characters, not bytes
        if seen.judged >= _JUDGED or token in tokens.vocabulary.eos:
            continue
        seen.judged += 1
        seen.ours_right += (regex.fullmatch(pattern, text, partial=True) is not None) == bool(ours[token])
