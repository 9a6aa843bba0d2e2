"""Dialects: constraints by every name that clients have for them.

| from | fields |
|---|---|
| OpenAI | `response_format`; in the responses interface `text.format` |
| vLLM | `structured_outputs`, and the older `guided_json`, `guided_regex`, `guided_choice`, `guided_grammar`, ... |
| SGLang | `regex`, `ebnf`, `json_schema`, `structural_tag` |
| llama.cpp | `grammar`, `json_schema`, `response_format` with a `schema` |
| Ollama | `format` |
| here | `lark`, `choice` |

Each becomes a `Form`: what kind of language, from what, and which field said so. A request has one form; two are a
contradiction that nobody should resolve silently.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import grammars
from decoding.server.faults import Fault, fault_of
from grammars import Grammar, Limits, ScansionError, SchemaOptions

ANY_OBJECT: Final = {"type": "object"}


@dataclass(frozen=True)
class Form:
    """A language: its kind, its description, the options of schemas, and the field that asked for it."""

    kind: str
    value: Any
    param: str
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def key(self) -> str:
        """By what it is found again."""
        return json.dumps([self.kind, self.value, self.options])

    def grammar(self, limits: Limits) -> Grammar:
        """The language itself.

        >>> Form("schema", {"type": "integer"}, "format").grammar(Limits()).matches(b"12")
        True
        """
        try:
            return _BUILDERS[self.kind](self.value, SchemaOptions(**dict(self.options)), limits)
        except ScansionError as error:
            raise fault_of(error, self.param) from error
        except ValueError as error:
            raise Fault(str(error), param=self.param) from error


def _schema(value: Any, options: SchemaOptions, limits: Limits) -> Grammar:
    return grammars.json_schema(value, options, limits)


_BUILDERS: Final[Mapping[str, Callable[[Any, SchemaOptions, Limits], Grammar]]] = {
    "schema": _schema,
    "regex": lambda text, _, limits: grammars.regex(text, limits=limits),
    "lark": lambda text, _, limits: grammars.lark(text, limits=limits),
    "gbnf": lambda text, _, limits: grammars.gbnf(text, limits=limits),
    "choice": lambda texts, *_: grammars.choice(texts),
    "structural_tag": lambda value, options, limits: grammars.structural_tag(value, options, limits),
}


def form_of(request: Mapping[str, Any]) -> Form | None:
    """The form that a request asks for, if any.

    >>> form_of({"guided_regex": "[0-9]+"})
    Form(kind='regex', value='[0-9]+', param='guided_regex', options=())
    >>> form_of({"format": "json", "regex": "a"})
    Traceback (most recent call last):
    decoding.server.faults.Fault: format and regex both say what the answer must be
    hint: give one of them
    """
    given = [(name, read) for name, read in _READERS.items() if request.get(name) is not None]
    forms = [form for name, read in given if (form := read(request[name], name)) is not None]
    if len(forms) > 1:
        raise Fault(
            f"{forms[0].param} and {forms[1].param} both say what the answer must be",
            param=forms[1].param,
            code="conflicting_constraints",
            hint="give one of them",
        )
    return _with_whitespace(forms[0], request.get("guided_whitespace_pattern")) if forms else None


def _with_whitespace(form: Form, pattern: Any) -> Form:
    if pattern is None or form.kind != "schema":
        return form
    return Form(form.kind, form.value, form.param, (*form.options, ("whitespace", pattern)))


# -- one field --------------------------------------------------------------------------------------------------------


def _response_format(value: Mapping[str, Any], name: str) -> Form | None:
    kind = value.get("type")
    if kind == "text":
        _only(value, name, "type")
        return None
    if kind == "json_object":
        _only(value, name, "type", "schema")  # the schema is llama.cpp's
        return Form("schema", value.get("schema", ANY_OBJECT), name)
    if kind == "json_schema":
        return _named_schema(value, name)
    if kind == "structural_tag":
        return Form("structural_tag", dict(value), name)
    if kind == "grammar":
        _only(value, name, "type", "grammar")
        return _grammar(_text(value.get("grammar"), f"{name}.grammar"), f"{name}.grammar")
    raise Fault(
        f"there is no response format {kind!r}",
        param=f"{name}.type",
        hint="there are text, json_object, json_schema, structural_tag and grammar",
    )


def _named_schema(value: Mapping[str, Any], name: str) -> Form:
    """OpenAI's two spellings: nested in chat completions, flat in responses; `strict` or not, it is enforced."""
    where, inner = name, value
    if "json_schema" in value:
        _only(value, name, "type", "json_schema")
        where, inner = f"{name}.json_schema", value["json_schema"]
    if not isinstance(inner, Mapping):
        raise Fault(f"{where} must be an object", param=where)
    _only(inner, where, "type", "name", "description", "schema", "strict")
    if inner.get("schema") is None:
        raise Fault("the schema is missing", param=f"{where}.schema", code="missing_required_parameter")
    return Form("schema", inner["schema"], f"{where}.schema")


