"""Closing is exact: a token may follow if and only if the text can be finished within the tokens that are left."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from decoding.server.closing import Closing
from decoding.server.drawing import Drawing, Knobs
from grammars import Grammar, TokenAutomaton, Vocabulary, gbnf, json_schema, regex
from samplers import Problem, enumerate_texts, sample
from samplers.models import Tabulated
from samplers.samples import END

VOCABULARY = Vocabulary([b"a", b"b", b"ab", b"bb", b"aab", b"(", b")", b"))", b"<end>"], eos=[8])
LANGUAGES: dict[str, Grammar] = {
    "counted": regex("a{1,4}b{3}"),
    "alternatives": regex("ab|aabbaab|bb(ab)*a"),
    "nested": gbnf('root ::= "a" | "(" root ")" root?'),
    "even": regex("(aa|bb|ab)*"),
}


def least(automaton: TokenAutomaton, state: int, most: int) -> int:
    """The fewest tokens to the end, by trying everything; `most + 1` if that is not enough."""
    layer = {state}
    for length in range(most + 1):
        if any(automaton.accepts(each) for each in layer):
            return length
        layer = {automaton.advance(each, token) for each in layer for token in range(8)} - {-1}
    return most + 1


@pytest.mark.parametrize("name", LANGUAGES)
@pytest.mark.parametrize("work", [None, 60])
def test_what_fits_is_what_can_be_finished(name: str, work: int | None):
    automaton = LANGUAGES[name].compile(VOCABULARY)
    closing = Closing(automaton) if work is None else Closing(automaton, work)
    for tokens in product(range(8), repeat=3):
        state = automaton.start
        for token in tokens:
            state = automaton.advance(state, token) if state >= 0 else state
            if state < 0:
                break
            truth = least(automaton, state, 5)
            for left in range(6):
                fits = closing.fits(state, left)
                assert fits <= (truth <= left)  # never too much, however little work there is
                if work is None:
                    assert fits == (truth <= left)
    assert work is not None or closing.undecided == 0


@pytest.mark.parametrize("name", LANGUAGES)
def test_drawing_has_the_law_of_the_mask_that_can_be_finished(name: str):
    budget, draws = 4, 4000
    weights = np.array([4, 3, 2, 1, 2, 5, 1, 1, 3.0])
    model = Tabulated(VOCABULARY, {}, otherwise=weights / weights.sum())
    automaton = LANGUAGES[name].compile(VOCABULARY)
    law = dict[tuple[int, ...], float]()

    def walk(prefix: tuple[int, ...], state: int, p: float) -> None:
        left = budget - len(prefix)
        next_states = {token: automaton.advance(state, token) for token in range(8)} if left else {}
        fitting = {t: s for t, s in next_states.items() if s >= 0 and least(automaton, s, left - 1) <= left - 1}
        end = weights[8] if automaton.accepts(state) else 0.0
        total = sum(weights[token] for token in fitting) + end
        if end:
            law[prefix] = p * end / total
        for token, after in fitting.items():
            walk((*prefix, token), after, p * weights[token] / total)

    walk((), automaton.start, 1.0)
    assert sum(law.values()) == pytest.approx(1.0)
    drawn = sample(Problem(model, automaton, max_tokens=budget), Drawing(Knobs(), Closing(automaton)), draws, seed=1)
    assert set(drawn.finish) == {END}
    found = [tuple(tokens.tolist()) for tokens in drawn.tokens]
    assert set(found) <= set(law)
    for text, p in law.items():
        deviation = abs(found.count(text) / draws - p) / np.sqrt(p * (1 - p) / draws + 1e-12)
        assert deviation < 6.0 or p * draws < 5, text


def test_without_a_budget_drawing_is_masking():
    model = Tabulated(VOCABULARY, {}, otherwise=np.full(9, 1 / 9))
    problem = Problem(model, regex("a{2}|ab"), max_tokens=8)
    drawn = sample(problem, Drawing(), 2000, seed=0)
    truth = enumerate_texts(problem)
    assert np.exp(drawn.log_z) == pytest.approx(np.exp(truth.log_z), rel=0.1)


def test_truncation_keeps_what_the_mask_leaves():
    model = Tabulated(VOCABULARY, {}, otherwise=np.array([30, 1, 1, 1, 1, 1, 1, 1, 1.0]))
    problem = Problem(model, regex("b+(ab)?"), max_tokens=3)
    for knobs in (Knobs(top_k=1), Knobs(top_p=0.1), Knobs(min_p=0.9), Knobs(temperature=0)):
        drawn = sample(problem, Drawing(knobs, Closing(problem.constraint)), 20, seed=0)
        assert set(drawn.finish) == {END}


def test_a_schema_that_needs_more_tokens_than_there_are_is_known_beforehand():
    automaton = json_schema({"const": "abc"}).compile(Vocabulary([bytes([i]) for i in range(256)] + [b""], eos=[256]))
    closing = Closing(automaton)
    assert not closing.fits(automaton.start, 4)
    assert closing.fits(automaton.start, 5)


def test_a_large_schema_is_known_to_fit():
    properties = {f"property_{i}": {"type": ["string", "object"][i % 2], "required": ["a"]} for i in range(60)}
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    automaton = json_schema(schema).compile(Vocabulary([bytes([i]) for i in range(256)] + [b""], eos=[256]))
    closing = Closing(automaton)
    assert closing.fits(automaton.start, 4000)
    assert closing.undecided == 0
