"""What follows an opening parenthesis: captures, look-around, flags, and what no automaton can do.

| | Python | ECMA-262 |
|---|---|---|
| `(...)` `(?:...)` | yes | yes |
| `(?P<name>...)` | yes | syntax error |
| `(?<name>...)` | yes (as in `regex` and PCRE) | yes |
| `(?=...) (?!...) (?<=...) (?<!...)` | yes, any width | yes |
| `(?i)` at the very beginning | yes | syntax error |
| `(?ims-ims:...)` | yes, and `a u x` | yes |
| `(?#...)` | yes | syntax error |
| `(?>...)` `(?(1)...)` `(?P=name)` | `UnsupportedFeature` | syntax error |
"""

from __future__ import annotations

import re
from typing import NamedTuple

from grammars.regex.mode import Mode
from grammars.regex.source import Source

_LOOKS = {"=": (True, False), "!": (True, True), "<=": (False, False), "<!": (False, True)}
_LOOK = re.compile(r"<?[=!]")
_NAME = re.compile(r"(P?)<([^>]*)>")
_FLAGS = re.compile(r"([a-zA-Z]*)(-?)([a-zA-Z]*)([:)])")
_COMMENT = re.compile(r"#[^)]*+\)")


class Opening(NamedTuple):
    """A group as its first characters describe it. `look`: (ahead, negative)."""

    end: int
    mode: Mode
    name: str | None = None
    look: tuple[bool, bool] | None = None


class Aside(NamedTuple):
    """A comment, or flags for the rest of the pattern: no group at all."""

    end: int
    mode: Mode


def read_opening(source: Source, start: int, mode: Mode, at_beginning: bool) -> Opening | Aside:
    """What the parenthesis at `start` opens."""
    text = source.text
    if not text.startswith("?", start + 1):
        return Opening(start + 1, mode)
    inner = start + 2
    if text.startswith(":", inner):
        return Opening(inner + 1, mode)
    if look := _LOOK.match(text, inner):
        return Opening(look.end(), mode, look=_LOOKS[look[0]])
    if name := _NAME.match(text, inner):
        return _named(source, start, name, mode)
    if not mode.ecma:
        if comment := _COMMENT.match(text, inner):
            return Aside(comment.end(), mode)
        _refuse(source, start, inner)
    if flags := _FLAGS.match(text, inner):
        return _flags(source, start, flags, mode, at_beginning)
    hint = "write (?:...) for a plain group"
    raise source.error("unknown kind of group", start, min(inner + 1, len(text)), hint)


def _named(source: Source, start: int, name: re.Match[str], mode: Mode) -> Opening:
    if mode.ecma and name[1]:
        raise source.error("(?P<name>...) is Python syntax", start, name.end(), hint=f"write (?<{name[2]}>...)")
    identifier = name[2].replace("$", "_") if mode.ecma else name[2]
    if not identifier.isidentifier():
        hint = "names have letters, digits and _, and no digit in front"
        raise source.error(f"bad group name {name[2]!r}", start, name.end(), hint)
    return Opening(name.end(), mode, name=name[2])


def _refuse(source: Source, start: int, inner: int) -> None:
    """Raise for well-formed Python syntax that no automaton can follow, and for a comment without an end."""
    text = source.text
    if text.startswith("#", inner):
        raise source.error("unterminated comment", start, hint="add a closing ')'")
    if text.startswith(">", inner):
        hint = "an ordinary group (?:...) also finds the matches that an atomic one gives up"
        raise source.unsupported("atomic groups are not supported", start, inner + 1, hint)
    if text.startswith("(", inner):
        hint = "write both cases as alternatives"
        raise source.unsupported("conditional groups are not supported", start, inner + 1, hint)
    if text.startswith("P=", inner):
        raise back_reference(source, start, text.find(")", inner) + 1 or len(text))
    if text.startswith("P>", inner) or text.startswith("R", inner):
        hint = "write a grammar with rules (lark or gbnf) for recursive languages"
        raise source.unsupported("recursive patterns are not supported", start, inner + 1, hint)


def back_reference(source: Source, start: int, end: int) -> Exception:
    """The error for `\\1`, `\\k<name>` and `(?P=name)`: what they match depends on what was matched before."""
    hint = "if only few texts are possible, write one alternative for each of them"
    return source.unsupported("back-references are not supported: they are not regular", start, end, hint)


def _flags(source: Source, start: int, found: re.Match[str], mode: Mode, at_beginning: bool) -> Opening | Aside:
    on, minus, off, closing = found.groups()
    _check_flags(source, (start, found.end()), on, off, "ims" if mode.ecma else "imsxau")
    if closing == ":":
        if minus and not off and not (mode.ecma and on):
            raise source.error("flags expected after '-'", start, found.end())
        return Opening(found.end(), mode.with_flags(on, off))
    if mode.ecma or minus or not on:
        hint = "write (?i:...) with the pattern in the group"
        raise source.error("these flags need a group", start, found.end(), hint)
    if not at_beginning:
        hint = "put them there, or write (?i:...) around what they are for"
        raise source.error("flags without a group belong to the beginning of the pattern", start, found.end(), hint)
    return Aside(found.end(), mode.with_flags(on))


def _check_flags(source: Source, span: tuple[int, int], on: str, off: str, known: str) -> None:
    for flag in on + off:
        if flag not in known:
            raise source.error(f"unknown flag {flag!r}", *span, hint=f"flags of this dialect: {' '.join(known)}")
    if set(on) & set(off):
        raise source.error("a flag is switched on and off at once", *span)
    if "a" in off or "u" in off or {"a", "u"} <= set(on):
        hint = "write (?u:...) or (?a:...)"
        raise source.error("'a' and 'u' exclude each other and cannot be switched off", *span, hint)
