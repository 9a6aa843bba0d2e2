"""Family 3: small texts that ask for much. Counters are numbers and automata are lazy; what is left over is refused."""

from __future__ import annotations

from collections.abc import Callable

from grammars import Grammar, TokenAutomaton, literal, regex
from tests.bad_input.case import Case
from tests.bad_input.vocabulary import VOCABULARY

_LIMIT = "LimitExceeded"


def _made(make: Callable[[], Grammar]) -> Callable[[], TokenAutomaton]:
    return lambda: make().compile(VOCABULARY)


CASES = (
    Case("(a{1000}){1000}", 3, "ok", "regex", "(a{1000}){1000}", alive=(b"a" * 2000,), rejects=(b"a" * 1000,)),
    Case("(a{1000}b){1000}", 3, "ok", "regex", "(a{1000}b){1000}", alive=((b"a" * 1000 + b"b") * 9,), dead=(b"a" * 999 + b"b",)),
    Case(".{0,100000}", 3, "ok", "regex", ".{0,100000}", accepts=(b"", b"a" * 10**5), rejects=(b"a" * (10**5 + 1),)),
    Case(".{0,100000}x", 3, "ok", "regex", ".{0,100000}x", accepts=(b"x", b"ax" * 500), rejects=(b"a",)),
    Case("x{1000000}", 3, "ok", "regex", "x{1000000}", alive=(b"x" * 10**4,), rejects=(b"x",)),
    Case("x{1000000000}", 3, "ok", "regex", "x{1000000000}", alive=(b"x" * 10**4,)),
    Case("x{4294967296}", 3, _LIMIT, "regex", "x{4294967296}", span=True),
    Case("(?:){4294967296}", 3, _LIMIT, "regex", "(?:){4294967296}", span=True),
    Case("a count of 5000 digits", 3, _LIMIT, "regex", f"x{{{'9' * 5000}}}", span=True),
    Case("(a|b)*a(a|b){20}", 3, "ok", "regex", "(a|b)*a(a|b){20}", accepts=(b"a" * 99, b"ba" + b"b" * 20), rejects=(b"b" * 99,)),
    Case("(a|b)*a(a|b){1000}", 3, "ok", "regex", "(a|b)*a(a|b){1000}", accepts=(b"a" + b"b" * 1000,), rejects=(b"ab" * 400,)),
    Case(".*a.{20}", 3, "ok", "regex", ".*a.{20}", accepts=(b"a" * 21,), rejects=(b"b" * 50,)),
    Case("(a*)*b", 3, "ok", "regex", "(a*)*b", accepts=(b"b", b"a" * 5000 + b"b"), dead=(b"a" * 50 + b"c",)),
    Case("(a*)*(a*)*(a*)*b", 3, "ok", "regex", "(a*)*(a*)*(a*)*b", accepts=(b"a" * 500 + b"b",)),
    Case("(a|aa)+$", 3, "ok", "regex", "(a|aa)+$", accepts=(b"a" * 5000,), dead=(b"a" * 50 + b"b",)),
    Case("(a|a)*", 3, "ok", "regex", "(a|a)*", accepts=(b"a" * 500,)),
    Case("((a{0,100}){0,100}){0,100}", 3, "ok", "regex", "((a{0,100}){0,100}){0,100}", accepts=(b"", b"a" * 9999), dead=(b"b",)),
    Case("((a{0,100}b?){0,100}c?){0,100}", 3, "ok", "regex", "((a{0,100}b?){0,100}c?){0,100}", accepts=(b"", b"a" * 500, b"abc" * 50)),
    Case("((a{2,3}){4,5}){6,7}", 3, "ok", "regex", "((a{2,3}){4,5}){6,7}", accepts=(b"a" * 48, b"a" * 105), rejects=(b"a" * 47, b"a" * 106)),
    Case("(a{3}|a{5}){1000}", 3, "ok", "regex", "(a{3}|a{5}){1000}", accepts=(b"a" * 3000,), rejects=(b"a" * 3001,), alive=(b"a" * 2000,)),
    Case("(.*)(.*)(.*)(.*)[12345]", 3, "ok", "regex", "(.*)(.*)(.*)(.*)[12345]", accepts=(b"a" * 999 + b"5",), rejects=(b"a" * 999,)),
    Case("(.*)+(.*)+x", 3, "ok", "regex", "(.*)+(.*)+x", accepts=(b"yx" * 99,), rejects=(b"y",)),
    Case("(x+x+)+y", 3, "ok", "regex", "(x+x+)+y", accepts=(b"x" * 5000 + b"y",), rejects=(b"xy",)),
    Case("(a?){100}a{100}", 3, "ok", "regex", "(a?){100}a{100}", accepts=(b"a" * 100, b"a" * 200), rejects=(b"a" * 99, b"a" * 201)),
    Case("(.{1,100},){1,100}", 3, "ok", "regex", "(.{1,100},){1,100}", accepts=(b"a,b,c,", b"," * 50), rejects=(b"a",)),
    Case("(a{1,50}){1,50}b{1,50}", 3, "ok", "regex", "(a{1,50}){1,50}b{1,50}", accepts=(b"a" * 99 + b"b",)),
    Case("huge class", 3, "ok", "regex", r"[\p{L}\p{N}\p{P}\p{S}\w-]{5,50}", accepts=("äöü中文".encode(),), rejects=(b"ab c d",)),
    Case("case-insensitive huge class", 3, "ok", "regex", r"(?i)[\w\p{L}]{1,1000}", accepts=(b"Abc",)),
    Case("words counted", 3, "ok", "regex", r"(\w+\s+){0,499}\w+", accepts=(b"ab " * 499 + b"c",), rejects=(b"a " * 500 + b"c",)),
    Case("any of 50 words in a search", 3, "ok", "search", "|".join(f"word{i}" for i in range(50)), accepts=(b"a word7 b",), rejects=(b"word",)),
    Case("search with a counter", 3, "ok", "search", "ab{500}c", accepts=(b"x" + b"a" + b"b" * 500 + b"c",)),
    Case("e-mail", 3, "ok", "regex", r"^([a-zA-Z0-9_.\-])+@(([a-zA-Z0-9\-])+\.)+([a-zA-Z0-9]{2,4})+$", accepts=(b"a.b@c-d.org",)),
    Case("look-ahead with a counter", 3, "ok", "regex", "(?=.{5,1000}$)[a-z]*", accepts=(b"a" * 1000,), rejects=(b"a" * 4, b"a" * 1001)),
    Case("look-ahead with a big counter", 3, "ok", "regex", "(?=.{0,100000}$)(a|b)*", accepts=(b"ab" * 100,)),
    Case("look-behind with a counter", 3, "ok", "regex", "[ab]*(?<=a.{20})c", accepts=(b"a" + b"b" * 20 + b"c",), rejects=(b"b" * 30 + b"c",)),
    Case("look-behind with a big counter", 3, _LIMIT, "regex", "[ab]*(?<=a.{1000})c"),
    Case("passwords: four look-aheads", 3, "ok", "regex", r"(?=.*\d)(?=.*[a-z])(?=.*[A-Z])(?=.*[^\w]).{8,64}", accepts=(b"aB3$aB3$",), rejects=(b"aB3aB3aB3",)),
    Case("20 look-aheads", 3, "ok", "regex", "".join(f"(?=.*{chr(97 + i)})" for i in range(20)) + "[a-t]*", accepts=(bytes(range(97, 117)),)),
    Case("negative look-ahead at every place", 3, "ok", "regex", "((?!abc).)*", accepts=(b"ab" * 99,), rejects=(b"xabcx",)),
    Case("word boundaries in a loop", 3, "ok", "regex", r"(\b\w{1,10}\b\W{1,10}){1,100}", accepts=(b"ab, cd. ",)),
    Case("word boundary behind every character", 3, "ok", "regex", r"(?:.\b){2}", accepts=(b"(a", "=é".encode()), rejects=(b"a(",), dead=(b"aa",)),
    Case("intersection of counters", 3, "ok", act=_made(lambda: regex(".{0,100000}") & regex(".*a.{10}")), accepts=(b"a" * 11,)),
    Case("intersection that blows up", 3, "ok", act=_made(lambda: regex(".{0,100000}") & regex(".*a.{1000}")), accepts=(b"a" + b"b" * 1000,)),
    Case("intersection of two subsets", 3, "ok", act=_made(lambda: regex(".*a.{60}") & regex(".*b.{61}"))),
    Case("difference that blows up", 3, "ok", act=_made(lambda: regex(".{0,100000}") - regex(".*a.{1000}")), accepts=(b"b" * 2000,)),
    Case("complement of a counter", 3, "ok", act=_made(lambda: ~regex("a{0,1000}")), accepts=(b"a" * 1001,), rejects=(b"a" * 1000,)),
    Case("product of coprime loops", 3, "ok", act=_made(lambda: regex("(a{97})*") & regex("(a{89})*") & regex("a+")), accepts=(b"a" * 97 * 89,), rejects=(b"a" * 97,)),
    Case("product of many coprime loops", 3, _LIMIT, act=_made(lambda: regex("(a{97})*") & regex("(a{89})*") & regex("(a{83})*") & regex("a+"))),
    Case("repeat of repeat", 3, "ok", act=_made(lambda: literal("a").repeat(0, 10**6).repeat(0, 10**6)), accepts=(b"a" * 5000,)),
    Case("repeat over the limit", 3, _LIMIT, act=_made(lambda: literal("a").repeat(0, 10**12))),
    Case("difference with 10000 words", 3, "ok", act=_made(lambda: regex("[a-z0-9]+") - regex("|".join(f"w{i}" for i in range(10**4)))), rejects=(b"w77",), accepts=(b"w10000",)),
    Case("lark: counted", 3, "ok", "lark", 'start: ("a" ~ 1000) ~ 1000', alive=(b"a" * 5000,), rejects=(b"a" * 1000,)),
    Case("lark: counted range", 3, "ok", "lark", 'start: (A | B) ~ 0..1000000\nA: /x{0,1000}/\nB: "y"', accepts=(b"", b"xy" * 50)),
    Case("lark: terminal with a counter", 3, "ok", "lark", "start: A\nA: /.{0,100000}/", accepts=(b"a" * 1000,)),
    Case("lark: terminal (a|b)*a(a|b){20}", 3, _LIMIT, "lark", "start: A\nA: /(a|b)*a(a|b){20}/", accepts=(b"a" * 21,)),
    Case("lark: count over the limit", 3, _LIMIT, "lark", 'start: "a" ~ 4294967296', span=True),
    Case("lark: lazy terminal", 3, "ok", "lark", r'start: A+' + "\n" + r'A: /"(\\.|[^"])*?"/', accepts=(b'"a""b"',)),
    Case("gbnf: counted", 3, "ok", "gbnf", 'root ::= ("a"{1000}){1000}', alive=(b"a" * 5000,), rejects=(b"a" * 1000,)),
    Case("gbnf: count over the limit", 3, _LIMIT, "gbnf", 'root ::= "a"{4294967296}', span=True),
    Case("gbnf: counters nested 20 deep", 3, "ok", "gbnf", "root ::= " + "(" * 20 + '"a" "b"?' + "){1,1000}" * 20, accepts=(b"abaab",)),
)  # fmt: skip
