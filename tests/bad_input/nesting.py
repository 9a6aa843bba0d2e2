"""Family 2: nesting and length. No front end recurses: deep is refused by `Limits.nesting`, or read if that is
raised."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from grammars import Limits
from tests.bad_input.case import Case, numbered, repeated

_DEEP = Limits(nesting=10**6)
_LIMIT = "LimitExceeded"


def _nested(before: str, opening: str, core: str, closing: str, depth: int, after: str = "") -> Callable[[], str]:
    return lambda: before + opening * depth + core + closing * depth + after


# (name, front end, before, opening, core, closing, accepted, rejected)
_SHAPES = (
    ("groups", "regex", "", "(", "a", ")", b"a", b"aa"),
    ("alternatives", "regex", "", "(b|", "a", ")", b"a", b"ab"),
    ("optional groups", "regex", "", "(", "a", ")?", b"", b"aa"),
    ("starred groups", "regex", "", "(", "a", ")*", b"aaa", b"b"),
    ("plain groups", "ecma", "", "(?:", "a", ")", b"a", b""),
    ("lark groups", "lark", "start: ", "(", '"a"', ")", b"a", b"aa"),
    ("lark brackets", "lark", "start: ", "[", '"a"', "]", b"", b"aa"),
    ("lark alternatives", "lark", "start: ", '("b" | ', '"a"', ")", b"a", b"ab"),
    ("lark terminals", "lark", "start: A\nA: ", "(", '"a"', ")", b"a", b"aa"),
    ("gbnf groups", "gbnf", "root ::= ", "(", '"a"', ")", b"a", b"aa"),
    ("gbnf options", "gbnf", "root ::= ", "(", '"a"', ")?", b"", b"aa"),
    ("gbnf alternatives", "gbnf", "root ::= ", '("b" | ', '"a"', ")", b"a", b"ab"),
)


def _shapes() -> Iterator[Case]:
    for name, front, before, opening, core, closing, accepted, rejected in _SHAPES:
        facts = {"accepts": (accepted,), "rejects": (rejected,)}
        for depth in (10, 1_000):
            text = _nested(before, opening, core, closing, depth)
            yield Case(f"{name} {depth} deep", 2, "ok", front, text, **facts)
        text = _nested(before, opening, core, closing, 100_000)
        yield Case(f"{name} 100000 deep", 2, _LIMIT, front, text, span=True)


_MILLION = 1 << 20
# (name, front end, before, piece, millions of pieces, outcome)
_BULK = (
    ("dots", "regex", "", ".", 8, _LIMIT),
    ("alternatives", "regex", "", "a|", 4, _LIMIT),
    ("letters", "regex", "", "ab", 2, _LIMIT),
    ("letters of any case", "regex", "(?i)", "ab", 2, _LIMIT),
    ("blanks", "regex", "(?x)", " ", 8, "ok"),
    ("comments", "regex", "(?x)", "#\n", 4, "ok"),
    ("backslashes", "regex", "", "\\\\", 2, _LIMIT),
    ("word boundaries", "regex", "", r"\b", 4, _LIMIT),
    ("anchors", "regex", "", "^", 8, _LIMIT),
    ("classes", "regex", "", "[ab]", 2, _LIMIT),
    ("bars", "regex", "", "|", 8, _LIMIT),
    ("braces", "regex", "", "{", 8, _LIMIT),
    ("bars", "lark", "start: ", "|", 8, _LIMIT),
    ("strings", "lark", "start: ", '"a"', 2, _LIMIT),
    ("blank lines", "lark", 'start: "a"', "\n", 8, "ok"),
    ("comments", "lark", 'start: "a"\n', "//\n", 2, _LIMIT),
    ("slashes", "lark", "start: ", "/", 8, "ok"),
    ("quotes", "lark", "start: ", '"', 8, _LIMIT),
    ("backslashes", "lark", 'start: "', "\\", 8, "GrammarSyntaxError"),
    ("rules", "lark", "start: ", "a:", 4, _LIMIT),
    ("strings", "gbnf", "root ::= ", '"a"', 2, _LIMIT),
    ("bars", "gbnf", "root ::= ", "|", 8, _LIMIT),
    ("blank lines", "gbnf", 'root ::= "a"', "\n", 8, "ok"),
    ("comments", "gbnf", 'root ::= "a"', "#\n", 4, "ok"),
    ("backslashes", "gbnf", 'root ::= "', "\\", 8, _LIMIT),
    ("open classes", "gbnf", "root ::= ", "[", 8, _LIMIT),
    ("stars", "gbnf", 'root ::= "a"', "*", 8, _LIMIT),
)


def _bulk() -> Iterator[Case]:
    for name, front, before, piece, millions, outcome in _BULK:
        text = repeated(millions * _MILLION - 99, piece)
        yield Case(f"{front}: megabytes of {name}", 2, outcome, front, lambda before=before, text=text: before + text())


CASES = (
    *_shapes(),
    Case("groups 100000 deep, allowed", 2, "ok", "regex", _nested("", "(", "a", ")", 10**5), limits=_DEEP, accepts=(b"a",)),
    Case("alternatives 100000 deep, allowed", 2, "ok", "regex", _nested("", "(b|", "a", ")", 10**5), limits=_DEEP, accepts=(b"b",)),
    Case("nested sequences, allowed", 2, "ok", "regex", _nested("", "(a?", "b", ")?", 2_000), limits=_DEEP, accepts=(b"", b"aab")),
    Case("gbnf groups 100000 deep, allowed", 2, "ok", "gbnf", _nested("root ::= ", "(", '"a"', ")", 10**5), limits=_DEEP),
    Case("open groups only", 2, _LIMIT, "regex", repeated(10**5, "("), span=True),
    Case("open groups only, allowed", 2, "GrammarSyntaxError", "regex", repeated(10**5, "("), limits=_DEEP, span=True),
    Case("closed groups only", 2, "GrammarSyntaxError", "regex", repeated(10**5, ")"), span=True),
    Case("open brackets in a class", 2, "GrammarSyntaxError", "regex", repeated(10**5, "["), span=True),
    Case("lark open groups only", 2, _LIMIT, "lark", _nested("start: ", "(", "", "", 10**5), span=True),
    Case("lark closed groups only", 2, "GrammarSyntaxError", "lark", _nested("start: ", ")", "", "", 10**5), span=True),
    Case("gbnf open groups only", 2, _LIMIT, "gbnf", _nested("root ::= ", "(", "", "", 10**5), span=True),
    Case("look-aheads 10 deep", 2, "ok", "regex", _nested("", "(?=", "a", ")", 10, "a"), accepts=(b"a",), rejects=(b"b",)),
    Case("look-aheads 1000 deep", 2, "ok", "regex", _nested("", "(?=", "a", ")", 1_000, "a"), accepts=(b"a",)),
    Case("negative look-aheads 1000 deep", 2, "ok", "regex", _nested("", "(?!", "a", ")", 1_000, "a"), accepts=(b"a",)),
    Case("look-behinds 1000 deep", 2, "ok", "regex", _nested("a", "(?<=", "a", ")", 1_000), accepts=(b"a",)),
    Case("named groups 1000 deep", 2, "ok", "regex", lambda: numbered(1_000, "(?P<n{i}>")() + "a" + ")" * 1_000, accepts=(b"a",)),
    Case("flag groups 1000 deep", 2, "ok", "regex", _nested("", "(?i:", "a", ")", 1_000), accepts=(b"A",)),
    # long, not deep
    Case("literal of 100000", 2, "ok", "regex", repeated(10**5, "a"), accepts=(b"a" * 10**5,), rejects=(b"a" * 99_999,)),
    Case("100000 alternatives", 2, "ok", "regex", numbered(10**5, "x{i}y", "|"), accepts=(b"x99999y",), rejects=(b"x100000y",)),
    Case("100000 equal alternatives", 2, "ok", "regex", repeated(10**5, "a", "|"), accepts=(b"a",), rejects=(b"aa",)),
    Case("100000 class alternatives", 2, "ok", "regex", repeated(10**5, "[ab]c*", "|"), accepts=(b"acc",)),
    Case("100000 optional letters", 2, "ok", "regex", repeated(10**5, "a?"), alive=(b"aaaa",)),
    Case("100000 stars", 2, "ok", "regex", repeated(10**5, "a*"), accepts=(b"a" * 1000,), rejects=(b"b",)),
    Case("100000 stars and letters", 2, "ok", "regex", repeated(10**5, "a*[bc]"), alive=(b"abc",)),
    Case("100000 classes", 2, "ok", "regex", repeated(10**5, "[ab]"), alive=(b"a" * 1000,)),
    Case("100000 groups in a row", 2, _LIMIT, "regex", repeated(10**5, "(a|b)"), alive=(b"a" * 1000,)),
    Case("10000 word boundaries", 2, "ok", "regex", repeated(10**4, r"\ba\b ")),
    Case("one class of 100000 characters", 2, "ok", "regex", lambda: f"[{''.join(map(chr, range(0x10000, 0x286A0)))}]"),
    Case("class of every second character", 2, "ok", "regex", lambda: f"[{''.join(map(chr, range(0x10000, 0x1A000, 2)))}]"),
    Case("lark: 100000 alternatives", 2, _LIMIT, "lark", lambda: "start: " + repeated(10**5, '"a"', " | ")()),
    Case("lark: 10000 alternatives", 2, "ok", "lark", lambda: "start: " + numbered(10**4, '"x{i}"', " | ")(), accepts=(b"x9999",)),
    Case("lark: 10000 in a row", 2, "ok", "lark", lambda: "start: " + repeated(10**4, '"a"', " ")(), accepts=(b"a" * 10**4,)),
    Case("lark: chain of 10000 rules", 2, "ok", "lark", numbered(10**4, "r{i}: r{j}", "\n", '\nr{i}: "x"\nstart: r0'), accepts=(b"x",)),
    Case("lark: chain of 5000 rules", 2, "ok", "lark", numbered(5_000, "r{i}: r{j}", "\n", '\nr{i}: "x"\nstart: r0'), accepts=(b"x",)),
    Case("lark: chain of 2000 terminals", 2, "ok", "lark", numbered(2_000, "A{i}: A{j}", "\n", '\nA{i}: "x"\nstart: A0'), accepts=(b"x",)),
    Case("lark: terminals doubling", 2, _LIMIT, "lark", numbered(60, "A{i}: A{j}+ A{j}+", "\n", "\nA{i}: /x?/\nstart: A0")),
    Case("lark: templates 1000 deep", 2, "ok", "lark", lambda: "start: " + "t{" * 1000 + '"a"' + "}" * 1000 + "\nt{x}: x", accepts=(b"a",)),
    Case("lark: templates doubling", 2, "ok", "lark", numbered(60, "t{i}{{x}}: t{j}{{x}} t{j}{{u{{x}}}}", "\n", '\nt{i}{{x}}: x\nu{{x}}: x "b"\nstart: t0{{"a"}}')),
    Case("gbnf: 100000 alternatives", 2, "ok", "gbnf", lambda: "root ::= " + numbered(10**5, '"x{i}"', " | ")(), accepts=(b"x9999",)),
    Case("gbnf: 100000 in a row", 2, "ok", "gbnf", lambda: "root ::= " + repeated(10**5, '"a"', " ")(), accepts=(b"a" * 10**5,)),
    Case("gbnf: chain of 10000 rules", 2, "ok", "gbnf", numbered(10**4, "r{i} ::= r{j}", "\n", '\nr{i} ::= "x"\nroot ::= r0'), accepts=(b"x",)),
    Case("gbnf: chain of 100000 rules", 2, _LIMIT, "gbnf", numbered(10**5, "r{i} ::= r{j}", "\n", '\nr{i} ::= "x"\nroot ::= r0'), accepts=(b"x",)),
    Case("gbnf: rules doubling", 2, "ok", "gbnf", numbered(60, "r{i} ::= r{j} r{j}", "\n", '\nr{i} ::= "x"\nroot ::= r0'), alive=(b"x" * 99,)),
    Case("gbnf: optional rules doubling", 2, "ok", "gbnf", numbered(60, "r{i} ::= r{j} r{j}", "\n", '\nr{i} ::= "x"?\nroot ::= r0'), accepts=(b"x" * 99,)),
    Case("text of nine million characters", 2, _LIMIT, "regex", repeated(9 << 20, "a")),
    Case("lark text of nine million characters", 2, _LIMIT, "lark", repeated(9 << 20, "a")),
    Case("gbnf text of nine million characters", 2, _LIMIT, "gbnf", repeated(9 << 20, "a")),
    # as many pieces as the size of a text allows
    *_bulk(),
    # instances: what is nested is the text that is generated
    Case("a text of 100000 open brackets", 2, "ok", "gbnf", 'root ::= "(" root ")" | "x"', accepts=(b"(" * 10**5 + b"x" + b")" * 10**5,)),
    Case("a text of 100000 operators", 2, "ok", "lark", 'start: start "+" start | "x"', accepts=(b"x" + b"+x" * 10**5,)),
    Case("a text nested on the right", 2, "ok", "gbnf", 'root ::= "x" | "x+" root', accepts=(b"x+" * 10**5 + b"x",)),
)  # fmt: skip
