"""Family 9: text is bytes. Surrogates, invalid UTF-8, torn code points, NUL and byte order marks."""

from __future__ import annotations

from grammars import DEAD, TokenAutomaton, choice, gbnf, lark, literal, regex
from tests.bad_input.case import Case, WrongFactError, allowed_tokens, tiny
from tests.bad_input.vocabulary import VOCABULARY

_SYNTAX = "GrammarSyntaxError"


def _expect(found: object, wanted: object) -> None:
    if found != wanted:
        raise WrongFactError(f"{found!r} instead of {wanted!r}")


def _torn_code_points() -> None:
    """The tokens of é are its two bytes, the whole, and halves that are glued to letters."""
    vocabulary = tiny(b"\xc3", b"\xa9", b"\xc3\xa9", b"x\xc3", b"\xa9y", b"\xa9\xa9", b"\xff", b"\xc3\xc3")
    automaton = regex("x?éy?").compile(vocabulary)
    _expect(allowed_tokens(automaton, automaton.start), [0, 2, 3])
    half = automaton.advance(automaton.start, 3)
    _expect(allowed_tokens(automaton, half), [1, 4])
    _expect(automaton.accepts(automaton.advance(half, 4)), True)


def _invalid_tokens() -> None:
    """No text of any regex holds a byte that UTF-8 never uses, a lone continuation, an overlong form or a surrogate."""
    invalid = (
        b"\xff",
        b"\xfe\xff",
        b"\x80",
        b"a\x80",
        b"\xc0\x80",
        b"\xe0\x80\x80",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xf8",
    )
    automaton = regex(r"[\s\S]*").compile(tiny(*invalid, b"a", b"\xc3"))
    _expect(allowed_tokens(automaton, automaton.start), [len(invalid), len(invalid) + 1, len(invalid) + 2])


def _invalid_bytes_in_a_literal() -> TokenAutomaton:
    """A literal may be given in bytes; then it is those bytes."""
    automaton = literal(b"\xff\x00\x80").compile(VOCABULARY)
    _expect(automaton.forced(automaton.start)[:3], [0xFF, 0x00, 0x80])
    return automaton


def _replacement_characters() -> None:
    """Tokens that only look alike when they are decoded with replacement characters are different tokens."""
    automaton = literal("中").compile(tiny(b"\xe4", b"\xe4\xb8", b"\xb8\xad", b"\xad", b"\xef\xbf\xbd", b"\xe4\xad"))
    _expect(allowed_tokens(automaton, automaton.start), [0, 1])
    _expect(automaton.advance(automaton.start, 5), DEAD)


