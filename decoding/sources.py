"""Sources: what an argument that gives a grammar means.

An argument is either a text or the name of a file, and its spelling alone decides which; what files there are never
does.

* `@NAME` is the file NAME, in every option; `@-` is standard input.
* Anything else is the text itself, if it can be one: every string is a regex; a Lark or GBNF grammar has a rule, so
  it contains a colon; a schema is JSON that begins with `{` or is `true` or `false`.
* What cannot be a text of its kind is the name of a file.

So `--lark rules.lark`, `--schema '{"type": "object"}'` and `--regex '[a-z]+'` mean what they seem to, and a regex in a
file is `--regex @pattern.txt`. A pattern that begins with @ is written `[@]…`, a file whose name has a colon `@C:\\…`.
A file may be compressed with gzip, if it is called `.gz`.
"""

from __future__ import annotations

import gzip
import os
import sys
import zlib
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

import grammars
from grammars import Grammar, GrammarSyntaxError, SchemaOptions

_UNREADABLE = (OSError, UnicodeDecodeError, EOFError, zlib.error, ValueError)
_WORDS: Final[Mapping[str, Any]] = {"true": True, "false": False, "none": None}


def is_json(argument: str) -> bool:
    """Whether an argument is a schema itself and not the name of one.

    >>> is_json(' {"type": "integer"}'), is_json("person.json"), is_json("true")
    (True, False, True)
    """
    return argument.lstrip().startswith("{") or argument.strip() in ("true", "false")


_IS_TEXT: Final[Mapping[str, Callable[[str], bool]]] = {
    "schema": is_json,
    "regex": lambda argument: True,
    "lark": lambda argument: ":" in argument,
    "gbnf": lambda argument: ":" in argument,
}


def read(kind: str, argument: str) -> str:
    """The text that an argument of the option `--kind` stands for.

    >>> read("regex", "[a-z]+")
    '[a-z]+'
    """
    if argument.startswith("@"):
        return read_file(argument[1:])
    return argument if _IS_TEXT[kind](argument) else read_file(argument)


def looks_misread(kind: str, argument: str) -> bool:
    """Whether an argument that is taken as text might have been meant as the name of a file."""
    return not argument.startswith("@") and _IS_TEXT[kind](argument) and os.path.isfile(argument)


def read_file(name: str) -> str:
    """The text of a file, or of standard input if the name is "-"."""
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        return (gzip.decompress(data) if name.endswith(".gz") else data).decode("utf-8-sig")
    except _UNREADABLE as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise GrammarSyntaxError(
            f"{name} cannot be read: {reason}",
            hint="the name of a text file in UTF-8 is wanted, or a text that cannot be mistaken for one",
        ) from error


def build(kind: str, text: str, options: SchemaOptions) -> Grammar:
    """The grammar of a text.

    >>> build("gbnf", 'root ::= "a"', SchemaOptions()).matches(b"a")
    True
    """
    if kind == "schema":
        return grammars.json_schema(text, options)
    front_end: Callable[[str], Grammar] = {"regex": grammars.regex, "lark": grammars.lark, "gbnf": grammars.gbnf}[kind]
    return front_end(text)


def schema_options(settings: list[str]) -> SchemaOptions:
    """The options that some `name=value` describe.

    >>> schema_options(["whitespace=compact", "max_whitespace=3"]).max_whitespace
    3
    """
    known = {field.name for field in fields(SchemaOptions)} - {"registry"}
    values: dict[str, Any] = {}
    for setting in settings:
        name, _, value = setting.partition("=")
        if name not in known:
            raise ValueError(f"there is no option {name!r}; there are {', '.join(sorted(known))}")
        values[name] = int(value) if name.startswith("max_") else _WORDS.get(value, value)
    return SchemaOptions(**values)
