"""Contract checks for classes of your own: does it do what its protocol says, not only have the methods?

Each check walks about at random, seeded, and raises `BrokenContract` with the first thing that is wrong. A sampler is
judged by its exact law on a small world: if it claims to be properly weighted, E[w·1{x}] must be P(x)·1[x ∈ L] exactly.

>>> from grammars import Vocabulary, regex
>>> from samplers.masking import Masking
>>> check_constraint(regex("a+").compile(Vocabulary([b"a", b"b", b"<end>"], eos=[2])))
>>> check_sampler(Masking)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from grammars.errors import BudgetExhausted
from grammars.front_ends import choice
from grammars.vocabulary import Vocabulary
from samplers.bits import flags_of, has
from samplers.driver import sample
from samplers.errors import BrokenContract
from samplers.evaluation import checked_rows
from samplers.exact import Exact
from samplers.laws import exact_law, text_law, weighted_law
from samplers.models.tabulated import Tabulated
from samplers.problem import Problem, checked_scores
from samplers.protocols import Constraint, LanguageModel, Potential, Sampler
from samplers.samples import CUT, END, LENGTH, Samples

Ints = NDArray[np.int64]
Mask = NDArray[np.uint32]

DEAD = -1
_LAWS = ("exact", "weighted", "approximate")


def _require(holds: bool, thing: object, message: str) -> None:
    if not holds:
        name = cast("Any", thing).__name__ if isinstance(thing, type) else type(thing).__name__
        raise BrokenContract(f"{name}: {message}")


# -- constraints ------------------------------------------------------------------------------------------------------


def check_constraint(constraint: Constraint, *, walks: int = 20, steps: int = 8, seed: int = 0) -> None:
    """Walk through a constraint and compare its methods with each other.

    >>> from samplers.constraints import length
    >>> check_constraint(length(1, 3).over(Vocabulary([b"a", b"<end>"], eos=[1])))
    """
    _require(isinstance(cast("object", constraint), Constraint), constraint, "lacks a part of the Constraint protocol")
    rng = np.random.default_rng(seed)
    _require(constraint.start != DEAD, constraint, "starts dead: its language is empty")
    dead = constraint.advance_many(np.array([DEAD]), np.array([0]))
    _require(np.asarray(dead).tolist() == [DEAD], constraint, "advance_many must leave the dead state -1 as it is")
    for _ in range(walks):
        states = [constraint.start]
        for _ in range(steps):
            mask = _check_state(constraint, states[-1], rng)
            going = np.flatnonzero(flags_of(mask, constraint.vocabulary.size))
            going = going[~np.isin(going, constraint.vocabulary.eos)]
            if not len(going):
                break
            token = rng.choice(going)
            states.append(int(constraint.advance_many(np.array([states[-1]]), np.array([token]))[0]))
        together = _masks(constraint, states)
        alone = np.concatenate([_masks(constraint, [state]) for state in states])
        _require(bool((together == alone).all()), constraint, "fill_masks of many states differs from one at a time")


def _masks(constraint: Constraint, states: list[int]) -> Mask:
    out = np.full((len(states), constraint.vocabulary.words), 0xFFFFFFFF, np.uint32)
    constraint.fill_masks(np.array(states, np.int64), out)
    return out


def _check_state(constraint: Constraint, state: int, rng: np.random.Generator) -> Mask:
    size, mask = constraint.vocabulary.size, _masks(constraint, [state])[0]
    beyond = flags_of(mask, 32 * constraint.vocabulary.words)[size:]
    _require(not beyond.any(), constraint, f"the mask of state {state} holds ids past the vocabulary")
    accepts = bool(constraint.accepts(state))
    for token in constraint.vocabulary.eos:
        agrees = has(mask, token) == accepts
        _require(agrees, constraint, f"in state {state} end token {token} and accepts() = {accepts} disagree")
    for token in {int(t) for t in rng.integers(0, size, 16)} | set(constraint.vocabulary.eos):
        allowed, after = has(mask, token), constraint.advance_many(np.array([state]), np.array([token]))
        agrees = bool(constraint.allows(state, token)) == allowed
        _require(agrees, constraint, f"in state {state} allows({token}) disagrees with the mask")
        agrees = (int(np.asarray(after)[0]) != DEAD) == allowed
        _require(agrees, constraint, f"in state {state} advance_many over token {token} disagrees with the mask")
    return mask


# -- potentials -------------------------------------------------------------------------------------------------------


def check_potential(potential: Potential, vocabulary: Vocabulary, *, texts: int = 50, seed: int = 0) -> None:
    """Ask a potential about random texts, and whether its -inf on prefixes keeps its promise.

    >>> from samplers.potentials import text_potential
    >>> v = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    >>> check_potential(text_potential(lambda text: -len(text)).over(v), v)
    """
    _require(isinstance(cast("object", potential), Potential), potential, "lacks log_prefix or log_complete")
    rng = np.random.default_rng(seed)
    ordinary = np.flatnonzero(vocabulary.kind == 0)
    for _ in range(texts):
        text = rng.choice(ordinary, rng.integers(0, 8))
        prefixes = [text[:length] for length in range(len(text) + 1)]
        for method in ("log_prefix", "log_complete"):
            scores = checked_scores(potential, method, prefixes)
            alone = [float(checked_scores(potential, method, [prefix])[0]) for prefix in prefixes]
            _require(_close(scores, alone), potential, f"{method} of many contexts differs from one at a time")
        on_prefix = checked_scores(potential, "log_prefix", prefixes)
        complete = checked_scores(potential, "log_complete", prefixes)
        for length in np.flatnonzero(np.isneginf(on_prefix)).tolist():
            kept = bool(np.isneginf(complete[length:]).all())
            _require(kept, potential, f"log_prefix is -inf for {prefixes[length].tolist()}, yet a completion has mass")


def _close(some: Any, others: Any) -> bool:
    return bool(np.allclose(some, others, rtol=1e-6, atol=1e-6))


# -- models -----------------------------------------------------------------------------------------------------------


def check_model(model: LanguageModel, *, texts: int = 10, seed: int = 0, tolerance: float = 1e-4) -> None:
    """Ask a model about random prefixes: rows are normalised, the same alone and in a batch, with parents and without.

    >>> check_model(Tabulated(Vocabulary([b"a", b"<end>"], eos=[1]), {}, otherwise=[1, 1]))
    """
    _require(isinstance(cast("object", model), LanguageModel), model, "lacks vocabulary or log_probs")
    rng = np.random.default_rng(seed)
    ordinary = np.flatnonzero(model.vocabulary.kind == 0)
    for _ in range(texts):
        contexts = [rng.choice(ordinary, rng.integers(0, 6)) for _ in range(3)]
        rows = checked_rows(model, model.log_probs(contexts), len(contexts))
        longer = [np.append(context, rng.choice(ordinary)) for context in contexts]
        with_parents = checked_rows(model, model.log_probs(longer, np.arange(len(longer))), len(longer))
        for context, row in (*zip(contexts, rows, strict=True), *zip(longer, with_parents, strict=True)):
            alone = checked_rows(model, model.log_probs([context]), 1)[0]
            off = float(np.abs(np.exp(alone) - np.exp(row)).max())
            message = (
                f"the row of {context.tolist()} depends on the batch or on parents: a probability differs by {off}"
            )
            _require(off <= tolerance, model, message)


# -- samplers ---------------------------------------------------------------------------------------------------------


def tiny_problem() -> Problem:
    """A world small enough for exact laws: three tokens, four texts, a model that prefers what is forbidden.

    >>> tiny_problem().max_tokens
    2
    """
    vocabulary = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    table: dict[tuple[int, ...], list[int]] = {(): [2, 1, 1], (0,): [1, 2, 1], (1,): [1, 1, 2]}
    return Problem(Tabulated(vocabulary, table, otherwise=[1, 1, 2]), choice([b"a", b"ab", b"ba", b"bb"]), max_tokens=2)


def tiniest_problem() -> Problem:
    """A smaller one, two texts of one token, for samplers that try again and again.

    >>> tiniest_problem().max_tokens
    1
    """
    vocabulary = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    table: dict[tuple[int, ...], list[int]] = {(): [2, 1, 1], (0,): [1, 2, 1], (1,): [2, 1, 1]}
    return Problem(Tabulated(vocabulary, table, otherwise=[1, 1, 2]), choice([b"a", b"b"]), max_tokens=1)


def check_sampler(
    make: Callable[[], Sampler], *, law: str | None = None, n: int = 2, problem: Problem | None = None
) -> None:
    """Judge a sampler, made anew by `make` for each run, by what it returns and by its exact law on a small world.

    `law` is "exact", "weighted" or "approximate"; by default what the sampler itself says. All that the sampler can do
    is visited, so one that tries again and again must be made with a small bound, `lambda: Rejection(max_draws=2)`, or
    be judged on a smaller `problem` than `tiny_problem`; its probabilities must be small fractions.

    >>> from samplers.greedy import GreedyNLL
    >>> check_sampler(GreedyNLL)
    >>> check_sampler(GreedyNLL, law="weighted")
    Traceback (most recent call last):
    samplers.errors.BrokenContract: GreedyNLL: is not properly weighted: E[w] of (0,) is 0, not 1/8
    """
    problem, sampler = tiny_problem() if problem is None else problem, make()
    _require(isinstance(cast("object", sampler), Sampler), sampler, "lacks init, step or finish")
    claimed = law or str(getattr(sampler, "law", ""))
    _require(claimed in _LAWS, sampler, f"its law is {claimed!r}, not one of {', '.join(_LAWS)}")
    for seed in range(20):
        samples, again = _drawn(problem, make(), n, seed), _drawn(problem, make(), n, seed)
        if samples is not None:
            check_samples(problem, samples, sampler)
        same = (samples and samples.text) == (again and again.text)
        _require(same, sampler, "the same seed gives other texts: it draws outside the tape")
    _require(len(sample(problem, make(), 0, 0)) == 0, sampler, "n = 0 must give no rows")
    if claimed != "approximate":
        _check_law(problem, make, claimed)


def _drawn(problem: Problem, sampler: Sampler, n: int, seed: int) -> Samples | None:
    try:
        return sample(problem, sampler, n, seed)
    except BudgetExhausted:  # a sampler may give up, as long as it says so
        return None


def check_samples(problem: Problem, samples: Samples, sampler: object) -> None:
    """Whether samples are consistent with themselves, the model and the constraint.

    >>> from samplers.masking import Masking
    >>> check_samples(tiny_problem(), sample(tiny_problem(), Masking(), 3, 0), Masking())
    """
    n = len(samples.tokens)
    columns = (samples.log_weights, samples.log_probs, samples.log_proposal, samples.log_potential)
    _require(all(c.shape == (n,) and c.dtype == np.float64 for c in columns), sampler, "columns are float64 (n,)")
    _require(len(samples.finish) == len(samples.text) == n, sampler, "finish and text need one entry for each row")
    for row, draw in enumerate(samples):
        _require(draw.finish in (END, LENGTH, CUT), sampler, f"finish is {draw.finish!r}")
        _require(draw.text == problem.text(draw.tokens), sampler, f"text of row {row} is not that of its tokens")
        _require(not math.isnan(draw.log_weight) and draw.log_weight < math.inf, sampler, "a weight is NaN or infinite")
        if draw.finish == END:
            _check_finished(problem, draw.tokens, draw.log_prob, sampler)
        else:
            _require(draw.log_weight == -math.inf, sampler, f"row {row} is unfinished and has a weight")


def _check_finished(problem: Problem, tokens: Ints, log_prob: float, sampler: object) -> None:
    state = np.array([problem.constraint.start])
    log_p = 0.0
    for length, token in enumerate(tokens.tolist()):
        log_p += float(problem.model.log_probs([tokens[:length]])[0, token])
        state = problem.advanced(state, np.array([token]))
    complete = state[0] != DEAD and problem.constraint.accepts(int(state[0]))
    _require(bool(complete), sampler, f"calls {tokens.tolist()} finished, which is not in the language")
    _require(len(tokens) <= problem.max_tokens, sampler, "a finished row is longer than max_tokens")
    log_p += float(problem.log_end(problem.model.log_probs([tokens]))[0])
    _require(_close(log_p, log_prob), sampler, f"log_probs of {tokens.tolist()} is {log_prob}, the model says {log_p}")


def _check_law(problem: Problem, make: Callable[[], Sampler], claimed: str) -> None:
    truth = {x: mass for x, mass in weighted_law(exact_law(problem, Exact)).items() if mass}
    law = exact_law(problem, make)
    found = weighted_law(law)
    for x, mass in truth.items():
        value = found.get(x, Fraction(0))
        _require(value == mass, make(), f"is not properly weighted: E[w] of {x} is {value}, not {mass}")
    if claimed == "exact":
        texts: dict[Any, Fraction] = {x: p for x, p in text_law(law).items() if isinstance(x, tuple)}
        total, z = sum(texts.values(), Fraction(0)), sum(truth.values(), Fraction(0))
        for x, mass in truth.items():
            share = texts.get(x, Fraction(0)) / total if total else Fraction(0)
            _require(share == mass / z, make(), f"is not exact: {x} has probability {share}, not {mass / z}")
