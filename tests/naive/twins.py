"""Twins of the kernels, written to be obviously right."""

from __future__ import annotations

from collections.abc import Sequence

from grammars.program import ACCEPT, AGAIN, CALL, LEX, LOW, RETURN, SPLIT, START

CONTINUATION = (0x80, 0xBF)
# Table 3-7 of the Unicode standard: the well-formed byte sequences
CHARACTERS = frozenset(
    {
        ((0x00, 0x7F),),
        ((0xC2, 0xDF), CONTINUATION),
        ((0xE0, 0xE0), (0xA0, 0xBF), CONTINUATION),
        ((0xE1, 0xEC), CONTINUATION, CONTINUATION),
        ((0xED, 0xED), (0x80, 0x9F), CONTINUATION),
        ((0xEE, 0xEF), CONTINUATION, CONTINUATION),
        ((0xF0, 0xF0), (0x90, 0xBF), CONTINUATION, CONTINUATION),
        ((0xF1, 0xF3), CONTINUATION, CONTINUATION, CONTINUATION),
        ((0xF4, 0xF4), (0x80, 0x8F), CONTINUATION, CONTINUATION),
    }
)
# What remains to be read of a character in each state of the decoder
REMAINING = [
    CHARACTERS,
    frozenset({(CONTINUATION,)}),
    frozenset({(CONTINUATION,) * 2}),
    frozenset({(CONTINUATION,) * 3}),
    frozenset({((0xA0, 0xBF), CONTINUATION)}),
    frozenset({((0x80, 0x9F), CONTINUATION)}),
    frozenset({((0x90, 0xBF), CONTINUATION, CONTINUATION)}),
    frozenset({((0x80, 0x8F), CONTINUATION, CONTINUATION)}),
]


def utf8_step(state: int, byte: int) -> int:
    tails = frozenset(ranges[1:] for ranges in REMAINING[state] if ranges[0][0] <= byte <= ranges[0][1])
    if not tails:
        return -1
    return 0 if tails == {()} else REMAINING.index(tails)


def reads_utf8(state: int, data: bytes) -> bool:
    for byte in data:
        if state >= 0:
            state = utf8_step(state, byte)
    return state >= 0


def split_inside(rest: bytes, firsts: set[int], loops: set[int]) -> int | None:
    """How many bytes of `rest` are a first character of one set and further ones of another; None if it does not
    begin so. Sets hold the first bytes of characters."""
    if not rest or rest[0] not in firsts:
        return None
    length, among = 0, firsts
    while length < len(rest):
        size = next((n for n in range(1, 5) if is_character(rest[length : length + n])), 0)
        if size == 0 or rest[length] not in among:
            break
        length, among = length + size, loops
    return length


def is_character(data: bytes) -> bool:
    """Whether the bytes are one well-formed character."""
    try:
        return len(data.decode()) == 1
    except UnicodeDecodeError:
        return False


def components(successors: Sequence[Sequence[int]]) -> set[frozenset[int]]:
    """Nodes share a component if each can be reached from the other."""
    reach = [{node} for node in range(len(successors))]
    for _ in successors:
        for node, after in enumerate(successors):
            for target in after:
                reach[node] |= reach[target]
    return {frozenset(m for m in reach[n] if n in reach[m]) for n in range(len(successors))}


class Network:
    """Operations, targets and rules of a program as lists."""

    def __init__(self, ops: list[list[int]], targets: list[int], rules: list[list[int]]):
        self.ops, self.targets, self.rules = ops, targets, rules

    def nullable(self) -> list[bool]:
        """States from which their rule can end without reading: round by round until nothing changes."""
        return self._least(reading=False)

    def productive(self) -> list[bool]:
        """States from which their rule can end at all."""
        return self._least(reading=True)

    def _least(self, reading: bool) -> list[bool]:
        found = [False] * len(self.ops)
        while True:
            following = [self._holds(state, found, reading) for state in range(len(self.ops))]
            if following == found:
                return found
            found = following

    def _holds(self, state: int, found: list[bool], reading: bool) -> bool:
        kind, a, b = self.ops[state]
        if kind in (RETURN, AGAIN, ACCEPT):
            return True
        if kind == LEX:
            return reading and found[b]
        if kind == SPLIT:
            return any(found[target] for target in self.targets[a:b])
        return self.rule_holds(a, found) and found[b]

    def rule_holds(self, rule: int, found: list[bool]) -> bool:
        return found[self.rules[rule][START]] or self.rules[rule][LOW] == 0

    def corner_calls(self, rule: int) -> set[tuple[int, int]]:
        """Calls that can happen in a rule before anything is read."""
        nullable = self.nullable()
        seen: set[int] = set()
        waiting = [self.rules[rule][START]]
        calls: set[tuple[int, int]] = set()
        while waiting:
            state = waiting.pop()
            if state in seen:
                continue
            seen.add(state)
            kind, a, b = self.ops[state]
            if kind == SPLIT:
                waiting += self.targets[a:b]
            if kind == CALL:
                calls.add((a, b))
                waiting += [b] if self.rule_holds(a, nullable) else []
        return calls
