"""Prompts of a command: arguments, standard input, and files with many.

An argument is a prompt; `-` is standard input, all of it one prompt. A file holds one prompt per line; a file called
`.jsonl` holds a JSON string per line, or an object whose `prompt` is one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from decoding.sources import read_file
from grammars import RequestError


def gathered(arguments: Iterable[str], file: str | None = None) -> list[str]:
    r"""All prompts that a call gives.

    >>> gathered(["one", "two"])
    ['one', 'two']
    """
    prompts = [_from_standard_input() if argument == "-" else argument for argument in arguments]
    return prompts + (lines_of(read_file(file), file) if file is not None else [])


def lines_of(text: str, name: str) -> list[str]:
    r"""The prompts in the lines of a file.

    >>> lines_of("one\n\ntwo\n", "prompts.txt"), lines_of('{"prompt": "a\\nb"}', "prompts.jsonl")
    (['one', 'two'], ['a\nb'])
    """
    is_json = name.removesuffix(".gz").endswith((".jsonl", ".ndjson"))
    numbered = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    return [_of_record(line, f"{name}, line {number}") if is_json else line for number, line in numbered]


def _from_standard_input() -> str:
    return read_file("-").removesuffix("\n")


def _of_record(line: str, where: str) -> str:
    try:
        record: Any = json.loads(line)
    except ValueError as error:
        raise RequestError(f"{where}: no JSON: {error}") from None
    prompt = record.get("prompt") if isinstance(record, dict) else record
    if not isinstance(prompt, str):
        raise RequestError(f"{where}: there is no prompt", hint='a JSON string or {"prompt": "..."} is wanted')
    return prompt
