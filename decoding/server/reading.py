r"""Reading a text as it comes: where it stops, what of it is thought, what is said, and what is a call.

The grammar of a turn (`turns`) writes its parts with fixed markers, so a reader needs no parser: it looks for the next
marker and passes on everything that cannot be the beginning of one.

    THOUGHT </think> text <tool_call>\n{"name": "f", "arguments": {…}}\n</tool_call>\n<tool_call>\n…

>>> reader = TurnReader(headers={'{"name": "f", "arguments": ': ("function", "f")})
>>> reader.read('Well. <tool_call>\n{"name": "f", "argum') + reader.read('ents": {"x": 1}}\n</tool_call>')
[Part('text', 'Well. ', 0), Part('function', 'f', 0), Part('arguments', '{"x": 1}', 0)]
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

OPEN: Final = "<tool_call>\n"
CLOSE: Final = "\n</tool_call>"
Header = tuple[str, str]
"""The kind of a call, "function" or "custom", and the name of the tool."""


class Part(NamedTuple):
    """A piece of a turn: `kind` is "thought", "text", "arguments", or the kind of the call that begins."""

    kind: str
    text: str
    call: int = 0

    def __repr__(self) -> str:
        return f"Part({self.kind!r}, {self.text!r}, {self.call})"


def held(text: str, markers: Sequence[str]) -> int:
    """How many characters at the end of a text could begin one of the markers.

    >>> held("abc<to", ["<tool_call>"]), held("abc", ["<tool_call>"])
    (3, 0)
    """
    longest = min(len(text), max(map(len, markers), default=1) - 1)
    lengths = range(longest, 0, -1)
    return next((n for n in lengths if any(marker.startswith(text[-n:]) for marker in markers)), 0)


class Stops:
    """Text up to the first of some stop texts.

    >>> stops = Stops(["end"])
    >>> stops.read("the e"), stops.read("nd of it")
    (('the ', False), ('', True))
    """

    def __init__(self, stops: Sequence[str]):
        self._stops = tuple(stops)
        self._held = ""

    def read(self, text: str) -> tuple[str, bool]:
        """What is certain now, and whether a stop has come."""
        if not self._stops:
            return text, False
        text = self._held + text
        found = [at for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            self._held = ""
            return text[: min(found)], True
        keep = len(text) - held(text, self._stops)
        self._held = text[keep:]
        return text[:keep], False

    def rest(self) -> str:
        """What was held back for a stop that did not come."""
        rest, self._held = self._held, ""
        return rest


class TurnReader:
    """Splits a turn into parts. `lead` is what every turn begins with, `thought` the markers around a thought, and
    `headers` are what may stand behind `OPEN`."""

    def __init__(
        self, lead: str = "", thought: tuple[str, str] | None = None, headers: Mapping[str, Header] | None = None
    ):
        self._headers = dict(headers or {})
        self._thought_end = thought[1] if thought else ""
        self._skip = lead + (thought[0] if thought else "")
        self._where = "thought" if thought else "text"
        self._calls = -1
        self._close = ""
        self._left = ""

    def read(self, text: str) -> list[Part]:
        """The parts that are certain now."""
        self._left += text
        return list(self._parts(final=False))

    def close(self) -> list[Part]:
        """The rest, when nothing more comes."""
        return list(self._parts(final=True))

    def _parts(self, *, final: bool) -> Iterator[Part]:
        if self._skip:
            common = min(len(self._skip), len(self._left))
            self._skip, self._left = self._skip[common:], self._left[common:]
        steps = {"thought": self._thought, "text": self._text, "header": self._header, "body": self._body}
        where = ""
        while where != self._where:
            where = self._where
            yield from steps[where](final)

    def _up_to(self, marker: str, final: bool) -> tuple[str, bool]:
        """What stands before a marker, taken away with it; or what surely does, if it is not there yet."""
        at = self._left.find(marker)
        if at >= 0:
            text, self._left = self._left[:at], self._left[at + len(marker) :]
            return text, True
        keep = len(self._left) - (0 if final else held(self._left, [marker]))
        text, self._left = self._left[:keep], self._left[keep:]
        return text, False

    def _thought(self, final: bool) -> Iterator[Part]:
        text, found = self._up_to(self._thought_end, final)
        if text:
            yield Part("thought", text)
        if found:
            self._where = "text"

    def _text(self, final: bool) -> Iterator[Part]:
        if not self._headers:
            text, self._left = self._left, ""
            if text:
                yield Part("text", text)
            return
        text, found = self._up_to(OPEN, final)
        if text and (self._calls < 0 or text.strip()):  # behind a call stands nothing but the line break before another
            yield Part("text", text)
        if found:
            self._where = "header"

    def _header(self, final: bool) -> Iterator[Part]:
        for header, (kind, name) in self._headers.items():
            if self._left.startswith(header):
                self._left = self._left[len(header) :]
                self._calls += 1
                self._where, self._close = "body", "}" + CLOSE if kind == "function" else CLOSE
                yield Part(kind, name, self._calls)
                return

    def _body(self, final: bool) -> Iterator[Part]:
        text, found = self._up_to(self._close, final)
        if text:
            yield Part("arguments", text, self._calls)
        if found:
            self._where = "text"
