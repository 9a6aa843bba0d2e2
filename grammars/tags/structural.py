"""Structural tags as dictionaries: the form in which requests to vLLM, SGLang and xgrammar carry them.

The older form names tags and triggers; it means `tags(triggers, structures)`:

    {"type": "structural_tag", "triggers": [...], "structures": [{"begin": ..., "schema": ..., "end": ...}]}

The newer one is a tree of formats, `{"type": "structural_tag", "format": {"type": ..., ...}}`:

| type | language |
|---|---|
| `const_string`, `json_schema`, `regex`, `grammar` (GBNF) | what they say |
| `any_text` | any text without `excludes`, of at most `max_chars` code points |
| `sequence`, `or`, `optional`, `plus`, `star`, `repeat` | concatenation, union, copies |
| `tag` | `begin`, `content`, and one of `end` |
| `triggered_tags`, `dispatch` | free text with tags in it, see `tags`; with `at_least_one` it begins with a tag |
| `tags_with_separator` | tags and nothing else |

Free text inside a tag is over where an end of the tag is complete. Formats that speak of tokens instead of text, and
JSON in other clothes than JSON, are refused; so is every field that is not known.
"""

from __future__ import annotations

from typing import Any

from grammars.errors import GrammarSyntaxError
from grammars.grammar import Grammar
from grammars.limits import Limits
from grammars.schema import SchemaOptions
from grammars.schema.json_types import is_object
from grammars.schema.reading import read_schema
from grammars.tags.contents import Contents
from grammars.tags.fields import Fields
from grammars.tags.formats import Around, Formats
from grammars.tags.tagged import Tag, tags
from grammars.trampoline import run

_DEFAULT_OPTIONS = SchemaOptions()


def structural_tag(
    description: str | dict[str, Any], options: SchemaOptions = _DEFAULT_OPTIONS, limits: Limits | None = None
) -> Grammar:
    """The grammar of a structural tag given as JSON text or as a dictionary, in the older or the newer form.

    >>> sums = structural_tag({
    ...     "type": "structural_tag",
    ...     "triggers": ["<sum>"],
    ...     "structures": [{"begin": "<sum>", "schema": {"type": "integer"}, "end": "</sum>"}],
    ... })
    >>> sums.matches(b"3 and 4 make <sum>7</sum>."), sums.matches(b"<sum>seven</sum>")
    (True, False)
    >>> thought = {"type": "tag", "begin": "<think>", "content": {"type": "any_text"}, "end": "</think>"}
    >>> structural_tag({"type": "structural_tag", "format": thought}).matches(b"<think>so be it</think>")
    True
    """
    limits = limits or Limits()
    value = read_schema(description, limits)
    if not is_object(value) or value.get("type", "structural_tag") != "structural_tag":
        raise GrammarSyntaxError('a structural tag is an object of the type "structural_tag"')
    if "format" not in value:
        return _older(value, options, limits)
    fields = Fields(value, "structural tag")
    tree = fields.take("format")
    fields.close()
    contents = Contents(options, limits)
    return contents.grammar(run(Formats(contents).read(tree, Around())))


def _older(value: dict[str, Any], options: SchemaOptions, limits: Limits) -> Grammar:
    fields = Fields(value, "structural tag")
    structures, triggers = fields.list("structures"), fields.list("triggers")
    fields.close()
    return tags(triggers, [_structure(item) for item in structures], options=options, limits=limits)


def _structure(value: Any) -> Tag:
    fields = Fields(value, "structure")
    tag = Tag(fields.take("begin"), fields.take("schema"), fields.take("end"))
    fields.close()
    return tag
