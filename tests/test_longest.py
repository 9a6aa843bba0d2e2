"""`read_longest` accepts what Lark's LALR parser with the contextual lexer accepts."""

from __future__ import annotations

import itertools
import re
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from random import Random

import lark
import pytest

import grammars
from grammars.errors import LimitExceeded, ScansionError, UnsupportedFeature
from grammars.longest import collisions, read_longest
from tests.naive.random_grammars import RandomGrammars
from tests.naive.span_recogniser import SpanRecogniser
from tests.test_lark import HOSTILE, patience

CASES = [
    ('start: "a" start "b" |', "ab", 6),
    ('start: NAME*\nNAME: /[a-z]+/\n%ignore " "', "ab ", 4),
    ('start: A | AB | start "c"\nA: "a"\nAB: "ab"', "abc", 4),
    ('start: (NAME|"if")+\nNAME: /[a-z]+/\n%ignore " "', "if ", 5),
    ('start: NAME | "if" NAME\nNAME: /[a-z]+/\n%ignore " "', "if ", 5),
    ('start: "a" NAME | "b" "ab"\nNAME: /[ab]+/', "ab", 5),
    ('start: "a"i NAME?\nNAME: /[ab]+/\n%ignore " "', "aAb ", 4),
    ('start: x ">" ">" x | x ">>" x\nx: "a" | "b"', "ab>", 4),
    ('start: (INT | FLOAT | ".")*\nINT: /[0-9]+/\nFLOAT: /[0-9]+\\.[0-9]+/', "0.", 5),
    ('start: (INT | FLOAT | "." | "e")*\nINT: /[0-9]+/\nFLOAT: /[0-9]+(\\.[0-9]+)?e[0-9]/', "0.e", 5),
    ('start: e\n?e: e "+" t | t\n?t: "a" | "(" e ")"\n%ignore " "', "a+() ", 5),
    ('start: "[" [v ("," v)*] "]"\nv: N | start\nN: /[0-9]+/\n%ignore /[ ]+/', "[],0 ", 5),
    ('start: x+\nx: "a" | "a" "b" -> q', "ab", 5),
    ('start: e\ne: e "+" e | "a"', "a+", 6),
    ('start: s\ns: "i" s | "i" s "e" s | "x"', "iex", 6),
    ('start: a b\na: "x"?\nb: "x" "y"', "xy", 4),
    ('start: A~2..4 B\nA: "a"\nB: "b" | "ab"', "ab", 6),
    ('start: t{A} t{B}\nt{x}: x "," x\nA: "a"\nB: "ab"|"b"', "ab,", 7),
    ("start: S*\n%import common.ESCAPED_STRING -> S", '"\\a', 6),
    ('start: (C|"/"|"*")*\n%import common.C_COMMENT -> C', "/*a", 6),
    ("start: (A|B)*\nA: /a+?b?/\nB: /b+/", "ab", 5),
    ("start: (A|B)*\nA: /a|ab/\nB: /b+/", "ab", 5),
    ('start: (A B)*\nA: "a"\nB: /b*?c/ | /b/', "abc", 5),
    ("start: (A|B|C)*\nA: /a(?=b)/\nB: /b/\nC: /aa/", "ab", 5),
    ('start: (K|N|" ")*\nK: /if\\b/\nN: /[if]/', "if ", 5),
    ("start: (K|N)*\nK.2: /i/\nN: /i+f?/", "if ", 5),
    ("start: (W | X)*\nW: /(?<!a)b/\nX: /a|ab?b/", "ab", 5),
    ("start: (W | X)*\nW: /b$/\nX: /a|b/", "ab\n", 4),
    ('start: (W | X)* "!"\nW: /^b/\nX: /a|bb/', "ab!", 4),
    ('start: A | B\nA: "aa"\nB: "a" "b"\n%ignore "a"', "ab", 5),
    ('start: A B | B\nA: "x"\nB: "y"\n%ignore /x/', "xy", 4),
    ('start: (N "-" N | N) ";"\nN: /-?[0-9]/\n%ignore " "', "0-; ", 5),
    ('start: ("ab" | "a" "c")*\n%ignore /b+/', "abc", 5),
]


def accepted_by_lalr(grammar: str) -> Callable[[str], bool]:
    parser = lark.Lark(grammar, parser="lalr", lexer="contextual")

    def accepts(text: str) -> bool:
        try:
            parser.parse(text)
        except lark.exceptions.UnexpectedInput:
            return False
        return True

    return accepts


def texts(alphabet: str, longest: int) -> Iterator[str]:
    return ("".join(t) for n in range(longest + 1) for t in itertools.product(alphabet, repeat=n))


@pytest.mark.parametrize(("grammar", "alphabet", "longest"), CASES)
def test_small_grammars_accept_what_lalr_accepts(grammar: str, alphabet: str, longest: int) -> None:
    theirs, ours = accepted_by_lalr(grammar), SpanRecogniser(*read_longest(grammar))
    assert [text for text in texts(alphabet, longest) if ours.accepts(text) != theirs(text)] == []


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="needs an alarm to interrupt lark")
@pytest.mark.parametrize("seed", [1, 2])
def test_random_grammars_accept_what_lalr_accepts(seed: int) -> None:
    source, compared = RandomGrammars(seed, assertions=True, ignores=[]), 0
    for _ in range(60):
        grammar = source.grammar()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                theirs = accepted_by_lalr(grammar)
            except lark.exceptions.LarkError:
                with pytest.raises(ScansionError):
                    read_longest(grammar)
                continue
            ours = SpanRecogniser(*read_longest(grammar))
            try:
                with patience(4):
                    expected = {text: theirs(text) for text in texts("abc", 4)}
            except (TimeoutError, re.error):
                continue
        assert (grammar, [text for text in expected if ours.accepts(text) != expected[text]]) == (grammar, [])
        compared += 1
    assert compared > 15


