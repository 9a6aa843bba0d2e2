"""Family 1: texts that do not follow the syntax of their language, and what is well formed but no language of ours."""

from __future__ import annotations

from tests.bad_input.case import Case

_SYNTAX = "GrammarSyntaxError"
_UNSUPPORTED = "UnsupportedFeature"

_REGEX = {
    "unclosed group": "ab(c",
    "unclosed inner group": "(a(b)",
    "unbalanced )": "ab)c",
    "unclosed class": "x[a-z",
    "class closed at once": "[]",
    "range backwards": "[z-a]",
    "range from a class": r"[\d-z]",
    "nothing to repeat": "*a",
    "nothing to repeat in a group": "(|+a)",
    "repetition repeated": "a**",
    "counts backwards": "a{3,2}",
    "backslash at the end": "ab\\",
    "unknown escape": r"a\q",
    "hex escape cut": r"\x1",
    "unicode escape cut": r"\u12",
    "code point too large": r"\U00110000",
    "octal too large": r"\777",
    "unknown character name": r"\N{NO SUCH CHARACTER}",
    "unknown property": r"\p{Nope}",
    "property not closed": r"\p{Lu",
    "group name with a digit": "(?P<1a>x)",
    "group name not closed": "(?P<a",
    "two groups of one name": "(?P<a>x)(?P<a>y)",
    "reference to no group": r"(a)\2",
    "unknown flag": "(?z)a",
    "flags not closed": "(?i",
    "flags not at the beginning": "a(?i)b",
    "unknown group": "(?~a)",
    "comment not closed": "a(?#b",
}
_ECMA = {
    "unclosed group": "(a",
    "python's group name": "(?P<a>x)",
    "code point too large": r"\u{110000}",
    "range backwards": "[b-a]",
    "text anchor": r"\Aa",
}
_LARK = {
    "empty text": "",
    "unclosed group": 'start: ("a"',
    "unclosed bracket": 'start: ["a"',
    "unclosed string": 'start: "a',
    "unclosed regex": "start: /a",
    "unbalanced )": 'start: "a")',
    "no colon": 'start "a"',
    "undefined rule": "start: b",
    "undefined terminal": "start: B",
    "no start": 'begin: "a"',
    "rule twice": 'start: "a"\nstart: "b"',
    "terminal twice": 'start: A\nA: "a"\nA: "b"',
    "unknown directive": '%nothing x\nstart: "a"',
    "import of no terminal": "%import common.NOTHING\nstart: NOTHING",
    "ignored but undefined": '%ignore B\nstart: "a"',
    "range backwards": 'start: "b".."a"',
    "range of words": 'start: "aa".."b"',
    "bounds backwards": 'start: "a" ~ 3..1',
    "negative bound": 'start: "a" ~ -1',
    "template without arguments": 'start: t\nt{x}: x "a"',
    "template with too many": 'start: t{"a", "b"}\nt{x}: x',
    "terminal in itself": 'start: A\nA: "x" A',
    "mixed case": 'Start: "a"\nstart: Start',
    "empty literal": 'start: ""',
    "bad escape": 'start: "\\xg"',
    "bad regex": "start: /a(b/",
    "bad class": "start: /[b-a]/",
    "line break in a regex": "start: /a\nb/",
    "only an operator": "start: *",
    "operator twice": 'start: "a" | | * "b"',
    "bad json after %regex": 'start: %regex {"pattern: 1}',
    "nothing after %regex": "start: %regex",
}
_GBNF = {
    "empty text": "",
    "unclosed group": 'root ::= ("a"',
    "unclosed string": 'root ::= "a',
    "unclosed class": "root ::= [a",
    "unbalanced )": 'root ::= "a")',
    "one colon": 'root := "a"',
    "no name": '::= "a"',
    "undefined rule": "root ::= b",
    "no root": 'start ::= "a"',
    "rule twice": 'root ::= "a"\nroot ::= "b"',
    "range backwards": "root ::= [b-a]",
    "empty class": "root ::= []",
    "unknown escape": r'root ::= "\q"',
    "hex escape cut": r'root ::= "\x1"',
    "code point too large": r'root ::= "\U00110000"',
    "nothing to repeat": "root ::= *",
    "nothing to repeat after |": 'root ::= "a" | +',
    "bounds backwards": 'root ::= "a"{3,1}',
    "bounds not closed": 'root ::= "a"{3',
    "bounds without numbers": 'root ::= "a"{}',
    "unexpected character": 'root ::= "a" ; "b"',
}
_REFUSED = {
    "regex": {
        "back-reference": r"(a)\1",
        "named back-reference": "(?P<a>x)(?P=a)",
        "named back-reference to nothing": "(?P=a)",
        "conditional group": "(a)(?(1)b|c)",
        "atomic group": "(?>a*)b",
        "possessive quantifier": "a*+b",
    },
    "ecma": {"back-reference": r"(a)\1", "named back-reference": r"(?<a>x)\k<a>", "reference to no name": r"\k<a>"},
    "lark": {
        "import of no grammar of lark's": '%import nothing.X\nstart: "a"',
        "import of a file": '%import .secret.X\nstart: "a"',
        "declared terminal": "%declare X\nstart: X",
        "special token": "start: <|end|>",
        "locale flag": "start: /a/l",
        "back-reference": r"start: /(a)\1/",
    },
    "gbnf": {"token": "root ::= <think>"},
}

# What browsers read although the grammar of ECMA-262 has it only in an annex, and schemas therefore contain.
_LENIENT = {
    "lone brace": ("a{", b"a{"),
    "lone bracket": ("a]", b"a]"),
    "escaped hyphen": (r"\-", b"-"),
    "range to a class": (r"[a-\d]", b"-"),
}

CASES = (
    *(Case(f"ecma: {name}", 1, "ok", "ecma", text, accepts=(word,)) for name, (text, word) in _LENIENT.items()),
    *(
        Case(f"{front}: {name}", 1, _SYNTAX, front, text, span=True)
        for front, texts in (("regex", _REGEX), ("ecma", _ECMA), ("lark", _LARK), ("gbnf", _GBNF))
        for name, text in texts.items()
    ),
    *(
        Case(f"{front}: {name}", 1, _UNSUPPORTED, front, text, span=True)
        for front, texts in _REFUSED.items()
        for name, text in texts.items()
    ),
)
