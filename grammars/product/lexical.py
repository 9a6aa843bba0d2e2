"""Literals and character sets between two states of an automaton."""

from __future__ import annotations

from grammars.expression import Bytes, Chars, Node, Text, choice, sequence
from grammars.limits import Budget
from grammars.residuals import DEAD, Residuals
from grammars.utf8 import DONE, Row, byte_rows

_BYTES_PER_UNIT = 64  # a unit of work is about 30 µs


class Lexical:
    """For a lexical node and a state: the states it can lead to, and the part of the node that leads to each."""

    def __init__(self, automaton: Residuals, budget: Budget):
        self.automaton = automaton
        self._budget = budget
        self._class_masks = [0] * (max(automaton.byte_classes) + 1)
        for byte, number in enumerate(automaton.byte_classes):
            self._class_masks[number] |= 1 << byte
        self._known: dict[tuple[Node, int], dict[int, Node]] = {}

    def paths(self, node: Text | Bytes | Chars, state: int) -> dict[int, Node]:
        """The parts of the node by the states they lead to; what leads nowhere is left out."""
        known = self._known.get((node, state))
        if known is None:
            known = self._known[node, state] = self._paths(node, state)
        return known

    def _paths(self, node: Text | Bytes | Chars, state: int) -> dict[int, Node]:
        if isinstance(node, Text):
            return self._text(node, state)
        if isinstance(node, Bytes):
            return {target: Bytes(mask) for target, mask in self.targets(node.mask, state).items()}
        return self._chars(node, state)

    def _text(self, node: Text, state: int) -> dict[int, Node]:
        self._budget.charge(1 + len(node.data) // _BYTES_PER_UNIT)
        for byte in node.data:
            state = self.automaton.step(state, byte)
            if state == DEAD:
                return {}
        return {state: node}

    def targets(self, mask: int, state: int) -> dict[int, int]:
        """The bytes of a set by the states they lead to."""
        self._budget.charge()
        found: dict[int, int] = {}
        for class_mask in self._class_masks:
            common = mask & class_mask
            if common:
                target = self.automaton.step(state, (common & -common).bit_length() - 1)
                if target != DEAD:
                    found[target] = found.get(target, 0) | common
        return found

    def _chars(self, node: Chars, state: int) -> dict[int, Node]:
        rows = byte_rows(node.ranges)
        found = self._row(rows, 0, state)
        if len(found) == 1 and self._all_pass(rows, 0, state):
            return dict.fromkeys(found, node)
        return found

    def _row(self, rows: tuple[Row, ...], number: int, state: int) -> dict[int, Node]:
        """What a row and those after it can read; a code point has four bytes, so the depth is at most four."""
        options: dict[int, list[Node]] = {}
        for row_target, mask in _masks(rows[number]).items():
            for target, part in self.targets(mask, state).items():
                if row_target == DONE:
                    options.setdefault(target, []).append(Bytes(part))
                    continue
                for end, rest in self._row(rows, row_target, target).items():
                    options.setdefault(end, []).append(sequence((Bytes(part), rest)))
        return {target: choice(found) for target, found in options.items()}

    def _all_pass(self, rows: tuple[Row, ...], number: int, state: int) -> bool:
        """Whether every code point of the rows can be read from the state."""
        for row_target, mask in _masks(rows[number]).items():
            targets = self.targets(mask, state)
            if sum(part.bit_count() for part in targets.values()) != mask.bit_count():
                return False
            if row_target != DONE and not all(self._all_pass(rows, row_target, target) for target in targets):
                return False
        return True


def _masks(row: Row) -> dict[int, int]:
    masks: dict[int, int] = {}
    for low, high, target in row:
        masks[target] = masks.get(target, 0) | (1 << (high + 1)) - (1 << low)
    return masks