_STRUCTURED: Final = ("json", "regex", "choice", "grammar", "json_object", "structural_tag")


def _structured_outputs(value: Any, name: str) -> Form | None:
    if not isinstance(value, Mapping):
        raise Fault(f"{name} must be an object", param=name)
    _only(value, name, *_STRUCTURED, "whitespace_pattern", "disable_any_whitespace", "disable_additional_properties")
    kinds = [kind for kind in _STRUCTURED if value.get(kind) not in (None, False)]
    if len(kinds) != 1:
        said = " and ".join(kinds) or "nothing"
        raise Fault(f"{name} says {said}", param=name, hint=f"give one of {', '.join(_STRUCTURED)}")
    form = _READERS[f"guided_{kinds[0]}"](value[kinds[0]], f"{name}.{kinds[0]}")
    options: dict[str, Any] = {}
    if value.get("whitespace_pattern") is not None:
        options["whitespace"] = _text(value["whitespace_pattern"], f"{name}.whitespace_pattern")
    if value.get("disable_any_whitespace"):
        options["whitespace"] = "compact"
    if value.get("disable_additional_properties"):
        options["additional_properties"] = False
    return form and Form(form.kind, form.value, form.param, tuple(options.items()))


def _schema_form(value: Any, name: str) -> Form:
    if not isinstance(value, Mapping | str | bool):
        raise Fault(f"{name} must be a JSON schema, as an object or as text", param=name)
    return Form("schema", value, name)


def _format(value: Any, name: str) -> Form | None:
    return Form("schema", ANY_OBJECT, name) if value == "json" else _schema_form(value, name)


def _grammar(text: str, name: str) -> Form:
    """A grammar of either kind: rules are `a ::= …` in GBNF and EBNF, `a: …` in Lark."""
    return Form("gbnf" if "::=" in text else "lark", text, name)


def _choice(value: Any, name: str) -> Form:
    if not isinstance(value, list) or not value or not all(isinstance(text, str) for text in value):
        raise Fault(f"{name} must be a list of texts", param=name)
    return Form("choice", value, name)


def _flagged(value: Any, name: str) -> Form | None:
    if not isinstance(value, bool):
        raise Fault(f"{name} must be true or false", param=name)
    return Form("schema", ANY_OBJECT, name) if value else None


def _tag(value: Any, name: str) -> Form:
    if not isinstance(value, Mapping | str):
        raise Fault(f"{name} must be an object or its JSON text", param=name)
    return Form("structural_tag", value, name)


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise Fault(f"{name} must be text", param=name)
    return value


def _textual(kind: str) -> Callable[[Any, str], Form]:
    return lambda value, name: Form(kind, _text(value, name), name)


_READERS: Final[Mapping[str, Callable[[Any, str], Form | None]]] = {
    "response_format": _response_format,
    "text.format": _response_format,
    "structured_outputs": _structured_outputs,
    "guided_json": _schema_form,
    "guided_regex": _textual("regex"),
    "guided_choice": _choice,
    "guided_grammar": lambda value, name: _grammar(_text(value, name), name),
    "guided_json_object": _flagged,
    "guided_structural_tag": _tag,
    "structural_tag": _tag,
    "format": _format,
    "json_schema": _schema_form,
    "regex": _textual("regex"),
    "ebnf": _textual("gbnf"),
    "grammar": lambda value, name: _grammar(_text(value, name), name),
    "lark": _textual("lark"),
    "choice": _choice,
}


def _only(value: Mapping[str, Any], name: str, *known: str) -> None:
    for field in value:
        if field not in known:
            raise Fault(
                f"{name} has no field {field!r}",
                param=f"{name}.{field}",
                code="unknown_parameter",
                hint=f"it has {', '.join(known)}",
            )
