"""Tries: what a sampler has learned, by problem.

A sampler of the trie family is a set of options and one `Tries`. Drawing from the same problem again goes on where the
last call ended; another sampler object begins anew, unless it is given the same `Tries`. A `Problem` that nobody holds
any more takes its trie with it.

>>> from grammars import Vocabulary, regex
>>> from samplers import Problem
>>> from samplers.models import Tabulated
>>> v = Vocabulary([b"a", b"<end>"], eos=[1])
>>> problem = Problem(Tabulated(v, {}, otherwise=[1, 1]), regex("a*"))
>>> tries = Tries()
>>> tries.of(problem) is tries.of(problem)
True
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from samplers.problem import Problem
from samplers.trie.storage import File, load_trie, save_trie
from samplers.trie.tree import Trie


class Tries:
    """One trie for each problem."""

    def __init__(self) -> None:
        self._tries: WeakKeyDictionary[Problem, Trie] = WeakKeyDictionary()

    def of(self, problem: Problem, **options: Any) -> Trie:
        """The trie of a problem; a new one, with these options, if there is none."""
        trie = self._tries.get(problem)
        if trie is None:
            trie = self._tries[problem] = Trie(problem, **options)
        return trie

    def save(self, problem: Problem, file: File) -> None:
        """Write the trie of a problem to a path or an open binary file."""
        save_trie(self.of(problem), problem, file)

    def load(self, problem: Problem, file: File) -> None:
        """Go on with a trie that was saved, for the same model, constraint, potentials and token budget."""
        self._tries[problem] = load_trie(problem, file)
