"""`read_lark` accepts what Lark's Earley parser with `lexer="dynamic_complete"` accepts, and refuses the rest."""

from __future__ import annotations

import itertools
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import lark
import pytest

from grammars.errors import GrammarSyntaxError, LimitExceeded, ScansionError, UnsupportedFeature
from grammars.expression import Call, Repeat, subexpressions
from grammars.grammar import Grammar
from grammars.lark_syntax import read_lark
from grammars.limits import Limits
from tests.naive.random_grammars import RandomGrammars
from tests.naive.span_recogniser import SpanRecogniser

CASES = [
    ('start: "a" start "b" |', "ab", 6),
    ('start: start "a" | "b"', "ab", 5),
    ('start: start start | "a"', "ab", 5),
    ('start: x start "a" | "b"\nx: "c"?', "abc", 4),
    ('start: x\nx: "a" x "a" | "b" | x x', "ab", 5),
    ('start: "a"~2..4 "b"?', "ab", 6),
    ('start: ("a"|"b")~3', "ab", 4),
    ('start: "a"~0 "b"', "ab", 3),
    ('start: ["a"] ["b"] "a"', "ab", 4),
    ('start: a b c\na: "x"?\nb: a a\nc: b | "y"', "xy", 5),
    ('start: (("a" | "b") "c" | ["d"])+', "abcd", 4),
    ('start: "a" "b"\n%ignore " "', "ab ", 5),
    ('start: "a"?\n%ignore " "', "a ", 4),
    ('start: A "b"\nA: "a" "a"\n%ignore " "', "ab ", 5),
    ('start: "(" start ")" | "a"\n%ignore /[ ]+/', "(a) ", 5),
    ('start: x*\nx: "a" | "b"\n%ignore "c"\n%ignore " "', "abc ", 4),
    ('start: "a" (B "c")*\nB: "b"\n%ignore B', "abc", 5),
    ('start: "a" "b"\n%ignore ("c" | "d") "c"', "abcd", 5),
    ('start: _sep{x, ","}\n_sep{i,s}: i (s i)*\nx: "a"', "a,", 6),
    ('start: f{g}\nf{x}: x{"a"} "b"\ng{y}: y y', "ab", 4),
    ('start: f{f{"a"}}\nf{x}: x "b"', "ab", 4),
    ('start: twice{/a+/} twice{"b".."c"}\ntwice{x}: x x', "abc", 5),
    ('start: A\nA: B B\nB: "a" | "b" "b"', "ab", 5),
    ('start: A "c"\nA: /a|b/ "c"', "abc", 4),
    ('start: A\nA: ("a" | "b")~2..3', "ab", 4),
    ('start: A\nA: "a"~2..3 B?\nB: "b"+', "ab", 6),
    ('start: A\nA: ("a" | "ab" | "abc") "b"*', "abc", 5),
    ('start: A\nA: "a"+ ("ab")?', "ab", 5),
    ('start: A | B\nA.5: "a"\nB.-1: /[ab]/', "ab", 2),
    ('start: "A"i "b"', "aAbB", 3),
    ("start: /a+b?/i", "aAbB", 4),
    ("start: /a b # c\n/x", "ab ", 3),
    ("start: /a.b/s | /^a$/m", "a\nb", 3),
    ('start: "a".."c"', "abcd", 2),
    ('start: "\\n" "\\t" "\\x41" "\\\\"', "\n\tA\\", 4),
    ("start: /\\//", "/", 2),
    ('start: WS "x"\n%import common.WS', " \nx", 4),
    ("start: I\n%import common.INT -> I", "01a", 3),
    ("start: NUMBER\n%import common (NUMBER, WS)\n%ignore WS", "1.e ", 5),
    ("start: ESCAPED_STRING\n%import common.ESCAPED_STRING", '"\\a', 6),
    ("start: C\n%import common.C_COMMENT -> C", "/*a", 6),
    ("start: NAME\n%import python.NAME", "a_1é", 3),
    ("start: STRING\n%import python.STRING", "\"\\b\n'", 4),
    ("start: L\n%import unicode.WS -> L", " \t\xa0a", 2),
    ('start: python__x\npython__x: "a"', "a", 2),
    ('start: a\na: "x"\n%override a: "y"', "xy", 2),
    ('start: a\na: "x"\n%extend a: "y" a', "xy", 4),
    ('start: A\nA: "x"\n%extend A: "xy"', "xy", 4),
    ('?start: a -> b\n | c\n!a: "x"\n_c: "y"\nc: _c', "xy", 3),
    ('start: ((("a")))  // comment\n # another\n\n\n\n\n | "b"', "ab", 2),
]


def accepted_by_earley(grammar: str) -> Callable[[str], bool]:
    parser = lark.Lark(grammar, parser="earley", lexer="dynamic_complete")

    def accepts(text: str) -> bool:
        try:
            parser.parse(text)
        except lark.exceptions.UnexpectedInput:
            return False
        except RuntimeError:  # lark's "multiple start symbol items": it has accepted the text in two ways
            return True
        return True

    return accepts


