"""Formats: the tree of a structural tag, read without recursion into one expression.

A format is read knowing what surrounds it: free text is over where a marker that must follow it is complete, so the
marker is part of what is read (see `free_text`).
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import Any

from grammars.errors import GrammarSyntaxError, UnsupportedFeature
from grammars.expression import ANY_CHAR, ANY_TEXT, EPSILON, NOTHING, Node, choice, optional, repeat, sequence, text
from grammars.front_ends import gbnf, regex
from grammars.schema.json_types import is_array, is_object
from grammars.tags.contents import Contents
from grammars.tags.dispatch import Dispatch, Part, until
from grammars.tags.fields import Fields
from grammars.tags.tagged import begin_of, bytes_of, checked_triggers, marker

Task = Generator[Any, Any, Node]

_TOKENS = ("token", "exclude_token", "any_tokens", "token_triggered_tags", "token_dispatch")
_NO_TOKENS = "write the token's text, and list the token as ordinary in the vocabulary if it is special there"


@dataclass(frozen=True, slots=True)
class Around:
    """Where a format stands: `stops` are the markers it must be followed by, `inside` the ends of all tags around."""

    stops: tuple[bytes, ...] = ()
    inside: frozenset[bytes] = frozenset()

    def within(self) -> Around:
        """The place of a part that is followed by something else than these markers."""
        return Around((), self.inside)

    def end(self) -> Node:
        return choice(map(text, self.stops)) if self.stops else EPSILON


class Formats:
    """Reads formats; each method yields the formats inside it to the trampoline."""

    def __init__(self, contents: Contents):
        self._contents = contents
        self._texts: dict[str, Callable[[Fields, Around], Node]] = {
            "const_string": self._const_string,
            "json_schema": self._json_schema,
            "regex": self._regex,
            "grammar": self._grammar,
            "any_text": self._any_text,
        }
        self._trees: dict[str, Callable[[Fields, Around], Task]] = {
            "sequence": self._sequence,
            "or": self._or,
            "optional": self._optional,
            "plus": self._plus,
            "star": self._star,
            "repeat": self._repeat,
            "tag": self._tag,
            "triggered_tags": self._triggered_tags,
            "dispatch": self._dispatch,
            "tags_with_separator": self._tags_with_separator,
        }

    def read(self, value: Any, around: Around) -> Task:
        """The expression of a format and the markers that follow it."""
        kind = value.get("type") if is_object(value) else value
        if not isinstance(kind, str):
            raise GrammarSyntaxError(f"a format is an object with a type, not {str(value)[:60]!r}")
        if kind in _TOKENS:
            raise UnsupportedFeature(
                f"the format {kind!r} speaks of tokens, a grammar speaks of text",
                hint=_NO_TOKENS,
            )
        fields = Fields(value, f"format {kind!r}")
        if kind in self._texts:
            node = self._texts[kind](fields, around)
        elif kind in self._trees:
            node = yield self._trees[kind](fields, around)
        else:
            known = ", ".join([*self._texts, *self._trees])
            raise UnsupportedFeature(f"there is no format {kind!r}", hint=f"the formats are {known}")
        fields.close()
        return node

    # -- one text -------------------------------------------------------------------------------------------------

    def _const_string(self, fields: Fields, around: Around) -> Node:
        return sequence([text(bytes_of(fields.text("value"), "a const_string")), around.end()])

    def _json_schema(self, fields: Fields, around: Around) -> Node:
        schema, style = fields.take("json_schema"), fields.take("style", "json")
        if style != "json":
            raise UnsupportedFeature(f"the style {style!r} of a json_schema is not supported", hint='there is "json"')
        options = self._contents.options
        if fields.flag("any_order"):
            options = replace(options, property_order="any")
        return sequence([self._contents.node(schema, "json_schema", options), around.end()])

    def _regex(self, fields: Fields, around: Around) -> Node:
        pattern = fields.text("pattern")
        node = self._contents.built(lambda: regex(pattern, limits=self._contents.limits), "regex")
        return sequence([node, around.end()])

    def _grammar(self, fields: Fields, around: Around) -> Node:
        source = fields.text("grammar")
        node = self._contents.built(lambda: gbnf(source, limits=self._contents.limits), "grammar")
        return sequence([node, around.end()])

    def _any_text(self, fields: Fields, around: Around) -> Node:
        most = fields.count("max_chars", None)
        if most is not None and most < 0:
            raise GrammarSyntaxError("'max_chars' must not be negative")
        if fields.take("max_tokens", None) is not None:
            raise UnsupportedFeature("'max_tokens' counts tokens, a grammar speaks of text", hint="give 'max_chars'")
        free = ANY_TEXT if most is None else repeat(ANY_CHAR, 0, most)
        return until(free, checked_triggers(fields.list("excludes", [])) | around.inside, around.stops)

    # -- composition ----------------------------------------------------------------------------------------------

    def _sequence(self, fields: Fields, around: Around) -> Task:
        elements = fields.list("elements")
        nodes: list[Node] = []
        for element in elements[:-1]:
            nodes.append((yield self.read(element, around.within())))
        last = (yield self.read(elements[-1], around)) if elements else around.end()
        return sequence([*nodes, last])

    def _or(self, fields: Fields, around: Around) -> Task:
        nodes: list[Node] = []
        for element in fields.list("elements"):
            nodes.append((yield self.read(element, around)))
        return choice(nodes)

    def _optional(self, fields: Fields, around: Around) -> Task:
        return choice([(yield self.read(fields.take("content"), around)), around.end()])

    def _plus(self, fields: Fields, around: Around) -> Task:
        return (yield self._copies(fields, around, 1, None))

    def _star(self, fields: Fields, around: Around) -> Task:
        return (yield self._copies(fields, around, 0, None))

    def _repeat(self, fields: Fields, around: Around) -> Task:
        low, high = fields.count("min"), fields.count("max")
        if low is None or high is None or low < 0 or (high != -1 and high < low):
            raise GrammarSyntaxError(f"a repeat needs 0 <= min <= max, or max = -1, not {low}, {high}")
        return (yield self._copies(fields, around, low, None if high == -1 else high))

    def _copies(self, fields: Fields, around: Around, low: int, high: int | None) -> Task:
        node = yield self.read(fields.take("content"), around.within())
        return sequence([repeat(node, low, high), around.end()])

    # -- tags -----------------------------------------------------------------------------------------------------

    def _tag(self, fields: Fields, around: Around) -> Task:
        node = yield self._tagged(fields, _text_marker(fields.take("begin"), "begin"), around)
        return sequence([node, around.end()])

    def _tagged(self, fields: Fields, begin: bytes, around: Around) -> Task:
        """Begin, content and end of a tag."""
        ends = fields.take("end")
        listed: list[Any] = ends if is_array(ends) else [ends]
        stops = tuple(_text_marker(end, "end") for end in listed if end != "")
        inside = Around(stops, around.inside | frozenset(stops))
        if len(stops) == len(listed):
            return sequence([text(begin), (yield self.read(fields.take("content"), inside))])
        content = yield self.read(fields.take("content"), inside.within())
        return sequence([text(begin), content, optional(inside.end())])

    def _parts(self, values: list[Any], around: Around) -> Generator[Any, Any, tuple[Part, ...]]:
        parts: list[Part] = []
        for value in values:
            if not is_object(value) or value.get("type", "tag") != "tag":
                raise GrammarSyntaxError(f"a tag is an object of the type 'tag', not {str(value)[:60]!r}")
            fields = Fields(value, "tag")
            begin = _text_marker(fields.take("begin"), "begin")
            parts.append(Part(begin, (yield self._tagged(fields, begin, around))))
            fields.close()
        return tuple(parts)

    def _triggered_tags(self, fields: Fields, around: Around) -> Task:
        words = checked_triggers(fields.list("triggers"))
        parts: tuple[Part, ...] = yield self._parts(fields.list("tags"), around.within())
        for part in parts:
            begin_of(part.begin, words)
        watched = words | checked_triggers(fields.list("excludes", [])) | around.inside
        first = "at once" if fields.flag("at_least_one") else "optional"
        then = "nothing" if fields.flag("stop_after_first") else "more"
        return Dispatch(ANY_TEXT, watched, parts, first, then, around.stops).node()

    def _dispatch(self, fields: Fields, around: Around) -> Task:
        parts: list[Part] = []
        for rule in fields.list("rules"):
            if not is_array(rule) or len(rule) != 2:
                raise GrammarSyntaxError(f"a rule of a dispatch is a text and a format, not {str(rule)[:60]!r}")
            begin = marker(rule[0], "the text of a rule")
            content = yield self.read(rule[1], around.within())
            parts.append(Part(begin, sequence([text(begin), content])))
        words = frozenset(part.begin for part in parts)
        watched = words | checked_triggers(fields.list("excludes", [])) | around.inside
        then = "more" if fields.flag("loop", True) else "nothing"
        return Dispatch(ANY_TEXT, watched, tuple(parts), "optional", then, around.stops).node()

    def _tags_with_separator(self, fields: Fields, around: Around) -> Task:
        parts = yield self._parts(fields.list("tags"), around.within())
        tag = choice(part.node for part in parts) if parts else NOTHING
        separator = text(bytes_of(fields.text("separator"), "a separator"))
        more = EPSILON if fields.flag("stop_after_first") else repeat(sequence([separator, tag]))
        node = sequence([tag, more])
        return sequence([node if fields.flag("at_least_one") else optional(node), around.end()])


def _text_marker(value: Any, name: str) -> bytes:
    if is_object(value):
        raise UnsupportedFeature(
            f"the {name} of a tag is a token, a grammar speaks of text",
            hint=_NO_TOKENS,
        )
    return marker(value, f"the {name} of a tag")
