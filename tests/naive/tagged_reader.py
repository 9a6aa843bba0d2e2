"""A reader of text with tags, by the definition of `grammars.tags.tagged`: too simple to be wrong."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple


class PlainTag(NamedTuple):
    begin: bytes
    contents: Collection[bytes]
    end: bytes


class Reader(NamedTuple):
    """Which texts `tags(triggers, structures)` contains, where all contents are finite sets."""

    triggers: Collection[bytes]
    tags: Collection[PlainTag]
    at_least_one: bool = False
    stop_after_first: bool = False
    parallel: bool = True

    def accepts(self, text: bytes) -> bool:
        return self._free(text, 0, 0)

    def _free(self, text: bytes, start: int, tags: int) -> bool:
        """Whether the text is right from `start` on, where free text begins after so many tags."""
        if tags and self.stop_after_first:
            return start == len(text)
        for end in range(start + 1, len(text) + 1):
            if any(text[start:end].endswith(trigger) for trigger in self.triggers):
                may_follow = tags == 0 or self.parallel
                return may_follow and any(self._tag(text, start, end, tag, tags) for tag in self.tags)
        return tags > 0 or not self.at_least_one

    def _tag(self, text: bytes, start: int, end: int, tag: PlainTag, tags: int) -> bool:
        """Whether the tag can be the one whose trigger ended the free text at `end`."""
        first = next(n for n in range(1, len(tag.begin) + 1) if any(tag.begin[:n].endswith(t) for t in self.triggers))
        begin = end - first
        if begin < start or not text.startswith(tag.begin, begin):
            return False
        for content in tag.contents:
            whole = tag.begin + content + tag.end
            if text.startswith(whole, begin) and self._free(text, begin + len(whole), tags + 1):
                return True
        return False