CASES = (
    Case("tokens that split a code point", 9, "ok", act=_torn_code_points),
    Case("tokens of invalid UTF-8", 9, "ok", act=_invalid_tokens),
    Case("literal of invalid UTF-8", 9, "ok", act=_invalid_bytes_in_a_literal, accepts=(b"\xff\x00\x80",), rejects=(b"\xff",)),
    Case("tokens that decode alike", 9, "ok", act=_replacement_characters),
    Case("four-byte characters", 9, "ok", "regex", "[😀-😂]+x", accepts=("😀😁x".encode(),), alive=(b"\xf0\x9f\x98",), dead=(b"\xf0\x9f\x99",)),
    Case("the dot is one code point", 9, "ok", "regex", ".{2}", accepts=("中é".encode(),), dead=(b"\xff", b"\xed\xa0", b"\xc0")),
    Case("negated classes are text", 9, "ok", "regex", "[^a]*", accepts=("中".encode(), b"\x00"), dead=(b"\x80", b"\xf5")),
    Case("regex: lone surrogate", 9, "UnsatisfiableGrammar", "regex", "a\ud800b"),
    Case("regex: lone surrogate as an alternative", 9, "ok", "regex", "a|\udfff", accepts=(b"a",)),
    Case("regex: escaped lone surrogate", 9, "UnsatisfiableGrammar", "regex", r"\ud800"),
    Case("ecma: escaped pair", 9, "ok", "ecma", r"\ud83d\ude00", accepts=("😀".encode(),)),
    Case("ecma: half a pair", 9, "UnsatisfiableGrammar", "ecma", r"\ud83d"),
    Case("regex: surrogate in a class", 9, "ok", "regex", "[\ud800a]", accepts=(b"a",)),
    Case("regex: surrogate in a group name", 9, _SYNTAX, "regex", "(?P<\ud800>a)", span=True),
    Case("regex: surrogate in a property", 9, _SYNTAX, "regex", "\\p{\ud800}", span=True),
    Case("regex: surrogate after an error", 9, _SYNTAX, "regex", "\ud800(", span=True),
    Case("lark: lone surrogate", 9, _SYNTAX, "lark", 'start: "\ud800"', span=True),
    Case("lark: escaped lone surrogate", 9, _SYNTAX, "lark", r'start: "\ud800"', span=True),
    Case("lark: surrogate in the name of a rule", 9, _SYNTAX, "lark", 'st\udc00art: "a"', span=True),
    Case("lark: surrogate as a start", 9, _SYNTAX, act=lambda: lark('start: "a"', start="\ud800")),
    Case("gbnf: lone surrogate", 9, _SYNTAX, "gbnf", 'root ::= "\ud800"', span=True),
    Case("gbnf: escaped lone surrogate", 9, _SYNTAX, "gbnf", r'root ::= "\ud800"', span=True),
    Case("gbnf: surrogate outside a literal", 9, _SYNTAX, "gbnf", 'ro\ud800ot ::= "a"', span=True),
    Case("gbnf: surrogate in a comment", 9, "ok", "gbnf", 'root ::= "a" # \ud800', accepts=(b"a",)),
    Case("gbnf: range over the surrogates", 9, "ok", "gbnf", r"root ::= [\uD7FF-\uE000]", accepts=("\ud7ff".encode(), "\ue000".encode()), dead=(b"\xed\xa0",)),
    Case("literal: lone surrogate", 9, _SYNTAX, act=lambda: literal("\ud800")),
    Case("choice: lone surrogate", 9, _SYNTAX, act=lambda: choice(["a", "\udc80"])),
    Case("regex: NUL", 9, "ok", "regex", "a\x00b\\0[\x00]", accepts=(b"a\x00b\x00\x00",), rejects=(b"a",)),
    Case("lark: NUL", 9, "ok", "lark", 'start: "a\\x00b"', accepts=(b"a\x00b",)),
    Case("lark: NUL as it is", 9, _SYNTAX, "lark", 'start: "\x00"', span=True),
    Case("gbnf: NUL", 9, "ok", "gbnf", 'root ::= "a\\x00" "\x00"', accepts=(b"a\x00\x00",)),
    Case("gbnf: NUL outside a literal", 9, _SYNTAX, "gbnf", 'root ::= "a"\x00', span=True),
    Case("lark: NUL outside a literal", 9, _SYNTAX, "lark", 'start: "a" \x00', span=True),
    Case("regex: byte order mark", 9, "ok", "regex", "\ufeffa", accepts=("\ufeffa".encode(),), rejects=(b"a",)),
    Case("lark: byte order mark in front", 9, _SYNTAX, "lark", '\ufeffstart: "a"', span=True),
    Case("gbnf: byte order mark in front", 9, _SYNTAX, "gbnf", '\ufeffroot ::= "a"', span=True),
    Case("text that begins with a mark", 9, "ok", "gbnf", 'root ::= "\ufeff"? "a"', accepts=(b"a", "\ufeffa".encode()), alive=(b"\xef\xbb",)),
    Case("matching invalid bytes", 9, "ok", act=lambda: _expect(gbnf("root ::= .*").matches(b"a\xff"), False)),
    Case("line ends of all kinds", 9, "ok", "lark", 'start: "a" b\r\nb: "b"\r\n', accepts=(b"ab",)),
)  # fmt: skip
