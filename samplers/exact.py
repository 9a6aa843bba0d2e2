"""Exact: no sampling error at all, where the problem is small enough.

**Idea.** Visit every prefix that can be completed within the token budget, layer by layer, then compute backwards with
which probability each is completed.

**Formula.** h*(u) = p($ | u)·m(u, $)·ψ(u) + Σ_a p(a | u)·m(u, a)·h*(ua), Z = h*(root), and
P*(a | u) = p(a | u)·h*(ua)/h*(u).
Prefixes that no model and no constraint can tell apart share a node: for a model with a finite memory (its attribute
`memory`, as `models.NGram` has) a node is the last few tokens and the state of the constraint, so a layer stays small
and texts of any length are within reach: this is the backward recursion of a product of a Markov chain and an
automaton. Otherwise a node is a prefix.

**Law.** Exact: independent draws from P*, and Z, not an estimate; all rows carry it as their weight.

**Cost.** One model call per node, asked by layers in large batches. At most `max_prefixes` nodes, else
`BudgetExhausted`.

**When.** Tests, tables of truth, small finite choices ("yes", "no", "unclear"), n-gram models under any regular
constraint. `enumerate_texts` returns the solution itself: P*, h*, Z.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from grammars.errors import BudgetExhausted, DeadEnd
from samplers.bits import tokens_of
from samplers.driver import sample
from samplers.errors import require
from samplers.evaluation import Evaluator
from samplers.log_space import log_sum
from samplers.particles import pinned
from samplers.problem import Problem
from samplers.protocols import NO_TOKENS, Contexts, Info
from samplers.samples import END, Certificate, Samples
from samplers.tape import Source, tape_of

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.uint32]

END_EDGE = -1  # where an edge leads that ends the text
_BATCH = 1 << 24  # log-probabilities asked for at once


@dataclass(eq=False)
class Layer:
    """The nodes of one depth and the edges that leave them, in the order of the nodes."""

    contexts: list[Ints]
    states: list[int]
    pin: object = None
    begin: list[int] = field(default_factory=lambda: [0])  # edges of node i: begin[i] to begin[i + 1]
    tokens: list[Ints] = field(default_factory=list[Ints])
    log_ps: list[Floats] = field(default_factory=list[Floats])
    targets: list[Ints] = field(default_factory=list[Ints])
    token: Ints = field(default_factory=lambda: NO_TOKENS)
    log_p: Floats = field(default_factory=lambda: np.zeros(0))
    target: Ints = field(default_factory=lambda: NO_TOKENS)  # node of the next layer, or END_EDGE
    log_edge: Floats = field(default_factory=lambda: np.zeros(0))  # log p + log h of the target
    log_h: Floats = field(default_factory=lambda: np.zeros(0))

    def edges(self, node: int) -> slice:
        return slice(self.begin[node], self.begin[node + 1])

    def add(self, tokens: Ints, log_p: Floats, targets: Ints) -> None:
        """The edges of the next node."""
        self.tokens.append(tokens)
        self.log_ps.append(log_p)
        self.targets.append(targets)
        self.begin.append(self.begin[-1] + len(tokens))

    def solve(self, log_scores: Floats, log_h_below: Floats) -> None:
        """Fix the edges, and compute log h of every node from that of the layer below."""
        self.token, self.log_p = np.concatenate(self.tokens), np.concatenate(self.log_ps)
        self.target = np.concatenate(self.targets)
        nodes = np.repeat(np.arange(len(self.contexts)), np.diff(self.begin))
        below = np.append(log_h_below, -math.inf)[np.maximum(self.target, END_EDGE)]
        self.log_edge = self.log_p + np.where(self.target == END_EDGE, log_scores[nodes], below)
        self.log_h = np.array([log_sum(self.log_edge[self.edges(i)]) for i in range(len(self.contexts))])


class Enumeration:
    """A solved problem.

    >>> from grammars import Vocabulary, regex
    >>> from samplers.models import Tabulated
    >>> v = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    >>> solved = enumerate_texts(Problem(Tabulated(v, {}, otherwise=[2, 1, 1]), regex("a|bb")))
    >>> round(math.exp(solved.log_z), 6), {x: round(p, 4) for x, p in sorted(solved.probabilities().items())}
    (0.140625, {(0,): 0.8889, (1, 1): 0.1111})
    >>> round(math.exp(solved.log_completion([1])), 6)
    0.0625
    """

    def __init__(self, layers: list[Layer]):
        self.layers = layers
        self.log_z = float(layers[0].log_h[0])

    def probabilities(self, most: int = 1 << 20) -> dict[tuple[int, ...], float]:
        """P*(x) of every text x, a tuple of tokens."""
        return {x: math.exp(mass - self.log_z) for x, mass in self.masses(most)}

    def masses(self, most: int = 1 << 20) -> Iterator[tuple[tuple[int, ...], float]]:
        """log P(x)·ψ(x) of every text x."""
        stack: list[tuple[int, int, tuple[int, ...], float]] = [(0, 0, (), 0.0)]
        while stack:
            depth, node, prefix, log_p = stack.pop()
            layer = self.layers[depth]
            edges = layer.edges(node)
            for edge in range(edges.start, edges.stop):
                target = int(layer.target[edge])
                if target != END_EDGE:
                    longer = (*prefix, int(layer.token[edge]))
                    stack.append((depth + 1, target, longer, log_p + float(layer.log_p[edge])))
                elif layer.log_edge[edge] > -math.inf:
                    most -= 1
                    if most < 0:
                        raise BudgetExhausted("there are more texts than `most`")
                    yield prefix, log_p + float(layer.log_edge[edge])

    def log_completion(self, prefix: Sequence[int]) -> float:
        """log h*: the probability (with the potentials' factor) that the prefix is completed to a text."""
        node = 0
        if len(prefix) >= len(self.layers):
            return -math.inf
        for layer, token in zip(self.layers, prefix, strict=False):
            edges = layer.edges(node)
            leads = (layer.token[edges] == token) & (layer.target[edges] != END_EDGE)
            if not leads.any():
                return -math.inf
            node = int(layer.target[edges][leads][0])
        return float(self.layers[len(prefix)].log_h[node])

    def draw(self, n: int, rng: Source) -> Drawn:
        """`n` independent draws from P*."""
        tape, nodes = tape_of(rng), np.zeros(n, np.int64)
        drawn = Drawn([[] for _ in range(n)], np.zeros(n), np.zeros(n))
        for layer in self.layers:
            following = np.full(n, END_EDGE)
            for node in np.unique(nodes[nodes != END_EDGE]).tolist():
                rows, edges = np.flatnonzero(nodes == node), layer.edges(node)
                log_edge = np.broadcast_to(layer.log_edge[edges], (len(rows), edges.stop - edges.start))
                chosen = edges.start + tape.choose(log_edge)
                drawn.follow(layer, rows, chosen)
                following[rows] = layer.target[chosen]
            nodes = following
        return drawn


class Drawn(NamedTuple):
    """Draws from an `Enumeration`."""

    prefixes: list[list[int]]
    log_probs: Floats
    log_scores: Floats

    def follow(self, layer: Layer, rows: Ints, edges: Ints) -> None:
        """One edge further, each row its own."""
        ends = layer.target[edges] == END_EDGE
        self.log_probs[rows] += layer.log_p[edges]
        self.log_scores[rows[ends]] += layer.log_edge[edges[ends]] - layer.log_p[edges[ends]]
        pairs: list[tuple[int, int]] = list(zip(rows[~ends].tolist(), layer.token[edges[~ends]].tolist(), strict=True))
        for row, token in pairs:
            self.prefixes[row].append(token)


@dataclass(frozen=True, eq=False)
class Growth:
    """Layers that are done, the one whose nodes are being asked for, and the beginnings of the next.

    The layers are shared between the states of one run: they only grow.
    """

    n: int
    layers: list[Layer]
    following: Layer
    number: dict[tuple[bytes, int], int]
    asked: int = 0  # nodes of the last layer whose edges are known
    batch: int = 1
    done: bool = False
    draws: Samples | None = None

    @property
    def contexts(self) -> Contexts:
        return () if self.done else self.layers[-1].contexts[self.asked : self.asked + self.batch]

    @property
    def demand(self) -> int:
        return len(self.contexts)


@dataclass(frozen=True)
class Exact:
    """Enumerates the problem, then draws without error.

    >>> from grammars import Vocabulary, regex
    >>> from samplers import Problem, sample
    >>> from samplers.models import NGram
    >>> v = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    >>> problem = Problem(NGram(v, [[0, 1, 0], [0, 0]], order=2), regex("(ab?)+"), max_tokens=60)
    >>> samples = sample(problem, Exact(), n=2, seed=0)
    >>> samples.text, samples.certificate.distance
    ((b'aa', b'aa'), 0.0)
    """

    max_prefixes: int = 1 << 20

    law: ClassVar[str] = "exact"

    def __post_init__(self) -> None:
        require(self.max_prefixes >= 1, f"max_prefixes is at least 1, not {self.max_prefixes}")

    def init(self, problem: Problem, n: int, rng: Source) -> Growth:
        root = Layer([NO_TOKENS], [problem.constraint.start])
        batch = max(1, _BATCH // problem.vocabulary.size)
        return Growth(n, [root], Layer([], []), {}, batch=batch, done=n == 0)

    def step(self, problem: Problem, state: Growth, log_probs: Floats, rng: Source) -> tuple[Growth, Info]:
        layer = state.layers[-1]
        memory = memory_of(problem)
        batch = slice(state.asked, state.asked + len(log_probs))
        nodes = zip(layer.contexts[batch], _masks(problem, layer, batch), layer.states[batch], log_probs, strict=True)
        for context, mask, at, row in nodes:
            self._expand(problem, state, context, mask, at, row, memory)
        info = Info(np.zeros(0), notes={"depth": len(state.layers) - 1, "prefixes": len(layer.contexts)})
        return _advanced(problem, replace(state, asked=batch.stop), rng), info

    def finish(self, problem: Problem, state: Growth) -> Samples:
        return state.draws if state.draws is not None else _as_samples(problem, Drawn([], *np.zeros((2, 0))), None)

    def _expand(
        self, problem: Problem, state: Growth, context: Ints, mask: Mask, at: int, row: Floats, memory: int | None
    ) -> None:
        """The edges of one node, and the nodes they lead to."""
        tokens = tokens_of(mask, problem.vocabulary.size)
        tokens = tokens[(row[tokens] > -math.inf) & ~problem.is_end(tokens)]
        states = problem.advanced(np.full(len(tokens), at), tokens)
        alive = states >= 0
        pairs: list[tuple[int, int]] = list(zip(tokens[alive].tolist(), states[alive].tolist(), strict=True))
        targets = [self._target(state, _longer(context, token), after, memory) for token, after in pairs]
        log_p = row[tokens[alive]]
        log_end = problem.log_end(row[None])[0]
        edges = tokens[alive], np.array(targets, np.int64)
        if log_end > -math.inf and problem.constraint.accepts(at):
            end = np.array([END_EDGE])
            edges, log_p = (np.append(edges[0], end), np.append(edges[1], end)), np.append(log_p, log_end)
        state.layers[-1].add(edges[0], log_p, edges[1])

    def _target(self, state: Growth, context: Ints, at: int, memory: int | None) -> int:
        """The node of a prefix in the layer that is being built."""
        remembered = context if memory is None else context[max(0, len(context) - memory) :]
        key = (remembered.tobytes(), at)
        node = state.number.setdefault(key, len(state.number))
        if node == len(state.following.contexts):
            state.following.contexts.append(context)
            state.following.states.append(at)
            if sum(len(layer.contexts) for layer in state.layers) + node >= self.max_prefixes:
                raise BudgetExhausted(
                    f"the problem has more than {self.max_prefixes} prefixes",
                    hint="raise Exact(max_prefixes=...), lower max_tokens, or use another sampler",
                )
        return node


def memory_of(problem: Problem) -> int | None:
    """How many of the last tokens decide what follows; None if all do.

    >>> from grammars import Vocabulary, regex
    >>> from samplers.models import NGram
    >>> v = Vocabulary([b"a", b"<end>"], eos=[1])
    >>> memory_of(Problem(NGram(v, [[0]], order=3), regex("a*")))
    2
    """
    model = problem.model.model if isinstance(problem.model, Evaluator) else problem.model
    return None if problem.potentials else getattr(model, "memory", None)


def _masks(problem: Problem, layer: Layer, batch: slice) -> Mask:
    """The masks of some nodes; at the token budget nothing may follow but the end."""
    return problem.mask_rows(layer.states[batch], end_only=len(layer.contexts[0]) >= problem.max_tokens)


def _longer(context: Ints, token: int) -> Ints:
    return np.append(context, token)


def _advanced(problem: Problem, state: Growth, rng: Source) -> Growth:
    """Go on to the next layer when this one is complete; solve and draw when there is none."""
    if state.asked < len(state.layers[-1].contexts):
        return state
    if state.following.contexts:
        state.following.pin = pinned(problem.constraint, state.following.states)
        layers = [*state.layers, state.following]
        return replace(state, layers=layers, following=Layer([], []), number={}, asked=0)
    solved = _solved(problem, state.layers)
    return replace(state, done=True, draws=_as_samples(problem, solved.draw(state.n, rng), solved))


def _solved(problem: Problem, layers: list[Layer]) -> Enumeration:
    below = np.zeros(0)
    for layer in reversed(layers):
        layer.solve(problem.log_complete(layer.contexts), below)
        below = layer.log_h
    if layers[0].log_h[0] == -math.inf:
        raise DeadEnd("the model gives the language no mass within the token budget", hint="raise max_tokens")
    return Enumeration(layers)


def _as_samples(problem: Problem, drawn: Drawn, solved: Enumeration | None) -> Samples:
    tokens = tuple(np.array(prefix, np.int64) for prefix in drawn.prefixes)
    log_z = math.nan if solved is None else solved.log_z
    return Samples(
        tokens=tokens,
        finish=(END,) * len(tokens),
        text=tuple(problem.text(t) for t in tokens),
        log_weights=np.full(len(tokens), log_z),
        log_probs=drawn.log_probs,
        log_proposal=drawn.log_probs + drawn.log_scores - log_z,
        log_potential=drawn.log_scores,
        log_z=log_z,
        certificate=None if solved is None else Certificate(log_z, log_z, 0.0),
        notes={} if solved is None else {"enumeration": solved},
    )


def enumerate_texts(problem: Problem, max_prefixes: int = 1 << 20) -> Enumeration:
    """The solution of a problem: P*, h* and Z.

    >>> from grammars import Vocabulary, regex
    >>> from samplers.models import Tabulated
    >>> v = Vocabulary([b"a", b"<end>"], eos=[1])
    >>> round(math.exp(enumerate_texts(Problem(Tabulated(v, {}, otherwise=[1, 1]), regex("a{2,3}"))).log_z), 6)
    0.1875
    """
    return sample(problem, Exact(max_prefixes), 1, seed=0).notes["enumeration"]
