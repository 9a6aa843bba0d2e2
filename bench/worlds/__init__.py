"""Worlds: problems that are small enough for the whole truth, and large enough that nobody sees all of them.

    for world in worlds():                   # 10 tabulated, 2 n-gram, 6 templates over the built-in model
        truth = solved(world)                # every prefix and every text with its probability
        problem = truth.problem()            # a fresh Problem that counts its own calls

* *tabulated*: a model without structure (`hashed`), five languages, peaked and flat, about 10,000 prefixes each.
* *n-gram*: a model with a short memory, longer texts.
* *template*: the built-in model after a prompt, under a finite form.

All seeds are in the tables below. They were written down before anything was measured and are not to be picked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from decoding.embedded import load
from grammars import Vocabulary
from samplers.models import NGram
from samplers.protocols import LanguageModel
from worlds.hashed import Hashed
from worlds.truth import Truth, solved

__all__ = ["Truth", "World", "chosen", "solved", "worlds"]

PEAKED, FLAT, N_GRAM, TEMPLATE = "peaked", "flat", "n-gram", "template"

LETTERS = Vocabulary([b"a", b"b", b"c", b"d", b"ab", b"bc", b"cd", b"<end>"], eos=[7])

LANGUAGES = {
    "one c": (r"[ab]*c[ab]*d?", 7),
    "pairs": (r"([ab]{2}|c)*", 7),
    "has cab": (r"[abcd]*cab[abcd]*", 5),
    "runs": (r"(a+b+c?)+|d{3}", 7),
    "groups": (r"((ab|c)d?){2,5}", 7),
}
LONG_LANGUAGES = {"words": (r"((ab?c|cd?)b?){2,3}", 14), "counted": (r"(a{2,3}b|cd){4,5}", 18)}

PERSON = "Extract the person from: Ada Lovelace is 36 years old.\nJSON:"
TEMPLATES = {
    "age": (PERSON, r' \{"age": [0-9]{1,2}\}', 10),
    "date": ("Question: What day was it?\nAnswer:", r" (19|20)[0-9]{2}-(0[1-9]|1[0-2])", 12),
    "sum": ("Question: What is 12 + 7?\nAnswer:", r" [0-9]{1,3}", 5),
    "blocks": ("Goal:", r" (on|clear)\([abc](,[abc])?\)", 10),
    "colour": ("User: What colour is it?\nAssistant:", r" (red|green|blue|black|white|yellow)(ish)?", 8),
    "query": ("SQL:", r" SELECT (name|age|city) FROM (users|orders);", 8),
}


@dataclass(frozen=True)
class World:
    """A model, a language as a regular expression, and a token budget."""

    name: str
    kind: str
    pattern: str
    max_tokens: int
    make: Callable[[], LanguageModel]
    prompt: str = ""


def worlds() -> Iterator[World]:
    """All of them."""
    for number, (name, (pattern, most)) in enumerate(LANGUAGES.items(), 1):
        for kind, seed, scale, ending in ((PEAKED, 100, 2.5, 0.0), (FLAT, 200, 0.7, -1.5)):
            make = _later(Hashed, LETTERS, seed + number, scale, ending)
            yield World(f"{name}, {kind}", kind, pattern, most, make)
    for number, (name, (pattern, most)) in enumerate(LONG_LANGUAGES.items(), 1):
        yield World(f"{name}, n-gram", N_GRAM, pattern, most, _later(_n_gram, 300 + number))
    for name, (prompt, pattern, most) in TEMPLATES.items():
        yield World(f"{name}, template", TEMPLATE, pattern, most, _later(load, prompt), prompt)


def chosen(names: str) -> list[World]:
    """The worlds of which one of some comma-separated words is part of the name; all, if there are none."""
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    return [world for world in worlds() if not wanted or any(name in world.name for name in wanted)]


def _later(make: Callable[..., LanguageModel], *arguments: object) -> Callable[[], LanguageModel]:
    return lambda: make(*arguments)


def _n_gram(seed: int) -> NGram:
    """A model that has read 40 texts of a random walk over the letters."""
    rng = np.random.default_rng(seed)
    step = rng.dirichlet(np.full(7, 0.4), 7)
    texts = [[int(rng.integers(7))] for _ in range(40)]
    for text in texts:
        while len(text) < 14:
            text.append(int(rng.choice(7, p=step[text[-1]])))
    return NGram(LETTERS, texts, order=3, strength=1.0)
