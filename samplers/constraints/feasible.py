"""Answers that can still be completed: permutations, knapsacks, bin packings, schedules.

A language model that writes a tour or a schedule runs into corners: the last city has no road home, the last job misses
its deadline. Here the state of the constraint is the state of the task, a choice is a word of the answer, and a word is
allowed if and only if some completion of the answer exists. So a model can finish every answer it begins.

A task is a `Machine`: a start, the words that may follow a state and what they lead to, and whether the answer may end.
Whether a state can be completed is found by depth-first search with memory: a success ends it at once, and what failed
once is never searched again. These tasks are NP-hard in general: the work is bounded, and beyond it the answer is
`LimitExceeded`, never a wrong mask.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from grammars.errors import LimitExceeded, UnsatisfiableGrammar
from grammars.vocabulary import Vocabulary
from samplers.constraints.bytewise import Bytewise
from samplers.constraints.products import Waiting
from samplers.errors import require

Value = frozenset[tuple[Hashable, bytes]]
Text = str | bytes

_WORK = 1_000_000


class Machine(Protocol):
    """A task. States are hashable; no answer is infinite."""

    @property
    def start(self) -> Hashable: ...

    def choices(self, state: Any) -> Mapping[bytes, Hashable]:
        """The words that may follow, the most promising first, and the states they lead to."""
        ...

    def done(self, state: Any) -> bool:
        """Whether the answer may end here."""
        ...


def feasible(machine: Machine, work: int = _WORK) -> Waiting:
    """The answers of a machine: words are allowed only while a completion exists.

    >>> class Odd:  # an odd number of stars, at most three
    ...     start = 0
    ...     def choices(self, stars): return {b"*": stars + 1} if stars < 3 else {}
    ...     def done(self, stars): return stars % 2 == 1
    >>> stars = feasible(Odd()).over(Vocabulary([b"*", b"**", b"<end>"], eos=[2]))
    >>> [stars.allows(stars.advance_many([stars.start], [1])[0], token) for token in range(3)]
    [True, False, False]
    """
    search = _Search(machine, work)
    if not search.alive(machine.start):
        raise UnsatisfiableGrammar("no answer satisfies the task")
    return Waiting((lambda vocabulary: _constraint(vocabulary, search),))


class _Search:
    """Which states can be completed."""

    def __init__(self, machine: Machine, work: int):
        self.machine = machine
        self._work = work
        self._alive: dict[Hashable, bool] = {}
        self._key: Callable[[Any], Hashable] = getattr(machine, "key", lambda state: state)

    def alive(self, state: Hashable) -> bool:
        """Whether some completion exists from `state`."""
        path: list[tuple[Hashable, Iterator[Hashable]]] = []
        verdict = self._enter(state, path)
        while path:
            here, rest = path[-1]
            if not verdict:
                following = next(rest, None)
                if following is not None:
                    verdict = self._enter(following, path)
                    continue
            self._alive[self._key(here)] = verdict
            path.pop()
        return verdict

    def _enter(self, state: Hashable, path: list[tuple[Hashable, Iterator[Hashable]]]) -> bool:
        """What is known of a state; if nothing is, it is put on the path."""
        known = self._alive.get(self._key(state))
        if known is not None:
            return known
        self._work -= 1
        if self._work < 0:
            raise LimitExceeded("finding out whether the answer can be completed takes too long", hint=_HINT)
        if self.machine.done(state):
            self._alive[self._key(state)] = True
            return True
        path.append((state, iter(list(self.machine.choices(state).values()))))
        return False

    def words(self, state: Hashable) -> dict[bytes, Hashable]:
        """The choices that can be completed."""
        return {word: after for word, after in self.machine.choices(state).items() if self.alive(after)}


_HINT = "make the task smaller or looser, or raise feasible(work=...)"


def _constraint(vocabulary: Vocabulary, search: _Search) -> Bytewise[Value]:
    known: dict[Hashable, dict[bytes, Hashable]] = {}

    def words(state: Hashable) -> dict[bytes, Hashable]:
        if state not in known:
            known[state] = search.words(state)
        return known[state]

    def after(value: Value, byte: int) -> Value | None:
        reached: set[tuple[Hashable, bytes]] = set()
        for state, read in value:
            longer = read + bytes([byte])
            for word, target in words(state).items():
                if word == longer:
                    reached.add((target, b""))
                elif word.startswith(longer):
                    reached.add((state, longer))
        return frozenset(reached) if reached else None

    def complete(value: Value) -> bool:
        return any(not read and search.machine.done(state) for state, read in value)

    return Bytewise(vocabulary, frozenset({(search.machine.start, b"")}), after, complete)


# -- tasks ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Order:
    """Items one after the other, each once. A state is the number of the last item and the set of those used."""

    words: tuple[bytes, ...]
    separator: bytes
    may_follow: Callable[[int, int, int], bool]  # set used so far, last (-1 at first), next
    ranks: tuple[int, ...]

    @property
    def start(self) -> tuple[int, int]:
        return -1, 0

    def choices(self, state: tuple[int, int]) -> dict[bytes, tuple[int, int]]:
        last, used = state
        lead = self.separator if last >= 0 else b""
        free = (i for i in self.ranks if not used >> i & 1 and self.may_follow(used, last, i))
        return {lead + self.words[i]: (i, used | 1 << i) for i in free}

    def done(self, state: tuple[int, int]) -> bool:
        return state[1] == (1 << len(self.words)) - 1


def permutation(
    items: Sequence[Text], separator: Text = " ", may_follow: Callable[[int, int], bool] | None = None
) -> Waiting:
    """Every item once, in any order; with `may_follow(i, j)`, item j may stand behind item i only where it says so: a
    tour along the roads that there are.

    >>> v = Vocabulary([b"a", b"b", b" ", b"<end>"], eos=[3])
    >>> tour = permutation(["a", "b"], may_follow=lambda i, j: i < j).over(v)
    >>> [tour.allows(tour.start, token) for token in range(4)]
    [True, False, False, False]
    """
    words = _words(items)

    def follows(used: int, last: int, following: int) -> bool:
        return last < 0 or may_follow is None or may_follow(last, following)

    return feasible(_Order(words, _bytes(separator), follows, tuple(range(len(words)))))


def schedule(
    jobs: Mapping[str, tuple[float, float]], after: Iterable[tuple[str, str]] = (), separator: Text = " "
) -> Waiting:
    """An order of jobs on one machine that meets every deadline: `jobs[name]` is (duration, deadline), `after` holds
    pairs (first, second) of which the first comes earlier.

    >>> v = Vocabulary([b"x", b"y", b" ", b"<end>"], eos=[3])
    >>> plan = schedule({"x": (2, 9), "y": (3, 4)}).over(v)  # after x, y would end at 5
    >>> [plan.allows(plan.start, token) for token in range(4)]
    [False, True, False, False]
    """
    names = list(jobs)
    number = {name: i for i, name in enumerate(names)}
    needs = [0] * len(names)
    for first, second in after:
        require(first in number and second in number, f"`after` names {first!r} and {second!r}: not both are jobs")
        needs[number[second]] |= 1 << number[first]
    durations, deadlines = [jobs[name][0] for name in names], [jobs[name][1] for name in names]

    def follows(used: int, last: int, following: int) -> bool:
        busy = sum(duration for i, duration in enumerate(durations) if used >> i & 1)
        in_time = busy + durations[following] <= deadlines[following]
        return in_time and needs[following] & ~used == 0

    urgent_first = tuple(sorted(range(len(names)), key=deadlines.__getitem__))
    return feasible(_Schedule(_words(names), _bytes(separator), follows, urgent_first))


class _Schedule(_Order):
    def key(self, state: tuple[int, int]) -> Hashable:
        return state[1]  # what is left depends on the jobs done, not on their order


@dataclass(frozen=True)
class _Knapsack:
    """A state is the number of the next item that may be taken, the weight and the value so far."""

    words: tuple[bytes, ...]
    weights: tuple[float, ...]
    values: tuple[float, ...]
    capacity: float
    at_least: float
    separator: bytes

    start = (0, 0.0, 0.0)

    def choices(self, state: tuple[int, float, float]) -> dict[bytes, tuple[int, float, float]]:
        first, weight, value = state
        lead = b"" if state == self.start else self.separator
        return {
            lead + self.words[i]: (i + 1, weight + self.weights[i], value + self.values[i])
            for i in range(first, len(self.words))
            if weight + self.weights[i] <= self.capacity
        }

    def done(self, state: tuple[int, float, float]) -> bool:
        return state[2] >= self.at_least


def knapsack(
    items: Mapping[str, tuple[float, float]], capacity: float, at_least: float = 0.0, separator: Text = " "
) -> Waiting:
    """Some of the items, in their order, of a total weight of at most `capacity` and a total value of at least
    `at_least`; `items[name]` is (weight, value).

    >>> v = Vocabulary([b"a", b"b", b" ", b"<end>"], eos=[3])
    >>> pack = knapsack({"a": (3, 1), "b": (2, 5)}, capacity=4, at_least=4).over(v)
    >>> [pack.allows(pack.start, token) for token in range(4)]
    [False, True, False, False]
    """
    weights, values = tuple(w for w, _ in items.values()), tuple(v for _, v in items.values())
    require(all(w >= 0 for w in weights) and all(v >= 0 for v in values), "weights and values are not negative")
    return feasible(_Knapsack(_words(list(items)), weights, values, capacity, at_least, _bytes(separator)))


@dataclass(frozen=True)
class _BinPacking:
    """A state is the number of the next item and the room left in each bin."""

    sizes: tuple[float, ...]
    rooms: tuple[float, ...]
    words: tuple[bytes, ...]
    separator: bytes

    @property
    def start(self) -> tuple[int, tuple[float, ...]]:
        return 0, self.rooms

    def choices(self, state: tuple[int, tuple[float, ...]]) -> dict[bytes, tuple[int, tuple[float, ...]]]:
        item, rooms = state
        if item == len(self.sizes):
            return {}
        lead, size = self.separator if item else b"", self.sizes[item]
        return {
            lead + word: (item + 1, (*rooms[:i], rooms[i] - size, *rooms[i + 1 :]))
            for i, word in enumerate(self.words)
            if rooms[i] >= size
        }

    def done(self, state: tuple[int, tuple[float, ...]]) -> bool:
        return state[0] == len(self.sizes)

    def key(self, state: tuple[int, tuple[float, ...]]) -> Hashable:
        return state[0], tuple(sorted(state[1]))  # bins of equal room are alike


def bin_packing(sizes: Sequence[float], bins: Mapping[str, float], separator: Text = " ") -> Waiting:
    """For each item in turn the name of a bin, so that no bin holds more than its capacity `bins[name]`.

    >>> v = Vocabulary([b"A", b"B", b" ", b"<end>"], eos=[3])
    >>> pack = bin_packing([2, 3], {"A": 3, "B": 2}).over(v)  # the second item fits into A alone
    >>> [pack.allows(pack.start, token) for token in range(4)]
    [False, True, False, False]
    """
    return feasible(_BinPacking(tuple(sizes), tuple(bins.values()), _words(list(bins)), _bytes(separator)))


def _words(items: Sequence[Text]) -> tuple[bytes, ...]:
    words = tuple(_bytes(item) for item in items)
    require(len(words) > 0, "the task has no items")
    require(all(words) and len(set(words)) == len(words), "items need different names that are not empty")
    return words


def _bytes(text: Text) -> bytes:
    return text.encode() if isinstance(text, str) else text