JSON = """
?start: value
?value: object | array | STRING | NUMBER | "true" | "false" | "null"
array: "[" [value ("," value)*] "]"
object: "{" [pair ("," pair)*] "}"
pair: STRING ":" value
%import common.ESCAPED_STRING -> STRING
%import common.SIGNED_NUMBER -> NUMBER
%import common.WS
%ignore WS
"""


def test_a_grammar_whose_tokens_cannot_collide_hardly_grows() -> None:
    _, rules = read_longest(JSON)
    assert len(rules) < 40


def test_json_as_lark_reads_it() -> None:
    theirs, ours = accepted_by_lalr(JSON), SpanRecogniser(*read_longest(JSON))
    good = ['{"a": [1, -2.5e3, "x\\"y"]}', "[]", " null ", "+1", '["a" , {}]', "[1.]"]
    bad = ['{"a" 1}', "[1 2]", '"a"b"', "truefalse", "[1,]", "-"]
    samples = [*good, *bad]
    assert [ours.accepts(text) for text in samples] == [theirs(text) for text in samples]
    assert [text for text in samples if ours.accepts(text)] == good


def test_mutated_json_as_lark_reads_it() -> None:
    theirs, ours = accepted_by_lalr(JSON), grammars.lark(JSON, lexing="longest")
    samples, random = ['{"a": [1, -2.5e3, "x\\"y", null], "b":{"c":true}}', "[1.5,+2 , [] ]"], Random(5)
    letters, accepted = "".join(samples), 0
    for _ in range(400):
        text = list(random.choice(samples))
        for _ in range(random.choice([1, 1, 2])):
            place = random.randrange(len(text))
            text[place : place + random.randint(0, 1)] = random.choices(letters, k=random.randint(0, 2))
        mutant = "".join(text)
        assert (mutant, ours.matches(mutant.encode())) == (mutant, theirs(mutant))
        accepted += theirs(mutant)
    assert 50 < accepted < 350


def test_a_choice_that_lalr_cannot_make_is_refused() -> None:
    with pytest.raises(UnsupportedFeature, match="choose between"):
        read_longest('start: a | b\na: "x"\nb: "x"')


def test_priorities_settle_such_a_choice() -> None:
    grammar = 'start: a "y" | b "z"\na.2: "x"\nb: "x"'
    ours, theirs = SpanRecogniser(*read_longest(grammar)), accepted_by_lalr(grammar)
    assert [ours.accepts(text) for text in ("xy", "xz")] == [theirs(text) for text in ("xy", "xz")] == [True, True]


def test_collisions_name_both_terminals_and_an_example() -> None:
    found = collisions("start: (WORD | HEX | KEY)*\nWORD: /[a-z]+/\nHEX: /[0-9a-f]+/\nKEY: /[!]+/")
    assert [(c.first, c.second) for c in found] == [("HEX", "WORD")]
    assert re.fullmatch("[a-f]+", found[0].example)


def test_terminals_of_different_priority_or_place_do_not_collide() -> None:
    assert collisions("start: (WORD | HEX)*\nWORD.2: /[a-z]+/\nHEX: /[0-9a-f]+/") == []
    assert collisions('start: WORD "!" HEX\nWORD: /[a-z]+/\nHEX: /[0-9a-f]+/') == []


def test_nesting_that_lark_would_recurse_on_is_refused() -> None:
    with pytest.raises(LimitExceeded):
        read_longest("start: " + '("x" [' * 100 + '"a"' + "])" * 100)


HOSTILE_TO_LARK = {
    "multiplied out": HOSTILE["many alternatives"],
    "repeated choice": 'start: ("a"|"b")~49',
    "endless templates": HOSTILE["templates without end"],
    "exponential terminals": HOSTILE["exponential terminals"],
    "exponential regex": HOSTILE["exponential regex"],
    "cyclic": HOSTILE["cyclic"],
    "nested templates": HOSTILE["nested templates"],
    "right recursion 1,500 deep": 'start: a0\na1500: "x"\n' + "\n".join(f'a{i}: "b" a{i + 1}' for i in range(1500)),
    "wide states": "\n".join(["start: " + " | ".join(f"r{i}" for i in range(900))])
    + "\n"
    + "\n".join(f'r{i}: "k{i}" start' for i in range(900)),
    "a rule of 5,000 symbols": "start: " + '"a" ' * 5_000,
}


@pytest.mark.parametrize("name", HOSTILE_TO_LARK)
def test_what_lark_would_not_survive_ends_in_an_answer_on_a_small_stack(name: str) -> None:
    outcome: list[ScansionError | None] = []  # stays empty if anything but a ScansionError escapes

    def attempt() -> None:
        try:
            read_longest(HOSTILE_TO_LARK[name])
            outcome.append(None)
        except ScansionError as error:
            outcome.append(error)

    before = threading.stack_size(256 * 1024)
    try:
        thread = threading.Thread(target=attempt)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    assert len(outcome) == 1