def texts(alphabet: str, longest: int) -> Iterator[str]:
    return ("".join(t) for n in range(longest + 1) for t in itertools.product(alphabet, repeat=n))


@contextmanager
def patience(seconds: int) -> Iterator[None]:
    """Lark's own parsers do not end on some ambiguous or cyclic grammars."""

    def give_up(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize(("grammar", "alphabet", "longest"), CASES)
def test_small_grammars_accept_what_earley_accepts(grammar: str, alphabet: str, longest: int) -> None:
    theirs, ours = accepted_by_earley(grammar), SpanRecogniser(*read_lark(grammar))
    assert [text for text in texts(alphabet, longest) if ours.accepts(text) != theirs(text)] == []


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="needs an alarm to interrupt lark")
def test_random_grammars_accept_what_earley_accepts() -> None:
    source, compared = RandomGrammars(seed=1, assertions=False, ignores=['"c"']), 0
    for _ in range(40):
        grammar = source.grammar()
        try:
            theirs = accepted_by_earley(grammar)
        except lark.exceptions.LarkError:
            continue  # empty terminals and doubled rules, which lark refuses
        ours = SpanRecogniser(*read_lark(grammar))
        try:
            with patience(4):
                expected = {text: theirs(text) for text in texts("abc", 4)}
        except TimeoutError:
            continue
        assert (grammar, [text for text in expected if ours.accepts(text) != expected[text]]) == (grammar, [])
        compared += 1
    assert compared > 18


def test_ignored_text_stands_between_terminals_and_never_inside() -> None:
    ours = SpanRecogniser(*read_lark('start: "ab" "c"\n%ignore " "'))
    assert [ours.accepts(text) for text in ("abc", " ab  c ", "a bc")] == [True, True, False]


def test_terminals_become_rules_and_are_shared() -> None:
    start, rules = read_lark("start: NAME start | NAME\nNAME: /[a-z]+/")
    assert start == Call("start")
    assert sorted(rules) == ["NAME", "start"]


def test_repetitions_of_rules_stay_symbolic() -> None:
    _, rules = read_lark('start: x~3..1000000\nx: "a" "b"')
    assert [(n.low, n.high) for n in subexpressions(rules["start"]) if isinstance(n, Repeat)] == [(3, 1_000_000)]


def test_a_rule_that_nothing_uses_is_not_translated() -> None:
    assert sorted(read_lark('start: "a"\nunused: NEVER\nNEVER: /(a)\\1/')[1]) == ["start"]


@pytest.mark.parametrize("nested", ['%regex "[0-9]+"', "%regex /[0-9]+/", '%regex {"pattern": "[0-9]+"}'])
def test_nested_regexes_stand_where_literals_stand(nested: str) -> None:
    ours = SpanRecogniser(*read_lark(f'start: "(" {nested} ")" A\nA: "x" {nested} | "y" // {nested}'))
    assert [ours.accepts(text) for text in ("(12)x3", "(1)y", "()y", "(1)x")] == [True, True, False, False]


@pytest.mark.parametrize(
    ("grammar", "column"),
    [
        ('start: "a', 8),
        ("start: /a", 8),
        ("start: (", 9),
        ('start: "a" )', 12),
        ("start: a:", 9),
        ("%%", 1),
        ("start: b", 8),
        ("start: B", 8),
        ('start: "b".."a"', 8),
        ('start: "ab".."c"', 8),
        ('start: "a"~-1', 12),
        ('start: "a"~3..1', 12),
        ('start: ""', 8),
        ('start: "\\x4"', 8),
        ('start: "\\ud800"', 8),
        ('start: "\ud800"', 9),
        ('start: "a"\nstart: "b"', 1),
        ('start: A\nA: "x" A', 1),
        ('start: A\nA: a\na: "x"', 4),
        ("start: a{b}\nb: a{b}\na{x,y}: x", 8),
        ('start: a\na{x}: x "b"', 8),
        ("start: A\nA:", 1),
        ("start: /(/", 8),
        ('%override start: "a"', 11),
        ("start: %regex 3", 8),
        ('a: "x"', 1),
        ("", 1),
    ],
)
def test_errors_say_where(grammar: str, column: int) -> None:
    with pytest.raises(GrammarSyntaxError) as caught:
        read_lark(grammar)
    assert caught.value.span is not None
    assert caught.value.span.column == column


@pytest.mark.parametrize(
    "grammar",
    [
        "%import .secrets.PASSWORD\nstart: PASSWORD",
        "%import os.path.SEP\nstart: SEP",
        "%declare A\nstart: A",
        "%declare a\nstart: a",
        "start: <|end|>",
        "start: A\nA: %json {}",
        'start: %json {"type": "string", "pattern": "(a)\\\\1"}',
        "start: %llguidance {}",
        r"start: /(a)\1/",
        "start: /a/l",
        "%import python.file_input -> start",
    ],
)
def test_what_cannot_be_enforced_is_refused(grammar: str) -> None:
    with pytest.raises(UnsupportedFeature):
        read_lark(grammar)


