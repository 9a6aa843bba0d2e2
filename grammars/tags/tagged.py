r"""`tags`: free text with structured parts in it.

    free text … trigger … begin content end … free text …

The text is read from left to right. As long as no trigger is complete it is free: any text in UTF-8, unless `free` says
otherwise. The moment a trigger is complete, free text is over: what has just been read must be the beginning of one
of the tags, and the rest of its begin, its content and its end follow. Then the text is free again, and reading starts
anew. So

* a trigger never occurs in free text, and one that no tag begins with never occurs at all;
* where several tags begin alike, each byte decides between them, as late as it can;
* where one trigger is the beginning of another, the shorter one ends the free text;
* a tag whose begin contains another trigger further on is read in one piece.

A tag's begin must start with a trigger.

Triggers are bytes, not tokens. A token that a vocabulary lists as special is not a way to write its name (see
`grammars.vocabulary`), so a model that opens a tag by a token of its own can only do so if the vocabulary lists that
token as ordinary; `tool_markers` says which texts the formats of `tool_calls` use in this way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from grammars.errors import GrammarSyntaxError
from grammars.expression import ANY_TEXT, Node, sequence, text
from grammars.grammar import Grammar
from grammars.limits import Limits
from grammars.schema import SchemaOptions
from grammars.tags.contents import Contents
from grammars.tags.dispatch import Dispatch, Part

_DEFAULT_OPTIONS = SchemaOptions()


@dataclass(frozen=True, slots=True)
class Tag:
    """`begin`, then a content, then `end`; the content is a `Grammar`, or a schema as `json_schema` takes it.

    >>> Tag("<sum>", {"type": "integer"}, "</sum>").end
    '</sum>'
    """

    begin: str | bytes
    content: Any
    end: str | bytes = ""


def tags(
    triggers: Mapping[str, Any] | Sequence[str | bytes],
    structures: Iterable[Tag] = (),
    *,
    at_least_one: bool = False,
    stop_after_first: bool = False,
    parallel: bool = True,
    free: Grammar | None = None,
    options: SchemaOptions = _DEFAULT_OPTIONS,
    limits: Limits | None = None,
) -> Grammar:
    """Free text until a trigger, then a grammar, then free text.

    `triggers` are texts that end the free text, and `structures` the tags that go on from there. Or else `triggers`
    maps each trigger to what follows it, a `Grammar` or a schema. `at_least_one`: there must be a tag.
    `stop_after_first`: nothing follows the first tag. `parallel=False`: at most one tag. `free`: what free text is; any
    text in UTF-8 by default. `options` are for contents that are schemas.

    >>> from grammars import regex, tags
    >>> sums = tags({"<<": regex("[0-9]+([+][0-9]+)*=") + regex("[0-9]+>>")})
    >>> sums.matches(b"She has <<3+4=7>> apples, he has <<5=5>>."), sums.matches(b"She has <<3+")
    (True, False)
    >>> weather = Tag("<function=weather>", {"type": "object", "required": ["city"]}, "</function>")
    >>> calls = tags(["<function="], [weather], at_least_one=True, stop_after_first=True)
    >>> calls.matches(b'Let me see. <function=weather>{"city": "Nice"}</function>')
    True
    """
    contents = Contents(options, limits or Limits())
    given = [Tag(*item) for item in triggers.items()] if isinstance(triggers, Mapping) else []
    words = checked_triggers(triggers)
    parts = [tag_part(tag, words, contents) for tag in (*given, *structures)]
    for word in sorted(words):
        contents.note(
            "free text", repr(word.decode("utf-8", "backslashreplace")), "an automaton that knows its triggers"
        )
    dispatch = Dispatch(
        ANY_TEXT if free is None else contents.node(free, "free text"),
        words,
        tuple(parts),
        first="required" if at_least_one else "optional",
        then="nothing" if stop_after_first else "more" if parallel else "text",
    )
    return contents.grammar(dispatch.node())


def checked_triggers(triggers: object) -> frozenset[bytes]:
    """Triggers as bytes."""
    if isinstance(triggers, str | bytes) or not isinstance(triggers, Iterable):
        raise GrammarSyntaxError(f"triggers must be a list of texts, not {str(triggers)[:60]!r}")
    return frozenset(marker(trigger, "a trigger") for trigger in cast("Iterable[object]", triggers))


def marker(value: object, name: str) -> bytes:
    """A text that is not empty, as bytes."""
    if not isinstance(value, str | bytes) or not value:
        raise GrammarSyntaxError(f"{name} must be text that is not empty, not {value!r}")
    return bytes_of(value, name)


def bytes_of(value: object, name: str) -> bytes:
    """A text as bytes."""
    if not isinstance(value, str | bytes):
        raise GrammarSyntaxError(f"{name} must be text, not {value!r}")
    try:
        return value.encode() if isinstance(value, str) else value
    except UnicodeEncodeError:
        raise GrammarSyntaxError(
            f"{name} has a lone surrogate, which is not text", hint="give bytes if the text is not to be UTF-8"
        ) from None


def tag_part(tag: Tag, words: frozenset[bytes], contents: Contents) -> Part:
    """The part that a tag describes."""
    begin, end = begin_of(tag.begin, words), bytes_of(tag.end, "the end of a tag")
    name = begin.decode("utf-8", "backslashreplace")
    node: Node = contents.node(tag.content, f"tag {name!r}")
    return Part(begin, sequence([text(begin), node, text(end)]))


def begin_of(value: object, words: frozenset[bytes]) -> bytes:
    """The begin of a tag, which starts with a trigger."""
    begin = marker(value, "the begin of a tag")
    if not any(begin.startswith(word) for word in words):
        raise GrammarSyntaxError(
            f"the tag that begins with {begin.decode('utf-8', 'backslashreplace')!r} starts with no trigger",
            hint="add its begin, or a text that it starts with, to the triggers",
        )
    return begin
