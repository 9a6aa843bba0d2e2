"""`read_gbnf` reads llama.cpp's grammars as llama.cpp does."""

from __future__ import annotations

import pytest

from grammars.errors import GrammarSyntaxError, LimitExceeded, UnsupportedFeature
from grammars.expression import Repeat
from grammars.gbnf import read_gbnf
from grammars.limits import Limits
from tests.naive.span_recogniser import SpanRecogniser

JSON = r"""
root   ::= object
value  ::= object | array | string | number | ("true" | "false" | "null") ws
object ::=
  "{" ws (
            string ":" ws value
    ("," ws string ":" ws value)*
  )? "}" ws
array  ::=
  "[" ws (
            value
    ("," ws value)*
  )? "]" ws
string ::=
  "\"" (
    [^"\\\x7F\x00-\x1F] |
    "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}) # escapes
  )* "\"" ws
number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})? ws
# Optional space: by convention, applied in this grammar after literal chars when allowed
ws ::= | " " | "\n" [ \t]{0,20}
"""


def accepted(grammar: str, *texts: str) -> list[str]:
    ours = SpanRecogniser(*read_gbnf(grammar))
    return [text for text in texts if ours.accepts(text)]


def test_the_json_grammar_of_llama_cpp() -> None:
    good = ["{}", '{"a": [1, -2.5e3, "x\\n\\u00e9"]}', '{"ключ":null}']
    bad = ["[]", "{", '{"a":}', '{"a": 01}', '{"a": "\n"}']
    assert accepted(JSON, *good, *bad) == good


@pytest.mark.parametrize(
    ("grammar", "good", "bad"),
    [
        ('root ::= "a" root? | [0-9]{2,}  # digits', ["aa", "a12", "123"], ["1", "", "a1"]),
        ('root ::= (\n  "a" # x\n | "b"\n) x\n\nx ::=\n "c" |\n "d"\n | "e"', ["ac", "be", "ad"], ["b", "c"]),
        ('root ::= [^a-c"\\]é]+ .', ["xé", "xyz", "\n\n"], ["a", "x]x", "x"]),
        ('root ::= "\\x41\\u00e9\\U0001F600\\n\\"\\\\"', ['Aé😀\n"\\'], ["A"]),
        ('root ::= "a"{2,3}{2}', ["a" * 4, "a" * 6], ["a" * 3, "a" * 7]),
        ('root ::= "ab"{2} | "c"+ | "d"*', ["abab", "cc", "", "d"], ["ab", "cd"]),
        ('root ::= root "a" | ', ["", "a", "aa"], ["b"]),
        ("root ::= [a-] [--0] [\\]x]", ["a-]", "-.x"], ["b-]"]),
        ('root ::= my-rule\nmy-rule ::= "x" |', ["x", ""], ["y"]),
        ('\n# only comments\nroot ::= "x"\r\ny ::= "z"', ["x"], ["z"]),
    ],
)
def test_syntax(grammar: str, good: list[str], bad: list[str]) -> None:
    assert accepted(grammar, *good, *bad) == good


@pytest.mark.parametrize(
    ("grammar", "column"),
    [
        ('root ::= "a', 10),
        ('root = "a"', 6),
        ("root ::= x", 10),
        ('root ::= ("a"', 10),
        ('root ::= "a")', 13),
        ("root ::= [a", 10),
        ("root ::= []", 10),
        ("root ::= [z-a]", 11),
        ('root ::= "\\q"', 11),
        ('root ::= "\\u12"', 11),
        ('root ::= "\\ud800"', 11),
        ('root ::= "\\UFFFFFFFF"', 11),
        ("root ::= *", 10),
        ("root ::= ( | + )", 14),
        ('root ::= "a"{3,2}', 13),
        ('root ::= "a"{,2}', 14),
        ('root ::= "a"{1', 15),
        ('root ::= "a"\nroot ::= "b"', 1),
        ('x ::= "a"', 1),
        ("", 1),
        ("::=", 1),
    ],
)
def test_errors_say_where(grammar: str, column: int) -> None:
    with pytest.raises(GrammarSyntaxError) as caught:
        read_gbnf(grammar)
    assert caught.value.span is not None
    assert caught.value.span.column == column


@pytest.mark.parametrize("token", ["<think>", "<[1000]>", "!<think>"])
def test_tokens_are_refused(token: str) -> None:
    with pytest.raises(UnsupportedFeature):
        read_gbnf(f"root ::= {token}")


def test_counters_stay_numbers() -> None:
    node = read_gbnf('root ::= ("a" "b"){2,1000000}')[1]["root"]
    assert isinstance(node, Repeat)
    assert (node.low, node.high) == (2, 1_000_000)


@pytest.mark.parametrize(
    "grammar",
    [
        "root ::= " + "(" * 100_000 + '"a"' + ")" * 100_000,
        "root ::= " + '"a"{99999999999999999999999999}',
        "root ::= " + "x " * 1_000_000,
        "root ::= " + " " * (9 << 20),
    ],
)
def test_limits_hold(grammar: str) -> None:
    with pytest.raises(LimitExceeded):
        read_gbnf(grammar)


def test_deep_groups_need_no_stack() -> None:
    grammar = "root ::= " + '(("x" | "y") (' * 10_000 + '"a"' + "))" * 10_000
    _, rules = read_gbnf(grammar, limits=Limits(nesting=100_000))
    assert len(rules) < 1_000


def test_three_thousand_rules_are_read() -> None:
    rules = "\n".join(f'r{i} ::= "k{i}" name (r{(i + 1) % 3000} ",")* | name' for i in range(3000))
    assert len(read_gbnf(f"root ::= r0\nname ::= [a-z]+\n{rules}")[1]) == 3002
