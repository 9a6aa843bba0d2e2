"""The truth about a world, by enumeration: the rows of the model after every prefix, P*, and what errors are.

An estimate is a set of weighted texts. Its **error** is that of the expectations of some test functions, each in units
of its standard deviation under P*, as a root mean square: then n independent draws from P* have error 1/√n in every
world, whatever the functions. Half of the functions look at the whole text (a fair coin for each text), the others at
its first three bytes, its last three bytes, or its length.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from grammars import TokenAutomaton, Vocabulary, regex
from samplers import Evaluator, Problem, enumerate_texts
from samplers.protocols import LanguageModel

if TYPE_CHECKING:
    from worlds import World

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_PREFIXES = 1 << 17
_COINS, _ENDS = 12, 5


class Remembered:
    """A model of known rows."""

    def __init__(self, vocabulary: Vocabulary, rows: Mapping[bytes, Floats]):
        self.vocabulary, self.rows = vocabulary, rows

    def log_probs(self, contexts: Sequence[Ints], parents: Ints | None = None) -> Floats:
        """The rows of `contexts`."""
        return np.array([self.rows[context.tobytes()] for context in contexts]).reshape(-1, self.vocabulary.size)


class _Recorder(Remembered):
    """Asks another model, and remembers."""

    def __init__(self, model: LanguageModel):
        super().__init__(model.vocabulary, {})
        self._model, self._known = model, dict[bytes, Floats]()

    def log_probs(self, contexts: Sequence[Ints], parents: Ints | None = None) -> Floats:
        rows = self._model.log_probs(contexts, parents)
        self._known.update(zip((context.tobytes() for context in contexts), rows, strict=True))
        return rows

    def model(self) -> Remembered:
        return Remembered(self.vocabulary, self._known)


@dataclass(frozen=True, eq=False)
class Truth:
    """All prefixes, all texts."""

    world: World
    model: Remembered
    automaton: TokenAutomaton
    log_z: float
    place: dict[bytes, int]
    """Number of each text, by its tokens."""
    log_probs: Floats
    values: Floats
    """Test functions, (texts, functions), in units of their standard deviation and centred at their expectation."""

    def problem(self) -> Problem:
        """A problem whose calls are counted from 0."""
        return Problem(Evaluator(self.model), self.automaton, max_tokens=self.world.max_tokens)

    @property
    def entropy(self) -> float:
        """Of P*, in nats."""
        p = np.exp(self.log_probs - self.log_z)
        return float(-np.sum(p * np.log(np.where(p > 0.0, p, 1.0))))

    def error(self, weights: Mapping[bytes, float]) -> float:
        """Of weighted texts; of nothing, that of a guess: one standard deviation."""
        rows = [self.place[text] for text in weights]
        shares = np.array(list(weights.values()))
        if not shares.sum() > 0.0:
            return 1.0
        means = (shares / shares.sum()) @ self.values[rows]
        return float(np.sqrt(np.mean(means**2)))

    def total_variation(self, weights: Mapping[bytes, float]) -> float:
        """Between weighted texts and P*."""
        target, found = np.exp(self.log_probs - self.log_z), np.zeros(len(self.log_probs))
        total = sum(weights.values())
        for text, weight in weights.items():
            found[self.place[text]] = weight / total
        return float(np.abs(found - target).sum() / 2) if total > 0.0 else 1.0

    def found(self, texts: Mapping[bytes, float]) -> dict[bytes, float]:
        """Texts weighted by their probability."""
        return {text: math.exp(float(self.log_probs[self.place[text]]) - self.log_z) for text in texts}

    def ideal_error(self, n: int) -> float:
        """Of n independent draws from P*."""
        return 1.0 / math.sqrt(n)


def solved(world: World) -> Truth:
    """Enumerate a world."""
    recorder = _Recorder(world.make())
    automaton = regex(world.pattern).compile(recorder.vocabulary)
    problem = Problem(recorder, automaton, max_tokens=world.max_tokens)
    solution = enumerate_texts(problem, MOST_PREFIXES)
    masses = list(solution.masses())
    texts = [problem.text(np.array(tokens, np.int64)) for tokens, _ in masses]
    place = {np.array(tokens, np.int64).tobytes(): i for i, (tokens, _) in enumerate(masses)}
    log_probs = np.array([log_p for _, log_p in masses])
    values = _standardised(_functions(list(place), texts), np.exp(log_probs - solution.log_z))
    return Truth(world, recorder.model(), automaton, solution.log_z, place, log_probs, values)


def _functions(tokens: list[bytes], texts: list[bytes]) -> Floats:
    """Test functions of all texts."""
    whole = [_coins(key, _COINS, 1) for key in tokens]
    first = [_coins(text[:3], _ENDS, 2) for text in texts]
    last = [_coins(text[-3:], _ENDS, 3) for text in texts]
    lengths = [[float(len(text)), float(len(key))] for text, key in zip(texts, tokens, strict=True)]
    return np.concatenate([np.array(part, np.float64) for part in (whole, first, last, lengths)], axis=1)


def _coins(key: bytes, count: int, salt: int) -> list[float]:
    """Fair coins that depend on a key alone."""
    bits = int.from_bytes(hashlib.blake2b(key, digest_size=8, salt=bytes([salt])).digest(), "little")
    return [float(bits >> i & 1) for i in range(count)]


def _standardised(values: Floats, p: Floats) -> Floats:
    """Centred, in units of the standard deviation; functions that are constant under P* are left out."""
    centred = values - p @ values
    deviation = np.sqrt(p @ centred**2)
    varied = deviation > 1e-3
    return centred[:, varied] / deviation[varied]
