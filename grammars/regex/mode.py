"""Mode: the dialect and the flags in force at a place in a pattern.

| flag | Python `re` | ECMA-262 |
|---|---|---|
| i | letters match their other cases | the same, by simple case folding |
| m | `^` and `$` also match at line ends | the same |
| s | `.` matches line ends too | the same |
| x | blanks and comments in the pattern are skipped | – |
| a | `\\w \\d \\s \\b` and case are ASCII | – |
| u | the opposite of `a`, and the default | the only mode there is |
"""

from __future__ import annotations

from typing import NamedTuple

from grammars.errors import GrammarSyntaxError, Span

FIELDS = {"i": "ignore", "m": "multiline", "s": "dotall", "x": "verbose", "a": "ascii"}
ECMA_FLAGS = "imsu"


class Mode(NamedTuple):
    """What the characters of a pattern mean; hashable, so that whatever depends on it can be cached by it."""

    ecma: bool = False
    ignore: bool = False
    multiline: bool = False
    dotall: bool = False
    verbose: bool = False
    ascii: bool = False

    def with_flags(self, on: str, off: str = "") -> Mode:
        """This mode with some flags switched on and others off; `u` switches `a` off.

        >>> Mode().with_flags("im", "s").ignore
        True
        """
        changes = {FIELDS[flag]: True for flag in on if flag != "u"} | {FIELDS[flag]: False for flag in off}
        return self._replace(**({"ascii": False} if "u" in on else {}), **changes)


def initial_mode(dialect: str, flags: str) -> Mode:
    """The mode at the beginning of a pattern, from the arguments of `parse`."""
    known = {"python": "imsxau", "ecma": ECMA_FLAGS}.get(dialect)
    if known is None:
        raise GrammarSyntaxError(f"unknown regex dialect {dialect!r}", hint="use 'python' or 'ecma'")
    for place, flag in enumerate(flags):
        if flag not in known:
            hint = f"flags of this dialect: {' '.join(known)}"
            raise GrammarSyntaxError(f"unknown regex flag {flag!r}", span=Span(flags, place), hint=hint)
    if "a" in flags and "u" in flags:
        raise GrammarSyntaxError("the flags 'a' and 'u' exclude each other", span=Span(flags, 0, len(flags)))
    return Mode(ecma=dialect == "ecma").with_flags(flags)
