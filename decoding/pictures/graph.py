"""The graph of a language: its states, and the characters that lead from one to another.

An automaton over single bytes is explored from its start, states from which the same texts may follow are merged
(Moore's partition refinement), and what belongs together is drawn as one:

* the bytes of a character: nodes stand between characters, edges carry sets of characters;
* a chain of single characters: one edge that carries a word.

Languages with more states than wanted (recursive ones have infinitely many) are shown as far as the limit; the nodes
beyond are open.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from decoding.vocabularies import single_bytes
from grammars import Grammar, TokenAutomaton, Vocabulary
from samplers.bits import tokens_of

_MOST_EXPLORED = 600
_ASCII = frozenset(range(0x80))
_NON_ASCII = 0x80
"""In a set of characters this stands for all those outside ASCII that lead the same way."""

Moves = dict[int, frozenset[int]]


@dataclass
class Graph:
    """Nodes are numbers, the start is 0; `moves[a][b]` labels the edge from a to b."""

    labels: dict[tuple[int, int], str] = field(default_factory=dict[tuple[int, int], str])
    accepting: set[int] = field(default_factory=set[int])
    open: set[int] = field(default_factory=set[int])
    """Nodes whose edges are not shown."""

    @property
    def nodes(self) -> list[int]:
        """All nodes, the start first."""
        return sorted({0}.union(*self.labels, self.accepting, self.open))


@dataclass(frozen=True)
class _Explored:
    """States in the order of their discovery, their moves by byte, and whether all moves of all are known."""

    moves: list[NDArray[np.int64]]
    accepting: list[bool]


def graph_of(grammar: Grammar, most: int = 60) -> Graph:
    """The graph of a language over characters, `most` nodes at most.

    >>> from grammars import regex
    >>> graph = graph_of(regex("(ab)+c?"))
    >>> graph.labels, graph.accepting
    ({(0, 1): 'a', (1, 2): 'b', (2, 1): 'a', (2, 3): 'c'}, {2, 3})
    """
    explored = _merged(_explored(grammar.compile(single_bytes()), min(_MOST_EXPLORED, 40 + 8 * most)))
    kept, moves = _characters(explored, most)
    accepting = {number for number, state in enumerate(kept) if explored.accepting[state]}
    opened = {number for number, state in enumerate(kept) if len(explored.moves) <= state or number not in moves}
    words = {(a, b): described(characters) for a, row in moves.items() for b, characters in row.items()}
    return _without_chains(Graph(words, accepting, opened))


def _explored(automaton: TokenAutomaton, most: int) -> _Explored:
    number, states, rows = {automaton.start: 0}, [automaton.start], list[NDArray[np.int64]]()
    every_byte = np.arange(256)
    pins = list[object]()
    for state in states:
        if len(rows) >= most:
            break
        after = automaton.advance_many(np.full(256, state), every_byte)
        pins.append(automaton.matcher_at([s for s in np.unique(after).tolist() if s >= 0]))
        for target in after[after >= 0].tolist():
            if target not in number:
                number[target] = len(states)
                states.append(target)
        rows.append(np.array([number.get(target, -1) for target in after.tolist()]))
    rows += [np.full(256, -2)] * (len(states) - len(rows))  # nobody looked
    return _Explored(rows, [automaton.accepts(state) for state in states])


def _merged(explored: _Explored) -> _Explored:
    """States that no text tells apart become one; those that were not explored stay apart from all others."""
    moves = np.stack(explored.moves)
    unknown = moves[:, 0] == -2
    blocks = np.array(explored.accepting, np.int64)
    blocks[unknown] = 2 + np.arange(int(unknown.sum()))
    while True:
        after = np.append(blocks, [-2, -1])[moves]  # -1 and -2 index the last two, which keep themselves
        number: dict[bytes, int] = {}
        signatures = [row.tobytes() for row in np.column_stack([blocks, after])]
        refined = np.array([number.setdefault(signature, len(number)) for signature in signatures])
        if len(number) == len(np.unique(blocks)):
            return _quotient(explored, moves, refined)
        blocks = refined


def _quotient(explored: _Explored, moves: NDArray[np.int64], blocks: NDArray[np.int64]) -> _Explored:
    """One state for each block, in the order of their first members."""
    _, first = np.unique(blocks, return_index=True)
    order = np.sort(first)
    place = {int(blocks[state]): number for number, state in enumerate(order.tolist())}
    renamed = np.array([place[int(block)] for block in blocks] + [-2, -1])
    return _Explored([renamed[moves[s]] for s in order.tolist()], [explored.accepting[s] for s in order.tolist()])


# -- characters -------------------------------------------------------------------------------------------------------


def _characters(explored: _Explored, most: int) -> tuple[list[int], dict[int, Moves]]:
    """The states between characters, breadth first, and the sets of characters between them."""
    place, order, found = {0: 0}, [0], dict[int, Moves]()
    for state in order:
        if explored.moves[state][0] == -2 or len(found) >= most:
            continue
        row = dict[int, set[int]]()
        for character, target in _edges(explored, state):
            if target not in place:
                place[target] = len(order)
                order.append(target)
            row.setdefault(place[target], set()).add(character)
        found[place[state]] = {target: frozenset(characters) for target, characters in row.items()}
    return order, found


def _edges(explored: _Explored, state: int) -> Iterator[tuple[int, int]]:
    """The characters that may follow a state, and where they lead."""
    row = explored.moves[state]
    yield from ((byte, int(row[byte])) for byte in range(0x80) if row[byte] >= 0)
    reached: set[int] = set()
    for lead, length in ((range(0xC2, 0xE0), 1), (range(0xE0, 0xF0), 2), (range(0xF0, 0xF5), 3)):
        states = {int(row[byte]) for byte in lead} - {-1, -2}
        for _ in range(length):
            states = {int(t) for s in states for t in explored.moves[s][0x80:0xC0]} - {-1, -2}
        reached |= states
    yield from ((_NON_ASCII, target) for target in sorted(reached))


def described(characters: frozenset[int]) -> str:
    """A set of characters as a regex would write it, blanks made visible.

    >>> described(frozenset(b"a")), described(frozenset(b"0123456789abc")), described(_ASCII - set(b'"') | {0x80})
    ('a', '[0-9a-c]', '[^"]')
    """
    if len(characters) == 1 and _NON_ASCII not in characters:
        return _letter(next(iter(characters)))
    if characters >= _ASCII:
        return "any"
    if characters == {_NON_ASCII}:
        return "non-ASCII"
    if _NON_ASCII in characters and len(characters) > len(_ASCII) // 2:
        return f"[^{_ranges(_ASCII - characters)}]"
    return f"[{_ranges(characters - {_NON_ASCII})}{'é…' if _NON_ASCII in characters else ''}]"


def _ranges(characters: Iterable[int]) -> str:
    runs = list[list[int]]()
    for character in sorted(characters):
        if runs and runs[-1][1] == character - 1:
            runs[-1][1] = character
        else:
            runs.append([character, character])
    runs = [[low, high] for low, high in runs if not (low == 0 and high == 0x1F)] or runs  # controls: not worth saying
    return "".join(_range(low, high) for low, high in runs)


def _range(low: int, high: int) -> str:
    if high - low < 2:
        return "".join(map(_letter, range(low, high + 1)))
    return f"{_letter(low)}-{_letter(high)}"


def _letter(character: int) -> str:
    from decoding.pictures.drawing import visible

    return visible(bytes([character]))


def _without_chains(graph: Graph) -> Graph:
    """The graph without nodes that only pass a word on."""
    labels = dict(graph.labels)
    before, after = _neighbours(labels)
    for node in graph.nodes[1:]:
        ins, outs = before.get(node, set()), after.get(node, set())
        if len(ins) != 1 or len(outs) != 1 or node in graph.accepting or node in graph.open or ins == {node}:
            continue
        (source,), (target,) = ins, outs
        if target == node:
            continue
        word = labels.pop((source, node)) + labels.pop((node, target))
        beside = labels.get((source, target))
        labels[source, target] = word if beside is None else f"{beside} | {word}"
        after[source] = after[source] - {node} | {target}
        before[target] = before[target] - {node} | {source}
    return _renumbered(labels, graph)


def _neighbours(labels: Mapping[tuple[int, int], str]) -> tuple[dict[int, set[int]], dict[int, set[int]]]:
    before, after = dict[int, set[int]](), dict[int, set[int]]()
    for a, b in labels:
        after.setdefault(a, set()).add(b)
        before.setdefault(b, set()).add(a)
    return before, after


def _renumbered(labels: Mapping[tuple[int, int], str], graph: Graph) -> Graph:
    used = {0}.union(*labels) | graph.accepting | graph.open
    place = {node: number for number, node in enumerate(sorted(used))}
    moved = {(place[a], place[b]): label for (a, b), label in labels.items()}
    accepting, opened = ({place[node] for node in nodes} for nodes in (graph.accepting, graph.open))
    return Graph(dict(sorted(moved.items())), accepting, opened)


# -- tokens -----------------------------------------------------------------------------------------------------------


def token_graph_of(grammar: Grammar, vocabulary: Vocabulary, most: int = 12) -> Graph:
    """The graph of a language over the tokens of a vocabulary: edges tell how many tokens lead on, and which.

    >>> from grammars import regex
    >>> v = Vocabulary([b"a", b"b", b"ab", b"<end>"], eos=[3])
    >>> token_graph_of(regex("(ab)+"), v).labels
    {(0, 1): 'a', (0, 2): 'ab', (1, 2): 'b', (2, 1): 'a', (2, 2): 'ab'}
    """
    automaton = grammar.compile(vocabulary)
    place, order, graph, pins = {automaton.start: 0}, [automaton.start], Graph(), list[object]()
    for number, state in enumerate(order):
        if automaton.accepts(state):
            graph.accepting.add(number)
        if number >= most:
            graph.open.add(number)
            continue
        by_target = _token_moves(automaton, state)
        pins.append(automaton.matcher_at(list(by_target)))
        for target, tokens in by_target.items():
            if target not in place:
                place[target] = len(order)
                order.append(target)
            graph.labels[number, place[target]] = _some_tokens(tokens, vocabulary)
    return graph


def _token_moves(automaton: TokenAutomaton, state: int) -> dict[int, list[int]]:
    """The ordinary tokens that may follow, by the state they lead to."""
    mask = np.zeros((1, automaton.vocabulary.words), np.uint32)
    automaton.fill_masks(np.array([state]), mask)
    tokens = [t for t in tokens_of(mask[0], automaton.vocabulary.size).tolist() if t not in automaton.vocabulary.eos]
    found = dict[int, list[int]]()
    for token, target in zip(tokens, automaton.advance_many(np.full(len(tokens), state), tokens).tolist(), strict=True):
        found.setdefault(target, []).append(token)
    return found


def _some_tokens(tokens: list[int], vocabulary: Vocabulary, shown: int = 3) -> str:
    from decoding.pictures.drawing import visible

    longest = sorted(tokens, key=lambda token: (-len(vocabulary.tokens[token]), token))[:shown]
    words = "  ".join(visible(vocabulary.tokens[token]) for token in longest)
    return words if len(tokens) <= shown else f"{words}  +{len(tokens) - shown}"
