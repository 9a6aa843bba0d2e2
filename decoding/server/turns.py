r"""Turns: what a model may write in answer to a request, put together from its form, its tools and its thoughts.

    turn  =  lead · thought? · ( form | calls | text then perhaps calls )

A call of a function is written as Hermes and Qwen models do, a call of a custom tool with its input as it is:

    <tool_call>\n{"name": "f", "arguments": {…}}\n</tool_call>          <tool_call>\nf\nINPUT\n</tool_call>

The markers are fixed texts, so `reading` finds the parts again without a parser. `lead` is what the template of a model
leaves to the answer, such as the space of "Assistant: Yes".
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import grammars
from decoding.server.dialects import Form
from decoding.server.faults import Fault, fault_of
from decoding.server.reading import CLOSE, OPEN, Header, TurnReader
from grammars import Grammar, GrammarError, Limits, Tag, Vocabulary
from grammars.expression import ANY_TEXT
from grammars.tags.dispatch import until

FREE: Final = Grammar(ANY_TEXT)
MARKERS: Final = frozenset([OPEN.strip(), CLOSE.strip(), "<think>", "</think>"])
"""Texts for which models tend to have tokens of their own; as tokens they must be allowed where their text is."""


@dataclass(frozen=True)
class ToolSpec:
    """A tool: its kind, "function" or "custom", and the form of its arguments or input; None is any text."""

    kind: str
    name: str
    form: Form | None
    description: str = ""

    @property
    def header(self) -> str:
        """How a call of it begins."""
        if self.kind == "custom":
            return f"{self.name}\n"
        return f'{{"name": {json.dumps(self.name, ensure_ascii=False)}, "arguments": '

    def call(self, limits: Limits) -> Grammar:
        """A call of it, behind the opening marker."""
        content = self.form.grammar(limits) if self.form else FREE
        if self.kind == "custom":
            return grammars.literal(self.header) + _without(content, CLOSE, limits) + grammars.literal(CLOSE)
        return grammars.literal(self.header) + content + grammars.literal("}" + CLOSE)


def _without(content: Grammar, marker: str, limits: Limits) -> Grammar:
    inside = "".join(f"\\x{byte:02x}" for byte in marker.encode())
    return content - grammars.regex(f"(?s:.*){inside}(?s:.*)", limits=limits)


@dataclass(frozen=True)
class Turn:
    """What an answer may be. `mode` is that of the calls: "none", "auto" or "required"."""

    form: Form | None = None
    tools: tuple[ToolSpec, ...] = ()
    mode: str = "none"
    parallel: bool = True
    thought: tuple[str, str] | None = None
    lead: str = ""

    @property
    def is_free(self) -> bool:
        """Whether the answer may be any text, and so may be cut anywhere."""
        return self.form is None and self.mode == "none" and self.thought is None

    @property
    def key(self) -> str:
        """By what its automaton is found again."""
        tools = [[tool.kind, tool.name, tool.form and tool.form.key] for tool in self.tools]
        return json.dumps([self.form and self.form.key, tools, self.mode, self.parallel, self.thought, self.lead])

    @property
    def param(self) -> str | None:
        """The field that is at fault if the whole cannot be compiled."""
        return self.form.param if self.form else "tools" if self.tools else None

    @property
    def text(self) -> str:
        """All that `turn_of` needs, as JSON: turns travel to other processes as text."""
        tools = [[tool.kind, tool.name, _form_fields(tool.form)] for tool in self.tools]
        return json.dumps(
            [_form_fields(self.form), tools, self.mode, self.parallel, self.thought, self.lead], ensure_ascii=False
        )

    def grammar(self, limits: Limits) -> Grammar:
        """All of it.

        >>> Turn(Form("choice", ["yes", "no"], "choice"), lead=" ").grammar(Limits()).matches(b" no")
        True
        """
        try:
            body = self._body(limits)
            if self.thought:
                begin, end = self.thought
                thought = Grammar(until(ANY_TEXT, frozenset(), [end.encode()]))
                body = grammars.literal(begin) + thought + body
            return grammars.literal(self.lead) + body if self.lead else body
        except GrammarError as error:
            raise fault_of(error, self.param) from error

    def reader(self) -> TurnReader:
        """What takes the answer apart again."""
        headers: dict[str, Header] = {}
        if self.mode != "none":
            headers = {tool.header: (tool.kind, tool.name) for tool in self.tools}
        return TurnReader(self.lead, self.thought, headers)

    def _body(self, limits: Limits) -> Grammar:
        content = self.form.grammar(limits) if self.form else FREE
        if self.mode == "none":
            return content
        calls = self._calls(limits)
        if self.mode == "required":
            return grammars.literal(OPEN) + calls
        if self.form:
            return content | (grammars.literal(OPEN) + calls)
        return grammars.tags([OPEN], [Tag(OPEN, calls)], stop_after_first=True, limits=limits)

    def _calls(self, limits: Limits) -> Grammar:
        """Calls, behind the first opening marker."""
        call = self.tools[0].call(limits)
        for tool in self.tools[1:]:
            call = call | tool.call(limits)
        return call + (grammars.literal("\n" + OPEN) + call).repeat() if self.parallel else call


def turn_of(text: str) -> Turn:
    """The turn that was written as text.

    >>> turn = Turn(Form("choice", ["yes", "no"], "choice"), (ToolSpec("custom", "sql", None),), "auto", lead=" ")
    >>> turn_of(turn.text) == turn
    True
    """
    form, tools, mode, parallel, thought, lead = json.loads(text)
    specs = tuple(ToolSpec(kind, name, _form_of_fields(given)) for kind, name, given in tools)
    return Turn(_form_of_fields(form), specs, mode, parallel, tuple(thought) if thought else None, lead)


def _form_fields(form: Form | None) -> list[Any] | None:
    return form and [form.kind, form.value, form.param, form.options]


def _form_of_fields(fields: list[Any] | None) -> Form | None:
    if fields is None:
        return None
    kind, value, param, options = fields
    return Form(kind, value, param, tuple((name, given) for name, given in options))


def with_ordinary_markers(vocabulary: Vocabulary) -> Vocabulary:
    """The same tokens; markers for which the model has tokens of its own are text.

    >>> marked = Vocabulary([b"a", b"<think>", b"<end>"], eos=[2], special=[1])
    >>> with_ordinary_markers(marked).special
    frozenset()
    """
    ordinary = {t for t in vocabulary.special if vocabulary.tokens[t].decode("utf-8", "replace") in MARKERS}
    if not ordinary:
        return vocabulary
    return Vocabulary(vocabulary.tokens, eos=vocabulary.eos, special=vocabulary.special - ordinary)


# -- tools as requests have them --------------------------------------------------------------------------------------

_CHOICES: Final = {"none": "none", "auto": "auto", "required": "required", "any": "required"}


def tools_of(given: Sequence[Mapping[str, Any]]) -> tuple[ToolSpec, ...]:
    """The tools of a request, in the spelling of chat completions or of responses.

    >>> tools_of([{"type": "custom", "name": "sql", "format": {"type": "text"}}])[0].header
    'sql\\n'
    """
    tools = tuple(_tool(tool, f"tools[{number}]") for number, tool in enumerate(given))
    names = [tool.name for tool in tools]
    for number, name in enumerate(names):
        if name in names[:number]:
            raise Fault(f"two tools are called {name!r}", param=f"tools[{number}]")
    return tools


def _tool(tool: Mapping[str, Any], where: str) -> ToolSpec:
    kind = tool.get("type")
    if kind not in ("function", "custom"):
        raise Fault(
            f"tools of the type {kind!r} are not known here",
            param=f"{where}.type",
            code="unsupported_value",
            hint="there are tools of the types function and custom",
        )
    inner = tool.get(kind, tool)
    if not isinstance(inner, Mapping):
        raise Fault(f"{where}.{kind} must be an object", param=f"{where}.{kind}")
    known = ("type", "name", "description", "parameters", "strict") if kind == "function" else _CUSTOM
    for name in (*(inner if inner is tool else ()), *(tool if inner is not tool else ()), *inner):
        if name not in known and name != kind:
            raise Fault(f"a tool has no field {name!r}", param=f"{where}.{name}", code="unknown_parameter")
    name = inner.get("name")
    if not isinstance(name, str) or not name or not all(char.isalnum() or char in "_-." for char in name):
        raise Fault(f"{name!r} is no name of a tool", param=f"{where}.name", hint="letters, digits, _, - and .")
    form = _arguments(inner, where) if kind == "function" else _input(inner.get("format"), f"{where}.format")
    return ToolSpec(kind, name, form, str(inner.get("description") or ""))


_CUSTOM: Final = ("type", "name", "description", "format")


def _arguments(function: Mapping[str, Any], where: str) -> Form:
    schema = function.get("parameters")
    if schema is None:
        schema = {"maxProperties": 0}
    if not isinstance(schema, Mapping):
        raise Fault("parameters must be a JSON schema", param=f"{where}.parameters")
    return Form("schema", {"type": "object", **schema}, f"{where}.parameters")


def _input(value: Any, where: str) -> Form | None:
    """The form of a custom tool's input."""
    if value is None or (isinstance(value, Mapping) and value.get("type") == "text"):
        return None
    if not isinstance(value, Mapping) or value.get("type") != "grammar":
        raise Fault("the format of a custom tool is text or a grammar", param=where)
    inner = value.get("grammar", value)
    syntax = inner.get("syntax") if isinstance(inner, Mapping) else None
    if syntax not in ("lark", "regex"):
        raise Fault(f"there is no syntax {syntax!r}", param=f"{where}.syntax", hint="there are lark and regex")
    if not isinstance(inner.get("definition"), str):
        raise Fault("the definition must be text", param=f"{where}.definition")
    return Form(syntax, inner["definition"], f"{where}.definition")


