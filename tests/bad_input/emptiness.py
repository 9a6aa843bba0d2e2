"""Family 7: empty languages are found when they are compiled, and the error says so."""

from __future__ import annotations

from collections.abc import Callable

from grammars import Grammar, TokenAutomaton, choice, gbnf, literal, regex
from tests.bad_input.case import Case
from tests.bad_input.vocabulary import VOCABULARY

_EMPTY = "UnsatisfiableGrammar"


def _made(make: Callable[[], Grammar]) -> Callable[[], TokenAutomaton]:
    return lambda: make().compile(VOCABULARY)


CASES = (
    Case("class of nothing", 7, _EMPTY, "regex", r"[^\s\S]"),
    Case("class of nothing in a sequence", 7, _EMPTY, "regex", r"ab[^\d\D]c"),
    Case("class of nothing in ECMA-262", 7, _EMPTY, "ecma", "a[]"),
    Case("class of nothing, optional", 7, "ok", "regex", r"a[^\s\S]?", accepts=(b"a",), rejects=(b"ab",)),
    Case("class of nothing, starred", 7, "ok", "regex", r"[^\s\S]*", accepts=(b"",), dead=(b"a",)),
    Case("anchors that contradict", 7, _EMPTY, "regex", "a^b"),
    Case("end before text", 7, _EMPTY, "regex", r"a\Zb"),
    Case("look-aheads that contradict", 7, _EMPTY, "regex", "(?=a)b"),
    Case("look-ahead beyond the end", 7, _EMPTY, "regex", "a(?=b)"),
    Case("look-behind before the beginning", 7, _EMPTY, "regex", "(?<=b)a"),
    Case("look-aheads on length", 7, _EMPTY, "regex", "(?=.{5}$)(?=.{6}$).*"),
    Case("word boundary between letters", 7, _EMPTY, "regex", r"a\bb"),
    Case("only surrogates", 7, _EMPTY, "regex", "[\ud800-\udfff]"),
    Case("intersection of two words", 7, _EMPTY, act=_made(lambda: literal("a") & literal("b"))),
    Case("intersection on length", 7, _EMPTY, act=_made(lambda: regex("(aa)*a") & regex("(aa)*"))),
    Case("intersection on a large length", 7, _EMPTY, act=_made(lambda: regex("a{100,200}") & regex("a{300,400}"))),
    Case("difference with itself", 7, _EMPTY, act=_made(lambda: regex("[a-z]+") - regex("[a-z]+"))),
    Case("difference with a larger one", 7, _EMPTY, act=_made(lambda: regex("a+b") - regex("[ab]*"))),
    Case("complement of all text", 7, _EMPTY, act=_made(lambda: ~regex(r"[\s\S]*"))),
    Case("choice of nothing", 7, _EMPTY, act=_made(lambda: choice([]))),
    Case("grammar and regex", 7, _EMPTY, act=_made(lambda: gbnf('root ::= "(" root ")" | "x"') & regex(r"\(+"))),
    Case("rule that never ends", 7, _EMPTY, "lark", 'start: "a" start'),
    Case("two rules that never end", 7, _EMPTY, "gbnf", 'root ::= "a" b\nb ::= "b" root'),
    Case("only itself", 7, _EMPTY, "gbnf", "root ::= root"),
    Case("a part that never ends", 7, _EMPTY, "lark", 'start: "a" b\nb: "b" b'),
    Case("an alternative that never ends", 7, "ok", "lark", 'start: "a" | "b" b\nb: "b" b', accepts=(b"a",), dead=(b"b",)),
    Case("an unused rule that never ends", 7, "ok", "gbnf", 'root ::= "a"\nb ::= b', accepts=(b"a",)),
    Case("terminal of nothing", 7, _EMPTY, "lark", r"start: A" + "\n" + r"A: /[^\s\S]/"),
    Case("gbnf class of nothing", 7, _EMPTY, "gbnf", r"root ::= [^\x00-\U0010FFFF]"),
)  # fmt: skip
