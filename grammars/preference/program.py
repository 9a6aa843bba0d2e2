"""Patterns as instructions of a matcher.

| instruction | goes on |
|---|---|
| `CHAR s n` | at `n`, if the next character is in set `s` |
| `SPLIT a b` | at `a`, and if that fails at `b` |
| `LOOP a b` | at `a` again, or at `b` if nothing was read since |
| `AHEAD p wanted n` | at `n`, if a match from `p` on the text to come is possible as `wanted` |
| `BEHIND t wanted n` | at `n`, if the text so far ends with a match of tracker `t` as `wanted` |
| `MATCH label` | nowhere: this is a match |

The standard library parses the pattern, as it does for lark; its tree is walked from the end to the beginning, so every
instruction knows the one that follows it. Counted repetitions are written out and charged to the budget.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

from grammars.errors import GrammarSyntaxError, LimitExceeded, UnsupportedFeature
from grammars.expression import Ranges
from grammars.limits import Budget
from grammars.preference.charsets import ANY, ranges_of
from grammars.trampoline import Walk, run

sre: Any = importlib.import_module("re._constants")
sre_parser: Any = importlib.import_module("re._parser")

CHAR, SPLIT, LOOP, AHEAD, BEHIND, MATCH = range(6)

_DEEPEST = 100  # the standard library's parser recurses on groups; it gets no pattern that could exhaust a small stack
_PRIVATE = (0xF0000, 0x110000)  # code points without meaning stand for \\p{...}, unknown to the standard library
_PROPERTY = re.compile(r"\\(?:([pP]\{[^{}]*\})|.)", re.DOTALL)
_TYPE_FLAGS = sre.SRE_FLAG_ASCII | sre.SRE_FLAG_UNICODE | sre.SRE_FLAG_LOCALE
_CATEGORIES: dict[Any, str] = {
    sre.CATEGORY_DIGIT: r"\d",
    sre.CATEGORY_NOT_DIGIT: r"\D",
    sre.CATEGORY_SPACE: r"\s",
    sre.CATEGORY_NOT_SPACE: r"\S",
    sre.CATEGORY_WORD: r"\w",
    sre.CATEGORY_NOT_WORD: r"\W",
}

Item = tuple[Any, Any]


class Instruction(NamedTuple):
    kind: int
    a: int
    b: int = 0
    c: int = 0


def parse_pattern(pattern: str) -> tuple[Any, dict[int, str]]:
    r"""The standard library's tree of a pattern, and the properties (`\p{L}`) that characters in it stand for.

    >>> tree, properties = parse_pattern(r"a\p{L}")
    >>> len(tree), list(properties.values())
    (2, ['\\p{L}'])
    """
    if _depth(pattern) > _DEEPEST:
        raise LimitExceeded(f"groups are nested deeper than {_DEEPEST}", hint="simplify the regular expression")
    properties: dict[int, str] = {}
    free = (code for code in range(*_PRIVATE) if chr(code) not in pattern)

    def stand_in(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0]
        properties[code := next(free)] = match[0]
        return chr(code)

    try:
        return sre_parser.parse(_PROPERTY.sub(stand_in, pattern)), properties
    except (re.error, OverflowError, RecursionError) as error:
        raise GrammarSyntaxError(f"not a regular expression of Python's re: {error}") from None


def width(pattern: str) -> tuple[int, int]:
    """The lengths of the shortest and the longest match, as lark computes them.

    >>> width("ab?")
    (1, 2)
    """
    low, high = parse_pattern(pattern)[0].getwidth()
    return int(low), int(high)


def _depth(pattern: str) -> int:
    deepest = depth = 0
    for char in pattern:
        depth += (char == "(") - (char == ")")
        deepest = max(deepest, depth)
    return deepest


class Program:
    """Instructions, the sets they use, and where the trackers of look-behind begin."""

    def __init__(self, budget: Budget, counted: bool = True):
        self.is_greedy = True  # and no repetition hides its count: what `counted=False` is for
        self.code: list[Instruction] = []
        self.sets: list[Ranges] = []
        self.trackers: list[int] = []
        self._budget = budget
        self._counted = counted
        self._set_numbers: dict[Ranges, int] = {}
        self._tracked: dict[str, int] = {}
        self._properties: dict[int, str] = {}
        self._found = self._add(Instruction(MATCH, -1))

    def add(self, pattern: str, label: int) -> int:
        """Compile a pattern whose matches carry a label; the result is where it begins."""
        tree, self._properties = parse_pattern(pattern)
        return run(self._items(tree, tree.state.flags, self._add(Instruction(MATCH, label))))

    def _add(self, instruction: Instruction) -> int:
        self._budget.charge()
        self.code.append(instruction)
        return len(self.code) - 1

    def _char(self, ranges: Ranges, after: int) -> int:
        number = self._set_numbers.setdefault(ranges, len(self.sets))
        if number == len(self.sets):
            self.sets.append(ranges)
        return self._add(Instruction(CHAR, number, after))

    def _items(self, items: Sequence[Item], flags: int, after: int) -> Walk[int]:
        for i in range(len(items) - 1, -1, -1):
            after = yield self._item(*items[i], flags, after)
        return after

    def _item(self, op: Any, argument: Any, flags: int, after: int) -> Walk[int]:
        if op in (sre.LITERAL, sre.NOT_LITERAL, sre.IN, sre.ANY):
            return self._char(_charset(op, argument, flags, self._properties), after)
        if op is sre.SUBPATTERN:
            _, added, removed, body = argument
            kept = flags & ~_TYPE_FLAGS if added & _TYPE_FLAGS else flags
            return (yield self._items(body, (kept | added) & ~removed, after))
        if op is sre.BRANCH:
            return (yield self._branch(argument[1], flags, after))
        if op in (sre.MAX_REPEAT, sre.MIN_REPEAT):
            low, high, body = argument
            return (yield self._repeat(op is sre.MAX_REPEAT, (low, high), body, flags, after))
        if op in (sre.ASSERT, sre.ASSERT_NOT):
            direction, body = argument
            return (yield self._assertion(op is sre.ASSERT, direction, body, flags, after))
        if op is sre.AT:
            return self._position(argument, flags, after)
        if op is sre.FAILURE:
            return self._char((), after)
        raise UnsupportedFeature(f"{str(op).lower().replace('_', ' ')} in a terminal has no automaton")

    def _branch(self, branches: Sequence[Any], flags: int, after: int) -> Walk[int]:
        entry = yield self._items(branches[-1], flags, after)
        for branch in reversed(branches[:-1]):
            first = yield self._items(branch, flags, after)
            entry = self._add(Instruction(SPLIT, first, entry))
        return entry

    def _repeat(self, greedy: bool, counts: tuple[Any, Any], body: Any, flags: int, after: int) -> Walk[int]:
        low, high = counts
        self.is_greedy &= greedy
        if not self._counted and high > 1:
            self.is_greedy &= high == sre.MAXREPEAT or body.getwidth()[0] > 0
            low, high = min(low, 1), sre.MAXREPEAT
        if high == sre.MAXREPEAT:
            after = yield self._star(greedy, body, flags, after)
        else:
            if high - low > 1 and body.getwidth()[0] == 0 and _prefers_nothing(body):
                raise UnsupportedFeature("a counted repetition of something that prefers to be empty")
            end = after
            for _ in range(high - low):
                entry = yield self._items(body, flags, after)
                after = self._add(Instruction(SPLIT, *((entry, end) if greedy else (end, entry))))
        for _ in range(low):
            after = yield self._items(body, flags, after)
        return after

    def _star(self, greedy: bool, body: Any, flags: int, after: int) -> Walk[int]:
        head = self._add(Instruction(SPLIT, 0, 0))
        entry = yield self._items(body, flags, self._add(Instruction(LOOP, head, after)))
        self.code[head] = Instruction(SPLIT, *((entry, after) if greedy else (after, entry)))
        return head

    def _assertion(self, wanted: bool, direction: int, body: Any, flags: int, after: int) -> Walk[int]:
        if direction < 0:
            return self._behind((yield self._tracker(repr((body, flags)), body, flags)), wanted, after)
        inner = yield self._items(body, flags, self._found)
        return self._add(Instruction(AHEAD, inner, wanted, after))

    def _tracker(self, key: str, body: Any, flags: int) -> Walk[int]:
        if key not in self._tracked:
            if any(op in (sre.ASSERT, sre.ASSERT_NOT, sre.AT) for op, _ in _all_items(body)):
                raise UnsupportedFeature("an assertion inside a look-behind")
            self._tracked[key] = len(self.trackers)
            self.trackers.append((yield self._items(body, flags, self._found)))
        return self._tracked[key]

    def _behind(self, tracker: int, wanted: bool, after: int) -> int:
        return self._add(Instruction(BEHIND, tracker, wanted, after))

    def _set_behind(self, ranges: Ranges) -> int:
        """The tracker of "the last character was one of these"."""
        key = repr(ranges)
        if key not in self._tracked:
            self._tracked[key] = len(self.trackers)
            self.trackers.append(self._char(ranges, self._found))
        return self._tracked[key]

    def _position(self, code: Any, flags: int, after: int) -> int:
        if code in (sre.AT_BEGINNING, sre.AT_BEGINNING_STRING):
            if code is sre.AT_BEGINNING and flags & sre.SRE_FLAG_MULTILINE:
                line = self._behind(self._set_behind(((10, 10),)), True, after)
                return self._add(Instruction(SPLIT, line, self._behind(self._set_behind(ANY), False, after)))
            return self._behind(self._set_behind(ANY), False, after)
        if code in (sre.AT_END, sre.AT_END_STRING):
            last = self._ahead(self._char(ANY, self._found), False, after)
            if code is sre.AT_END_STRING:
                return last
            newline = self._char(((10, 10),), self._found)
            if not flags & sre.SRE_FLAG_MULTILINE:
                newline = self._char(((10, 10),), self._ahead(self._char(ANY, self._found), False, self._found))
            return self._add(Instruction(SPLIT, last, self._ahead(newline, True, after)))
        word = ranges_of(r"\w", "a" if flags & sre.SRE_FLAG_ASCII else "")
        boundary = code is sre.AT_BOUNDARY
        before = self._set_behind(word)
        following = self._char(word, self._found)
        inside = self._behind(before, True, self._ahead(following, not boundary, after))
        outside = self._behind(before, False, self._ahead(following, boundary, after))
        return self._add(Instruction(SPLIT, inside, outside))

    def _ahead(self, inner: int, wanted: bool, after: int) -> int:
        return self._add(Instruction(AHEAD, inner, wanted, after))


def _charset(op: Any, argument: Any, flags: int, properties: dict[int, str]) -> Ranges:
    letters = "i" * bool(flags & sre.SRE_FLAG_IGNORECASE) + "a" * bool(flags & sre.SRE_FLAG_ASCII)
    if op is sre.ANY:
        return ANY if flags & sre.SRE_FLAG_DOTALL else ranges_of(r"[^\n]", "")
    items: list[Item] = argument if op is sre.IN else [(sre.LITERAL, argument)]
    negated = op is sre.NOT_LITERAL or items[0][0] is sre.NEGATE
    pieces = "".join(_piece(item, properties) for item in items if item[0] is not sre.NEGATE)
    return ranges_of(f"[{'^' * negated}{pieces}]", letters)


def _piece(item: Item, properties: dict[int, str]) -> str:
    op, argument = item
    if op is sre.CATEGORY:
        return _CATEGORIES[argument]
    if op is sre.RANGE:
        return f"\\U{argument[0]:08x}-\\U{argument[1]:08x}"
    return properties.get(argument) or f"\\U{argument:08x}"


def _all_items(items: Any) -> list[Item]:
    """Every item of a tree."""
    out: list[Item] = []
    stack: list[Any] = [items]
    while stack:
        value = stack.pop()
        if isinstance(value, sre_parser.SubPattern):
            out.extend(value)
            stack.extend(argument for _, argument in value)
        elif isinstance(value, tuple | list):
            stack.extend(cast(list[Any], value))
    return out


def _prefers_nothing(body: Any) -> bool:
    """Whether the empty match of a tree may come before one that reads something."""
    for op, argument in _all_items(body):
        if op is sre.MIN_REPEAT:
            return True
        if op is sre.BRANCH and any(branch.getwidth()[0] == 0 for branch in argument[1][:-1]):
            return True
    return False
