"""Tools: function schemas in the spellings that providers have for them, and the choice among them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from grammars.errors import GrammarSyntaxError, UnsupportedFeature
from grammars.grammar import Grammar
from grammars.limits import Limits
from grammars.schema.json_types import is_object
from grammars.schema.reading import read_schema

Mode = Literal["auto", "required", "none"]

_MODES: dict[str, Mode] = {"auto": "auto", "required": "required", "any": "required", "none": "none"}
_SCHEMAS = ("parameters", "input_schema", "inputSchema")


@dataclass(frozen=True, slots=True)
class Tool:
    """A function: its name, and what its arguments may be, a schema or a `Grammar`.

    >>> Tool("weather", {"properties": {"city": {"type": "string"}}}).name
    'weather'
    """

    name: str
    parameters: Any = None

    def arguments(self, limits: Limits) -> Any:
        """The schema of the arguments, which are an object; no parameters mean an empty one."""
        if isinstance(self.parameters, Grammar):
            return self.parameters
        if self.parameters is None:
            return {"type": "object", "maxProperties": 0}
        schema = read_schema(self.parameters, limits)
        return {"type": "object", **schema} if is_object(schema) else {"type": "object", "allOf": [schema]}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which tools may be called, whether one must be, and whether more than one may be."""

    tools: tuple[Tool, ...]
    mode: Mode
    parallel: bool


def wanted(tools: object, tool_choice: Any, parallel: bool) -> Wanted:
    """The meaning of the three parameters of a request.

    >>> wanted([{"name": "f"}, {"name": "g"}], "g", parallel=True)
    Wanted(tools=(Tool(name='g', parameters=None),), mode='required', parallel=False)
    """
    known = read_tools(tools)
    if isinstance(tool_choice, str) and tool_choice in _MODES:
        mode = _MODES[tool_choice]
        if mode == "required" and not known:
            raise GrammarSyntaxError("a call is required, but there are no tools")
        return Wanted(() if mode == "none" else known, mode, parallel)
    name = _chosen(tool_choice)
    return Wanted((_named(name, known),), "required", False)


def _chosen(tool_choice: Any) -> str:
    name = tool_choice
    if is_object(tool_choice):
        name = (tool_choice["function"] if is_object(tool_choice.get("function")) else tool_choice).get("name")
    if not isinstance(name, str):
        raise GrammarSyntaxError(
            f"{str(tool_choice)[:60]!r} is no choice of a tool",
            hint='give "auto", "required", "none", or the name of a tool',
        )
    return name


def _named(name: str, tools: Sequence[Tool]) -> Tool:
    for tool in tools:
        if tool.name == name:
            return tool
    known = ", ".join(repr(tool.name) for tool in tools) or "there are none"
    raise GrammarSyntaxError(f"there is no tool {name!r}", hint=f"the tools are: {known}")


def read_tools(tools: object) -> tuple[Tool, ...]:
    """Tools as OpenAI's two interfaces, Anthropic's and MCP write them, as `Tool`, or as pydantic models.

    >>> read_tools([{"type": "function", "function": {"name": "f", "parameters": {}}}])
    (Tool(name='f', parameters={}),)
    """
    if isinstance(tools, str | bytes) or is_object(tools) or not isinstance(tools, Iterable):
        raise GrammarSyntaxError(f"tools must be a list, not {str(tools)[:60]!r}")
    found = tuple(_tool(tool) for tool in cast("Iterable[object]", tools))
    names = [tool.name for tool in found]
    for name in names:
        if not name or names.count(name) > 1:
            raise GrammarSyntaxError(f"two tools are called {name!r}" if name else "a tool must have a name")
    return found


def _tool(value: Any) -> Tool:
    if isinstance(value, Tool):
        return value
    if isinstance(value, type):
        return Tool(value.__name__, value)
    if not is_object(value):
        raise GrammarSyntaxError(f"a tool must be an object, not {str(value)[:60]!r}")
    function = value.get("function", value)
    if not is_object(function) or value.get("type", "function") != "function":
        raise UnsupportedFeature(
            f"the tool type {value.get('type')!r} is not supported", hint='there are tools of the type "function"'
        )
    if not isinstance(function.get("name"), str):
        raise GrammarSyntaxError(f"a tool has no name: {str(function)[:60]!r}")
    schemas = [function[key] for key in _SCHEMAS if function.get(key) is not None]
    return Tool(function["name"], schemas[0] if schemas else None)
