r"""The reader: one pass over a pattern, with a stack of open groups instead of recursion.

What has been read stands on one shared stack of items. A group remembers where its items begin (its *mark*), so a
group that turns out to be plain costs nothing: its items simply stay where they are, and a pattern nested a hundred
thousand deep is read in linear time. Items are joined into an expression only when something needs them as one: an
alternative that ends, a quantifier, a look-around, a name. An item is

* a `str`: literal text, joined with its neighbours late, so that `abc` is one node and not three;
* a `Node`;
* a `deque` of nodes: the alternatives of a group that has been closed, not yet an expression because `(a|(b|c))` is
  one choice of three.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator
from enum import Enum, auto
from functools import lru_cache

from grammars.expression import NOTHING, Chars, Look, Named, Node, Text, choice, sequence, text
from grammars.limits import Budget, Limits
from grammars.regex.assertions import TEXT_END, TEXT_START, caret, dollar, settle, word_boundary
from grammars.regex.classes import category_node, dot, read_class, read_named_set
from grammars.regex.folding import folded_character
from grammars.regex.groups import Aside, Opening, back_reference, read_opening
from grammars.regex.mode import Mode
from grammars.regex.quantifiers import Bounds, added_up, read_bounds, repeated
from grammars.regex.source import Source

Item = str | Node | deque[Node]

_PLAIN = re.compile(r"[^\\.^$*+?{\[()|]+")
_PLAIN_VERBOSE = re.compile(r"[^\\.^$*+?{\[()| \t\n\r\v\f#]+")
_SKIPPED = re.compile(r"(?:[ \t\n\r\v\f]++|#[^\n]*+)++")
_PYTHON_REFERENCE = re.compile(r"\\(?![1-7][0-7]{2})([1-9][0-9]?)")  # three octal digits are a character
_ECMA_REFERENCE = re.compile(r"\\(?:([1-9][0-9]*)|k<[^>]*>)")
_STEP = 10  # pieces of a pattern read per unit of compile work
_SHORT = 16  # characters of a literal that is kept for the next time
_CLASS_STEP = 16  # characters and ranges of a class per unit


class _Last(Enum):
    """What was read last: what a quantifier would repeat."""

    NOTHING = auto()
    LITERAL = auto()
    ITEM = auto()
    ASSERTION = auto()
    REPETITION = auto()


class _Frame:
    """An open group."""

    __slots__ = ("alternatives", "earlier", "mark", "mode", "names", "opening", "start")

    def __init__(self, opening: Opening, start: int, mark: int, mode: Mode):
        self.opening, self.start, self.mark = opening, start, mark
        self.mode = mode  # to return to when the group ends
        self.alternatives: deque[Node] | None = None
        self.names: list[str] = []  # of groups in the present alternative
        self.earlier: list[str] = []  # and in those before it


class Reader:
    """Reads one pattern. `assertions` tells afterwards how many assertions it holds."""

    __slots__ = (
        "assertions",
        "borders",
        "budget",
        "classes",
        "copies",
        "frames",
        "item",
        "items",
        "last",
        "limits",
        "mode",
        "names",
        "pieces",
        "place",
        "source",
    )

    def __init__(self, pattern: str, mode: Mode, limits: Limits):
        self.source, self.mode, self.limits = Source(pattern), mode, limits
        self.budget = Budget("compile_work", limits.compile_work)
        self.place = self.pieces = 0
        self.classes: set[str] = set()  # that were paid for: only the first of its kind costs work
        self.copies: dict[tuple[Node, Bounds], Node] = {}
        self.items: list[Item] = []
        self.item = 0  # where on the stack the last thing read begins
        self.last = _Last.NOTHING
        self.frames = [_Frame(Opening(0, mode), 0, 0, mode)]
        self.names: set[str] = set()  # groups that a new group must not share its name with
        self.assertions = 0
        self.borders = False  # whether there is a \b or \B among them

    def read(self) -> list[Node]:
        """The whole pattern, as expressions one after the other."""
        pattern, end = self.source.text, len(self.source.text)
        while self.place < end:
            self._charge()
            plain = (_PLAIN_VERBOSE if self.mode.verbose else _PLAIN).match(pattern, self.place)
            if plain is not None:
                self.place = plain.end()
                self._literal(plain[0])
                continue
            _HANDLERS[pattern[self.place]](self)
        if len(self.frames) > 1:
            raise self.source.error("unclosed group", self.frames[-1].start, hint="add a closing ')'")
        if self.frames[0].alternatives is not None:
            return [self._content(self.frames[0])]
        return self._nodes(self.items)

    def _charge(self) -> None:
        self.pieces += 1
        if self.pieces % _STEP == 0:
            self.budget.charge()

    # Items

    def _push(self, item: Item, last: _Last = _Last.ITEM) -> None:
        self.item, self.last = len(self.items), last
        self.items.append(item)

    def _literal(self, string: str) -> None:
        if self.mode.ignore:
            for character in string:
                self._charge()
                self._push(folded_character(character, self.mode), _Last.LITERAL)
        else:
            self._push(string, _Last.LITERAL)

    def blank(self) -> None:
        """Skip blanks and comments of verbose mode."""
        skipped = _SKIPPED.match(self.source.text, self.place)
        if skipped is not None:
            self.place = skipped.end()

    def dot(self) -> None:
        self.place += 1
        self._push(dot(self.mode))

    def bracket(self) -> None:
        start = self.place
        node, self.place = read_class(self.source, start, self.mode, self.budget)
        self._set(start, node)

    def _set(self, start: int, node: Node) -> None:
        text = self.source.text[start : self.place]
        if text not in self.classes and isinstance(node, Chars):
            self.classes.add(text)
            self.budget.charge(len(node.ranges) // _CLASS_STEP)
        self._push(node)

    # Assertions and escapes

    def _assertion(self, node: Node, length: int) -> None:
        self.place += length
        self.assertions += 1
        self._push(node, _Last.ASSERTION)

    def caret(self) -> None:
        self._assertion(caret(self.mode), 1)

    def dollar(self) -> None:
        self._assertion(dollar(self.mode), 1)

    def escape(self) -> None:
        source, start = self.source, self.place
        letter = source.text[start + 1 : start + 2]
        if letter and letter in "dDsSwW":
            self.place += 2
            self._push(category_node(letter, self.mode))
        elif letter and letter in "bB":
            self.borders = True
            self._assertion(word_boundary(letter, self.mode), 2)
        elif letter and letter in "AZz" and not self.mode.ecma:
            self._assertion(TEXT_START if letter == "A" else TEXT_END, 2)
        else:
            self._check_reference(start)
            found, self.place = read_named_set(source, start, self.mode)
            if isinstance(found, int):
                self._literal(chr(found))
            else:
                self._set(start, found)

    def _check_reference(self, start: int) -> None:
        r"""Refuse `\1` and its kin."""
        found = (_ECMA_REFERENCE if self.mode.ecma else _PYTHON_REFERENCE).match(self.source.text, start)
        if found is None:
            return
        if found[1] and (len(found[1]) > 9 or int(found[1]) > self.source.text.count("(")):
            raise self.source.error("reference to a group that does not exist", start, found.end())
        raise back_reference(self.source, start, found.end())

    # Quantifiers

    def quantifier(self) -> None:
        source, start = self.source, self.place
        found = read_bounds(source, start, self.mode, self.limits)
        if found is None:
            self.place += 1
            self._literal("{")
            return
        bounds, end = found
        if self.last in (_Last.NOTHING, _Last.ASSERTION):
            raise source.error("nothing to repeat", start, end, hint=rf"write \{source.text[start]} for the character")
        if self.last is _Last.REPETITION:
            raise source.error("a repetition cannot be repeated", start, end, hint="put a group around it: (?:a*)*")
        self.place = end
        self._suffix(start, end)
        body = self._take_last()
        self._push(self._repeated(body, bounds), _Last.REPETITION)

    def _repeated(self, body: Node, bounds: Bounds) -> Node:
        """Copies of a body; those of single characters recur."""
        if not isinstance(body, Text | Chars):
            return repeated(body, bounds, self.limits.repeat)
        copies = self.copies.get((body, bounds))
        if copies is None:
            copies = self.copies[body, bounds] = repeated(body, bounds, self.limits.repeat)
        return copies

    def _suffix(self, start: int, end: int) -> None:
        """A lazy quantifier has the same language as a greedy one; a possessive one has not."""
        following = self.source.text[end : end + 1]
        if following == "?":
            self.place += 1
        elif following == "+" and not self.mode.ecma:
            hint = "without the second '+' it also finds the matches that a possessive quantifier gives up"
            raise self.source.unsupported("possessive quantifiers are not supported", start, end + 1, hint)

    def _take_last(self) -> Node:
        """Take what the quantifier repeats off the stack: of a run of literal text, its last character."""
        run = self.items[self.item] if self.last is _Last.LITERAL else None
        if isinstance(run, str) and len(run) > 1:
            self.items[self.item] = run[:-1]
            self.item += 1
            return self._joined([run[-1]])
        items = self.items[self.item :]
        del self.items[self.item :]
        return self._joined(items)

    # Groups and alternatives

    def open(self) -> None:
        start = self.place
        at_beginning = len(self.frames) == 1 and not self.items and self.frames[0].alternatives is None
        opening = read_opening(self.source, start, self.mode, at_beginning)
        self.place = opening.end
        if isinstance(opening, Aside):
            self.mode = opening.mode
            return
        if len(self.frames) > self.limits.nesting:
            message = f"groups nested deeper than Limits.nesting = {self.limits.nesting}"
            hint = "raise Limits(nesting=...) if you trust the author of the pattern"
            raise self.source.limit(message, start, None, hint)
        if opening.name is not None:
            self._claim(opening.name, start)
        self.frames.append(_Frame(opening, start, len(self.items), self.mode))
        self.mode, self.last = opening.mode, _Last.NOTHING

    def _claim(self, name: str, start: int) -> None:
        """Names are unique; ECMA-262 lets alternatives share them, because only one of them takes part in a match."""
        if name in self.names:
            raise self.source.error(f"two groups are named {name!r}", start, self.place, hint="choose another name")
        self.names.add(name)
        self.frames[-1].names.append(name)

    def _release_names(self, frame: _Frame) -> None:
        self.names.difference_update(frame.names)
        frame.earlier += frame.names
        frame.names = []

    def _hand_up_names(self, frame: _Frame) -> None:
        """Names of a closed group count for the group around it."""
        self.names.update(frame.earlier)
        lists = sorted((frame.names, frame.earlier, self.frames[-1].names), key=len)
        lists[2] += lists[0] + lists[1]  # the shorter go to the longest: linear in all
        self.frames[-1].names = lists[2]

    def bar(self) -> None:
        self.place += 1
        self._end_alternative(self.frames[-1])
        self.last = _Last.NOTHING
        if self.mode.ecma:
            self._release_names(self.frames[-1])

    def _end_alternative(self, frame: _Frame) -> None:
        """Move the items of the present alternative to the alternatives of its group."""
        items = self.items[frame.mark :]
        del self.items[frame.mark :]
        kept = frame.alternatives
        if len(items) == 1 and isinstance(options := items[0], deque):
            if kept is None or len(kept) < len(options):
                options.extendleft(reversed(kept or ()))  # the shorter goes to the longer: linear in all
                kept = options
            else:
                kept.extend(options)
        else:
            kept = deque[Node]() if kept is None else kept
            kept.append(self._joined(items))
        frame.alternatives = kept

    def close(self) -> None:
        if len(self.frames) == 1:
            raise self.source.error("unbalanced ')'", self.place, hint=r"write \) for the character")
        self.place += 1
        frame = self.frames.pop()
        opening = frame.opening
        self.mode = frame.mode
        self._hand_up_names(frame)
        if opening.look is not None:
            ahead, negative = opening.look
            self.assertions += 1
            self._replace(frame, Look(self._content(frame), ahead, negative))
        elif opening.name is not None:
            self._replace(frame, Named(opening.name, self._content(frame)))
        elif frame.alternatives is not None:
            self._end_alternative(frame)
            self._replace(frame, frame.alternatives)
        self.item, self.last = frame.mark, _Last.ITEM

    def _replace(self, frame: _Frame, item: Item) -> None:
        self.items[frame.mark :] = [item]

    def _content(self, frame: _Frame) -> Node:
        """What a group holds, as one expression."""
        if frame.alternatives is None:
            return self._joined(self.items[frame.mark :])
        self._end_alternative(frame)
        return choice(frame.alternatives)

    def _joined(self, items: list[Item]) -> Node:
        """Items one after the other as one expression."""
        if len(items) == 1 and isinstance(only := items[0], Node):
            return only
        nodes = self._nodes(items)
        return nodes[0] if len(nodes) == 1 else sequence(nodes)

    def _nodes(self, items: list[Item]) -> list[Node]:
        nodes = added_up(list(_nodes(items)), self.limits.repeat)
        return settle(nodes) if self.borders else nodes


def _nodes(items: list[Item]) -> Iterator[Node]:
    """Items as nodes, neighbouring literals as one."""
    pending: list[str] = []
    for item in items:
        if isinstance(item, str):
            pending.append(item)
            continue
        if pending:
            yield _text("".join(pending))
            pending.clear()
        yield choice(item) if isinstance(item, deque) else item
    if pending:
        yield _text("".join(pending))


def _text(string: str) -> Node:
    """Literal text; short ones recur and are kept."""
    return _kept_text(string) if len(string) <= _SHORT else _new_text(string)


def _new_text(string: str) -> Node:
    """No UTF-8 text holds a lone surrogate, so a literal that does is never matched."""
    try:
        return text(string)
    except UnicodeEncodeError:
        return NOTHING


_kept_text = lru_cache(maxsize=1024)(_new_text)

_HANDLERS: dict[str, Callable[[Reader], None]] = {
    "\\": Reader.escape,
    ".": Reader.dot,
    "[": Reader.bracket,
    "^": Reader.caret,
    "$": Reader.dollar,
    "(": Reader.open,
    ")": Reader.close,
    "|": Reader.bar,
    **dict.fromkeys("*+?{", Reader.quantifier),
    **dict.fromkeys(" \t\n\r\v\f#", Reader.blank),
}
