"""Family 6: recursion of every kind and ambiguity of any degree. The language is the grammar's, the work is bounded."""

from __future__ import annotations

from tests.bad_input.case import Case

_TWO_HUNDRED = b"a" * 200

CASES = (
    Case("left recursion", 6, "ok", "lark", 'start: start "+" "x" | "x"', accepts=(b"x" + b"+x" * 999,), dead=(b"+",)),
    Case("left recursion of two rules", 6, "ok", "lark", 'start: b "x" | "y"\nb: start "z" | "w"', accepts=(b"wx", b"y" + b"zx" * 99), dead=(b"x",)),
    Case("left recursion in a ring of 100", 6, "ok", "gbnf", "root ::= r0\n" + "\n".join(f'r{i} ::= r{(i + 1) % 100} "a" | "b"' for i in range(100)), accepts=(b"b" + b"a" * 500,), dead=(b"ab",)),
    Case("hidden left recursion", 6, "ok", "lark", 'start: b start "x" | "x"\nb: | "y"', accepts=(b"x", b"xxx", b"yxx", b"yyxxx"), rejects=(b"yx", b"y")),
    Case("hidden left recursion behind two", 6, "ok", "lark", 'start: b c start "x" | "x"\nb: "y"?\nc: b b', accepts=(b"x" * 50, b"yyyxx")),
    Case("right recursion", 6, "ok", "lark", 'start: "x" start | "x"', accepts=(b"x" * 5000,), dead=(b"y",)),
    Case("right recursion behind nothing", 6, "ok", "lark", 'start: "x" start b | "x"\nb: | "y"', accepts=(b"x" * 500, b"xxyy"[:3])),
    Case("recursion in the middle", 6, "ok", "lark", 'start: "a" start "b" | ', accepts=(b"", b"a" * 500 + b"b" * 500), rejects=(b"aab",)),
    Case("rule that is itself", 6, "ok", "lark", 'start: start | "x"', accepts=(b"x",), rejects=(b"xx",)),
    Case("rule that is itself and empty", 6, "ok", "lark", 'start: start | start start | "x" |', accepts=(b"", b"x" * 99)),
    Case("ring of rules", 6, "ok", "gbnf", 'root ::= b\nb ::= c | "y"\nc ::= root | "x"', accepts=(b"x", b"y"), rejects=(b"xy",)),
    Case("itself behind an empty rule", 6, "ok", "lark", 'start: b start | "x"\nb:', accepts=(b"x",), rejects=(b"", b"xx")),
    Case("itself between empty rules", 6, "ok", "lark", 'start: b start b | "x"\nb: |', accepts=(b"x",), rejects=(b"xx",)),
    Case("star of an empty rule", 6, "ok", "lark", 'start: b* "x"\nb: | "y"', accepts=(b"x", b"yyx")),
    Case("star of a star", 6, "ok", "gbnf", 'root ::= (("a"*)*)* "b"', accepts=(b"b", _TWO_HUNDRED + b"b")),
    Case("counted copies of an empty rule", 6, "ok", "lark", 'start: b ~ 5..9 "x"\nb: | "y"', accepts=(b"x", b"y" * 9 + b"x"), dead=(b"y" * 10,)),
    Case("s: s s | a", 6, "ok", "lark", 'start: start start | "a"', accepts=(_TWO_HUNDRED,), rejects=(b"",)),
    Case("s: s s s | s s | a", 6, "ok", "lark", 'start: start start start | start start | "a"', accepts=(_TWO_HUNDRED,)),
    Case("s: s s | a | empty", 6, "ok", "lark", 'start: start start | "a" | ', accepts=(b"", _TWO_HUNDRED)),
    Case("s: s s s | a, even lengths", 6, "ok", "lark", 'start: start start start | "a"', accepts=(b"a" * 199,), rejects=(_TWO_HUNDRED,)),
    Case("ambiguous expression", 6, "ok", "lark", 'start: start "+" start | start "*" start | start "?" start ":" start | "x"', accepts=(b"x" + b"+x*x?x:x" * 99,)),
    Case("dangling else", 6, "ok", "lark", 'start: "i" start | "i" start "e" start | "s"', accepts=(b"i" * 200 + b"s" + b"es" * 150,), rejects=(b"ses",)),
    Case("palindromes", 6, "ok", "lark", 'start: "a" start "a" | "b" start "b" | "a" | "b" |', accepts=(b"ab" * 60 + b"ba" * 60,), rejects=(b"ab",)),
    Case("many lists of one element", 6, "ok", "gbnf", 'root ::= (w w w w | w w)*\nw ::= "a" | w w', accepts=(_TWO_HUNDRED,)),
    Case("overlapping words", 6, "ok", "lark", 'start: W+\nW: /a+/ | /aa+/ | /(aa)+/', accepts=(_TWO_HUNDRED,)),
    Case("ignored text everywhere", 6, "ok", "lark", 'start: (A | B)*\nA: "a"\nB: /a* */\n%ignore /[ a]*/\n%ignore " "', accepts=(b"a a" * 60,)),
    Case("30 nullable rules in a row", 6, "ok", "gbnf", "root ::= " + " ".join(f"r{i}" for i in range(30)) + "\n" + "\n".join(f'r{i} ::= "a"? root?' for i in range(30)), accepts=(b"a" * 60,)),
    Case("template that grows for ever", 6, "LimitExceeded", "lark", 'start: t{"a"}\nt{x}: x | t{u{x}}\nu{x}: x x'),
    Case("500 ways to begin", 6, "LimitExceeded", "gbnf", "root ::= " + " | ".join(f"r{i}" for i in range(500)) + "\n" + "\n".join(f'r{i} ::= r{(i * 7 + 1) % 500}? "a" root?' for i in range(500)), accepts=(b"a" * 20,)),
)  # fmt: skip