def test_a_schema_may_stand_in_a_rule() -> None:
    start, rules = read_lark(
        """start: "call " %json {"properties": {"a": {"items": {"type": "string"}, "uniqueItems": true}},
                                 "type": "object", "required": ["a"], "additionalProperties": false} other*
        other: ";" %json { "minimum": 3, "type": "integer" }
        %ignore " "
        """
    )
    grammar = Grammar.of_rules(start, rules)
    assert grammar.matches(b'call {"a": ["x","y"]} ; 5;6')
    assert not grammar.matches(b'call {"a": ["x","x"]}')
    assert not grammar.matches(b'call {"a": []}; 2')
    assert not grammar.matches(b'call {"b": []}')


@pytest.mark.parametrize(
    ("grammar", "message"),
    [
        ("start: %json 3", "wants a schema"),
        ('start: %json {"type": "integer"', "does not end"),
        ('start: %json {"type": "text"}', "%json: type"),
        ("start: %json {'type'}", "not JSON"),
    ],
)
def test_a_bad_schema_in_a_rule_is_an_error_with_a_place(grammar: str, message: str) -> None:
    with pytest.raises(GrammarSyntaxError, match=message) as caught:
        read_lark(grammar)
    assert caught.value.span is not None


def test_priorities_and_modifiers_do_not_change_the_language() -> None:
    plain, decorated = 'start: a | B\na: "x"\nB: "y"', '?start.3: a -> z\n | B\n!a.-2: "x"\nB.7: "y"'
    assert read_lark(plain) == read_lark(decorated)


HOSTILE = {
    "100,000 parentheses": "start: " + "(" * 100_000 + '"a"' + ")" * 100_000,
    "a thousand groups": "start: " + '("x" [' * 450 + '"a"' + "])" * 450,
    "nested templates": "a{x}: x\nstart: " + "a{" * 900 + '"x"' + "}" * 900,
    "templates without end": 'start: a{"x"}\na{x}: "y" a{b{x}}\nb{x}: x x',
    "templates that double": 'start: a{"x"}\na{x}: "y" a{b{x,x}}\nb{x,y}: x y',
    "backslashes": 'start: "' + "\\" * 4001 + "\n",
    "blank lines": 'start: "a"' + "\n \n" * 100_000 + '| "c"\n',
    "exponential terminals": "start: A60\nA0: /a*b?/\n" + "\n".join(f"A{i + 1}: A{i} A{i}" for i in range(40)),
    "exponential strings": 'start: A60\nA0: "a"\n' + "\n".join(f"A{i + 1}: A{i} A{i}" for i in range(40)),
    "long chain of terminals": 'start: A2000\nA0: "a"\n' + "\n".join(f'A{i + 1}: A{i} "b"' for i in range(2000)),
    "long chain of rules": 'start: a0\na3000: "x"\n' + "\n".join(f'a{i}: a{i + 1} "b"' for i in range(3000)),
    "many alternatives": "start: " + '("a"|"b")' * 40,
    "counters": "start: A B\nA: /(a{1000}){1000}/\nB: /.{0,100000}/",
    "exponential regex": "start: /(a|b)*a(a|b){20}/",
    "count out of range": 'start: "a"~99999999999999999999999999999',
    "a million tokens": "start: " + "a " * 1_000_000,
    "10,000 keywords": "start: A\nA: " + " | ".join(f'"kw{i}"' for i in range(10_000)),
    "cyclic": "start: start",
    "hidden left recursion": 'start: a start "b" | "c"\na:',
    "NUL": 'start: "\0"',
    "nested regex groups": "start: /" + "(" * 900 + "a" + ")" * 900 + "/",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_grammars_end_soon_on_a_small_stack(name: str) -> None:
    outcome: list[object] = []  # stays empty if anything but a ScansionError escapes

    def attempt() -> None:
        begin = time.thread_time()
        try:
            read_lark(HOSTILE[name])
        except ScansionError as error:
            outcome.append(error)
        outcome.append(time.thread_time() - begin)

    before = threading.stack_size(256 * 1024)
    try:
        thread = threading.Thread(target=attempt)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    *errors, seconds = outcome
    assert len(errors) <= 1
    assert isinstance(seconds, float)
    assert seconds < 5


def test_deep_groups_are_read_when_the_limits_allow() -> None:
    text = "start: " + "(" * 5_000 + '"a" "b"' + ")" * 5_000
    assert SpanRecogniser(*read_lark(text, limits=Limits(nesting=100_000))).accepts("ab")
    with pytest.raises(LimitExceeded):
        read_lark(text)


def test_three_thousand_rules_are_read() -> None:
    rules = "\n".join(f'r{i}: "k{i}" NAME r{(i + 1) % 3000} | NAME' for i in range(3000))
    _, found = read_lark(f"start: r0\n{rules}\nNAME: /[a-z]+/")
    assert len(found) == 3002
