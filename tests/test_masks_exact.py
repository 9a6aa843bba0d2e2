"""A mask holds exactly the tokens that some text can follow: checked against the definition, for random languages."""

from __future__ import annotations

import random

import numpy as np
import pytest

from grammars import DEAD, Grammar, TokenAutomaton, UnsatisfiableGrammar, Vocabulary
from tests.naive.prefixes import Prefixes
from tests.random_languages import random_rules, random_vocabulary

SEEDS = range(150)


def bits(mask: np.ndarray, size: int) -> set[int]:
    return {t for t in range(size) if mask[t >> 5] >> (t & 31) & 1}


def allowed_by_definition(language: Prefixes, vocabulary: Vocabulary, prefix: bytes) -> set[int]:
    ordinary = [t for t in range(vocabulary.size) if t not in vocabulary.eos and t not in vocabulary.special]
    viable = {data: language.viable(prefix + data) for data in {vocabulary.tokens[t] for t in ordinary}}
    allowed = {t for t in ordinary if viable[vocabulary.tokens[t]]}
    return allowed | (set(vocabulary.eos) if language.accepts(prefix) else set())


def walk(automaton: TokenAutomaton, rng: random.Random, steps: int) -> list[tuple[bytes, int]]:
    """Prefixes and states along a random text of allowed tokens."""
    vocabulary, prefix, state = automaton.vocabulary, b"", automaton.start
    seen = [(prefix, state)]
    for _ in range(steps):
        mask = np.zeros((1, vocabulary.words), np.uint32)
        automaton.fill_masks([state], mask)
        choices = sorted(bits(mask[0], vocabulary.size) - set(vocabulary.eos))
        if not choices or len(prefix) > 6:
            break
        token = rng.choice(choices)
        prefix, state = prefix + vocabulary.tokens[token], automaton.advance(state, token)
        seen.append((prefix, state))
    return seen


@pytest.mark.parametrize("seed", [pytest.param(s, marks=pytest.mark.jitless if s < 12 else ()) for s in SEEDS])
def test_a_mask_holds_exactly_the_tokens_that_can_be_completed(seed: int) -> None:
    rng = random.Random(seed)
    start, rules = random_rules(rng)
    language = Prefixes(start, rules)
    vocabulary = random_vocabulary(rng)
    if not language.productive(start):
        with pytest.raises(UnsatisfiableGrammar):
            Grammar(start, rules).compile(vocabulary)
        return
    automaton = Grammar(start, rules).compile(vocabulary)
    for prefix, state in walk(automaton, rng, steps=4):
        mask = np.zeros((1, vocabulary.words), np.uint32)
        automaton.fill_masks([state], mask)
        assert bits(mask[0], vocabulary.size) == allowed_by_definition(language, vocabulary, prefix), prefix
        assert automaton.accepts(state) == language.accepts(prefix)
        for token in range(vocabulary.size):
            is_allowed = bool(mask[0][token >> 5] >> (token & 31) & 1)
            assert automaton.allows(state, token) == is_allowed
            assert (automaton.advance(state, token) != DEAD) == is_allowed
