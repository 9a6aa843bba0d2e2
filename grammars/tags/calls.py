"""`tool_calls`: the turns of a model that may call functions, from the functions' schemas.

| `tool_choice` | language |
|---|---|
| `"auto"` | text, then perhaps calls |
| `"required"` | calls, one at least (in Harmony, messages of analysis and commentary before them) |
| a name, or `{"type": "function", "function": {"name": …}}` | one call of that function |
| `"none"` | text in which no call can begin |

How calls are written is told in `styles`. Arguments are JSON that is valid under the function's schema, exactly as
`json_schema` has it; `strict` in a tool changes nothing.

**Markers.** Models write `<tool_call>` and the like with a token of its own. Which tokens a text may be cut into is the
vocabulary's business: an ordinary token is allowed wherever its bytes are, a special token nowhere. So list the markers
of the style as ordinary tokens:

    special = [t for t in special if tokens[t].decode() not in tool_markers("llama3")]
    vocabulary = Vocabulary(tokens, eos=eos, special=special)

If they stay special, the language is the same but the model can only spell its markers out, which it never learnt. Free
text cannot contain the marker that opens calls, in whatever tokens. Texts inside arguments can contain markers, as JSON
admits them there; parsers that search a turn for its markers, instead of reading the JSON, are misled by that. With
`escape_markers` the arguments spell markers with an escape (`<\\/tool_call>`), so every value can still be
written; it costs some 0.1 s to compile, or a second if the schemas are large.

**Reasoning.** A part in front of the turn is a matter of concatenation:
`regex("<think>[^<]*</think>") + tool_calls(…)`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from grammars.errors import UnsupportedFeature
from grammars.expression import EPSILON, Node, byte_set, repeat
from grammars.grammar import Grammar
from grammars.limits import Limits
from grammars.regex import parse
from grammars.schema import SchemaOptions
from grammars.tags.contents import Contents
from grammars.tags.free_text import Words
from grammars.tags.styles import STYLES, Calls, Style
from grammars.tags.tools import Tool, wanted

_DEFAULT_OPTIONS = SchemaOptions()


def tool_calls(
    tools: Iterable[Any],
    style: str = "hermes",
    tool_choice: Any = "auto",
    parallel: bool = True,
    *,
    escape_markers: bool = False,
    options: SchemaOptions = _DEFAULT_OPTIONS,
    limits: Limits | None = None,
) -> Grammar:
    """The turns of a model that may call `tools`, in the format `style`.

    Tools are dictionaries as OpenAI's, Anthropic's and MCP's interfaces have them, pydantic models, or `Tool`s.
    `parallel=False` admits one call at most.

    >>> from grammars import tool_calls
    >>> weather = {"name": "weather", "parameters": {"properties": {"city": {"type": "string"}}, "required": ["city"]}}
    >>> turns = tool_calls([weather], style="mistral")
    >>> turns.matches(b'Let me see.[TOOL_CALLS][{"name": "weather", "arguments": {"city": "Nice"}}]')
    True
    >>> turns.matches(b"It is sunny."), turns.matches(b"[TOOL_CALLS] is how a call begins.")
    (True, False)
    """
    limits = limits or Limits()
    contents, form, choice = Contents(options, limits), _style(style), wanted(tools, tool_choice, parallel)
    forbidden = Words(marker.encode() for marker in form.markers if escape_markers)
    arguments = {tool.name: forbidden.without(_arguments(tool, contents)) for tool in choice.tools}
    contents.note("turn", f"tool_choice {choice.mode}", f"free text without markers, and calls as {style} writes them")
    return contents.grammar(form.turn(Calls(arguments, choice.mode, choice.parallel, _gap(options, limits))))


def tool_markers(style: str) -> tuple[str, ...]:
    """The texts for which models of a style have tokens of their own; list these tokens as ordinary.

    >>> from grammars import tool_markers
    >>> tool_markers("hermes")
    ('<tool_call>', '</tool_call>')
    """
    return _style(style).markers


def _style(name: str) -> Style:
    if name not in STYLES:
        raise UnsupportedFeature(f"there is no style {name!r} of tool calls", hint=f"there are {', '.join(STYLES)}")
    return STYLES[name]


def _arguments(tool: Tool, contents: Contents) -> Node:
    return contents.node(tool.arguments(contents.limits), f"tool {tool.name!r}")


def _gap(options: SchemaOptions, limits: Limits) -> Node:
    if options.whitespace == "flexible":
        return repeat(byte_set(b" \t\n\r"), 0, options.max_whitespace)
    return EPSILON if options.whitespace == "compact" else parse(options.whitespace, limits=limits)
