"""Small worlds whose every probability is a small fraction, and the truth about them by brute force."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from grammars import Vocabulary, choice
from samplers import Problem
from samplers.models import Tabulated
from samplers.potentials import TextPotential, text_potential

Text = tuple[int, ...]
WHOLE = 8  # weights of a row sum to this


@dataclass(frozen=True)
class World:
    """A model by table, a finite language, and factors ψ of texts (all 1 if empty)."""

    vocabulary: Vocabulary
    table: dict[Text, list[int]]
    otherwise: list[int]
    strings: tuple[bytes, ...]
    max_tokens: int
    factors: dict[bytes, Fraction]
    guesses: dict[bytes, Fraction]

    def problem(self) -> Problem:
        model = Tabulated(self.vocabulary, self.table, self.otherwise)
        potentials = [self.potential()] if self.factors else []
        return Problem(model, choice(self.strings), potentials, self.max_tokens)

    def potential(self) -> TextPotential:
        return text_potential(
            lambda text: log(self.factors.get(text, Fraction(1))), lambda text: log(self.guesses.get(text, Fraction(1)))
        )

    # -- the truth ------------------------------------------------------------------------------------------------

    @property
    def end(self) -> int:
        return self.vocabulary.size - 1

    def row(self, prefix: Text) -> list[Fraction]:
        return [Fraction(w, WHOLE) for w in self.table.get(prefix, self.otherwise)]

    def text(self, prefix: Text) -> bytes:
        return b"".join(self.vocabulary.tokens[t] for t in prefix)

    def viable(self, prefix: Text) -> bool:
        return any(s.startswith(self.text(prefix)) for s in self.strings)

    def allowed(self, prefix: Text) -> list[int]:
        """The tokens that masks hold; at the token budget the end alone."""
        going = [t for t in range(self.end) if self.viable((*prefix, t))] if len(prefix) < self.max_tokens else []
        return going + ([self.end] if self.text(prefix) in self.strings else [])

    def masses(self) -> dict[Text, Fraction]:
        """P(x)·ψ(x) of every text of the language, however it is split into tokens."""
        found = {x: p * self.factors.get(self.text(x), Fraction(1)) for x, p in self._texts((), Fraction(1))}
        return {x: p for x, p in found.items() if p}

    def _texts(self, prefix: Text, p: Fraction) -> Iterator[tuple[Text, Fraction]]:
        row = self.row(prefix)
        for token in self.allowed(prefix):
            if token == self.end:
                yield prefix, p * row[token]
            else:
                yield from self._texts((*prefix, token), p * row[token])

    def target(self) -> dict[Text, Fraction]:
        """P*."""
        masses = self.masses()
        z = sum(masses.values())
        return {x: mass / z for x, mass in masses.items()}

    def masked_law(self) -> dict[Text | str, Fraction]:
        """What masking draws: each allowed token with its share of the allowed mass."""
        law: dict[Text | str, Fraction] = {}
        self._mask((), Fraction(1), law)
        return law

    def _mask(self, prefix: Text, q: Fraction, law: dict[Text | str, Fraction]) -> None:
        row = self.row(prefix)
        share = {token: row[token] for token in self.allowed(prefix) if row[token]}
        if not share:
            outcome = "length" if len(prefix) == self.max_tokens else "dead"
            law[outcome] = law.get(outcome, Fraction(0)) + q
        for token, p in share.items():
            here = q * p / sum(share.values())
            if token == self.end:
                law[prefix] = law.get(prefix, Fraction(0)) + here
            else:
                self._mask((*prefix, token), here, law)


def log(value: Fraction) -> float:
    return math.log(value) if value else -math.inf


def random_world(seed: int, *, scored: bool = False, tokens: int = 3, length: int = 3, strings: int = 4) -> World:
    """A world with tokens that overlap (a text has several spellings) and rows with zeros."""
    rng = random.Random(seed)
    vocabulary = Vocabulary([*[b"a", b"b", b"ab", b"ba"][:tokens], b"<end>"], eos=[tokens])
    language = sorted({bytes(rng.choice(b"ab") for _ in range(rng.randint(1, length))) for _ in range(strings)})
    prefixes = [(), *((t,) for t in range(tokens)), *((t, s) for t in range(tokens) for s in range(tokens))]
    world = World(
        vocabulary,
        {prefix: _row(rng, tokens + 1) for prefix in prefixes},
        _row(rng, tokens + 1),
        tuple(language),
        rng.choice([length, length, length - 1]),
        {s: rng.choice([Fraction(1), Fraction(1, 2), Fraction(1, 4)]) for s in language} if scored else {},
        {p: rng.choice([Fraction(1), Fraction(2), Fraction(1, 2)]) for p in (b"", b"a", b"b", b"ab")} if scored else {},
    )
    sizes = {"tokens": tokens, "length": length, "strings": strings}
    return world if world.masses() else random_world(seed + 10_000, scored=scored, **sizes)


def _row(rng: random.Random, size: int) -> list[int]:
    cuts = sorted(rng.randint(0, WHOLE) for _ in range(size - 1))
    return [b - a for a, b in zip([0, *cuts], [*cuts, WHOLE], strict=True)]