def called(tools: tuple[ToolSpec, ...], choice: Any) -> tuple[tuple[ToolSpec, ...], str]:
    """The tools that may be called, and how: "none", "auto" or "required".

    >>> weather = ToolSpec("function", "weather", None)
    >>> called((weather,), {"type": "function", "function": {"name": "weather"}})[1]
    'required'
    """
    if isinstance(choice, Mapping) and choice.get("type") == "allowed_tools":
        return _allowed(tools, choice.get("allowed_tools", choice))
    if isinstance(choice, Mapping):
        inner = choice.get(str(choice.get("type")), choice)
        return (_named(tools, inner.get("name") if isinstance(inner, Mapping) else None),), "required"
    mode = _CHOICES.get("auto" if choice is None else choice)
    if mode is None:
        raise Fault(
            f"{choice!r} is no choice of tools", param="tool_choice", hint='"none", "auto", "required" or a tool'
        )
    if mode == "required" and not tools:
        raise Fault("a call is required, but there are no tools", param="tool_choice")
    return tools, mode if tools else "none"


def _allowed(tools: tuple[ToolSpec, ...], allowed: Any) -> tuple[tuple[ToolSpec, ...], str]:
    if not isinstance(allowed, Mapping) or not isinstance(allowed.get("tools"), list):
        raise Fault("allowed_tools needs a list of tools", param="tool_choice.tools")
    found = tuple(called(tools, tool)[0][0] for tool in allowed["tools"])
    return called(found, allowed.get("mode", "auto"))


def _named(tools: tuple[ToolSpec, ...], name: Any) -> ToolSpec:
    for tool in tools:
        if tool.name == name:
            return tool
    raise Fault(f"there is no tool {name!r}", param="tool_choice")
