"""What a request asks of the plugin, and the grammar of it.

A request carries it in `extra_args` under the key "scansion": an object, or its JSON text where nested objects are not
let through (`vllm_xargs` of vLLM's server). It names one form and perhaps options:

| field | value |
|---|---|
| `schema` | a JSON schema, as an object or as text |
| `regex`, `lark`, `gbnf` | text |
| `choice` | a list of texts |
| `structural_tag` | see `grammars.structural_tag`, as an object or as text |
| `options` | those of `grammars.SchemaOptions` |
| `begun` | how many tokens at the end of the prompt belong to the constrained text already |
| `closing` | in how many tokens from here on the text must be complete; see `decoding.server.closing` |
| `record` | under which name the mass of the allowed tokens is kept; see `decoding.vllm.records` |
| `rows` | whether the logits themselves are kept there, too |

A server of this distribution asks with `turn`, a form and its tools and thoughts (`decoding.server.turns`), and sends
the `program` of a new one along (`TokenAutomaton.save`), which takes the worker less time to load than to compile.

Every other field is refused, and so is what cannot be enforced: nothing is ever ignored.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, fields
from functools import lru_cache
from io import BytesIO
from threading import Lock
from typing import Any, Final

import grammars
from decoding.vocabularies import single_bytes
from grammars import (
    Grammar,
    LimitExceeded,
    Limits,
    RequestError,
    ScansionError,
    SchemaOptions,
    SerializationError,
    TokenAutomaton,
    Vocabulary,
)

KEY: Final = "scansion"
TURN: Final = "turn"
_OTHERS: Final = ("options", "begun", "closing", "record", "rows")
_MOST_COMPILED = 64

_Front = Callable[[Any, SchemaOptions], Grammar]
FORMS: Final[Mapping[str, _Front]] = {
    "schema": grammars.json_schema,
    "regex": lambda text, _: grammars.regex(text),
    "lark": lambda text, _: grammars.lark(text),
    "gbnf": lambda text, _: grammars.gbnf(text),
    "choice": lambda texts, _: grammars.choice(json.loads(texts)),
    "structural_tag": grammars.structural_tag,
}


class RefusedRequest(RequestError, ValueError):
    """A request that cannot be served as asked; a ValueError is what vLLM answers with status 400."""

    code = "integration.request"


@dataclass(frozen=True)
class Wish:
    """What one request asks for. `kind` is empty if it asks for no constraint, only for logits."""

    kind: str = ""
    text: str = ""
    options: str = "{}"
    begun: int = 0
    record: str | None = None
    rows: bool = False
    closing: int | None = None
    program: bytes = b""

    @property
    def language(self) -> tuple[str, str, str]:
        """All that the grammar depends on."""
        return self.kind, self.text, self.options


def constrained(
    *,
    options: Mapping[str, Any] | None = None,
    begun: int = 0,
    closing: int | None = None,
    record: str | None = None,
    rows: bool = False,
    program: bytes = b"",
    **form: Any,
) -> dict[str, Any]:
    """The `extra_args` of a request with a form, which is one of `schema`, `regex`, `lark`, `gbnf`, `choice` and
    `structural_tag`. The `program` of a `turn` is for servers of this distribution.

    >>> constrained(choice=["yes", "no"])
    {'scansion': {'choice': ['yes', 'no']}}
    >>> constrained(regexp="a")
    Traceback (most recent call last):
    decoding.vllm.wishes.RefusedRequest: scansion does not know regexp
    hint: it knows schema, regex, lark, gbnf, choice, structural_tag, turn, options, begun, closing, record, rows
    """
    given = {"options": dict(options) if options else None, "begun": begun, "record": record, "rows": rows}
    given |= {"closing": closing, "program": program}
    asked = form | {name: value for name, value in given.items() if value}
    read(asked)
    return {KEY: asked}


def wish_of(extra_args: Mapping[str, Any] | None) -> Wish | None:
    """What a request asks for, or None if it does not speak to this plugin.

    >>> wish_of({"scansion": '{"regex": "a+"}'}).text, wish_of({"other": 1})
    ('a+', None)
    """
    asked = (extra_args or {}).get(KEY)
    return None if asked is None else read(asked)


def read(asked: Any) -> Wish:
    """A wish from an object or its JSON text."""
    if isinstance(asked, str):
        try:
            asked = json.loads(asked)
        except (ValueError, RecursionError) as error:
            raise RefusedRequest(f"{KEY} holds no JSON: {error}") from None
    if not isinstance(asked, Mapping):
        raise RefusedRequest(f"{KEY} must be an object or its JSON text, not {type(asked).__name__}")
    known = (*FORMS, TURN, *_OTHERS)
    unknown = [str(name) for name in asked if name not in (*known, "program")]
    if unknown:
        raise RefusedRequest(f"{KEY} does not know {', '.join(unknown)}", hint=f"it knows {', '.join(known)}")
    kind, text = _form(asked)
    closing = None if asked.get("closing") is None else _count(asked, "closing")
    program = _program(asked, kind)
    return Wish(kind, text, _options(asked, kind), _count(asked, "begun"), _name(asked), _flag(asked), closing, program)


def _form(asked: Mapping[str, Any]) -> tuple[str, str]:
    kinds = [name for name in (*FORMS, TURN) if asked.get(name) is not None]
    if len(kinds) > 1:
        raise RefusedRequest(f"{KEY} gives {' and '.join(kinds)}; a text has one form")
    if not kinds and not asked.get("rows"):
        raise RefusedRequest(f"{KEY} gives no form", hint=f"give one of {', '.join(FORMS)}")
    return (kinds[0], _text(kinds[0], asked[kinds[0]])) if kinds else ("", "")


def _text(kind: str, value: Any) -> str:
    if kind == "choice":
        texts = isinstance(value, list | tuple) and all(isinstance(text, str) for text in value)
        if not texts:
            raise RefusedRequest("choice must be a list of texts")
        return json.dumps(list(value))
    if isinstance(value, str):
        return value
    if kind not in ("schema", "structural_tag"):
        raise RefusedRequest(f"{kind} must be a text, not {type(value).__name__}")
    try:
        return json.dumps(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise RefusedRequest(f"{kind} cannot be written as JSON: {error}") from None


def _options(asked: Mapping[str, Any], kind: str) -> str:
    """Of schemas, or the limits under which a turn is compiled."""
    options, of = asked.get("options") or {}, Limits if kind == TURN else SchemaOptions
    known = {field.name for field in fields(of)}
    if not isinstance(options, Mapping) or not set(options) <= known:
        raise RefusedRequest(f"options must be an object with fields of {of.__name__}")
    return json.dumps(dict(options), sort_keys=True)


def _count(asked: Mapping[str, Any], name: str) -> int:
    count = asked.get(name) or 0
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise RefusedRequest(f"{name} must be a number of tokens, not {count!r}")
    return count


def _name(asked: Mapping[str, Any]) -> str | None:
    record = asked.get("record")
    if record is not None and not (isinstance(record, str) and record):
        raise RefusedRequest(f"record must be a name, not {record!r}")
    if asked.get("rows") and record is None:
        raise RefusedRequest("rows are kept under a name", hint="give record, too")
    return record


def _program(asked: Mapping[str, Any], kind: str) -> bytes:
    program = asked.get("program", b"")
    if not isinstance(program, bytes) or (program and kind != TURN):
        raise RefusedRequest("a program comes as bytes, and with a turn")
    return program


def _flag(asked: Mapping[str, Any]) -> bool:
    rows = asked.get("rows") or False
    if not isinstance(rows, bool):
        raise RefusedRequest(f"rows must be true or false, not {rows!r}")
    return rows


def grammar_of(kind: str, text: str, options: str) -> Grammar:
    """The grammar of a form.

    >>> grammar_of("schema", '{"type": "integer"}', "{}").matches(b"12")
    True
    """
    try:
        return FORMS[kind](text, SchemaOptions(**json.loads(options)))
    except TypeError as error:
        raise RefusedRequest(f"options: {error}") from None


def automaton_of(language: tuple[str, str, str], vocabulary: Vocabulary, program: bytes = b"") -> TokenAutomaton:
    """A form, compiled; a turn may have been compiled by who asks with it, and its program is loaded.

    >>> automaton_of(("regex", "a+", "{}"), single_bytes()).vocabulary.size
    257
    """
    kind, text, options = language
    if kind != TURN:
        return grammar_of(kind, text, options).compile(vocabulary)
    from decoding.server.turns import turn_of, with_ordinary_markers

    vocabulary = with_ordinary_markers(vocabulary)
    try:
        limits = Limits(**json.loads(options))
        if program:
            with suppress(SerializationError, LimitExceeded):  # it can still be compiled
                return TokenAutomaton.load(BytesIO(program), vocabulary, limits)
        return turn_of(text).grammar(limits).compile(vocabulary, limits)
    except (TypeError, ValueError, KeyError) as error:
        raise RefusedRequest(f"{TURN}: {error}") from error


@lru_cache(maxsize=256)
def check(kind: str, text: str, options: str) -> None:
    """Raise a ValueError unless the form has a grammar and a text. The vocabulary is not known where this is asked:
    every single byte stands for it."""
    try:
        automaton_of((kind, text, options), single_bytes())
    except ScansionError as error:
        raise RefusedRequest(str(error)) from error


class Automata:
    """Compiled forms, the latest ones kept; shared by the threads of a process. What one thread is compiling others
    wait for.

    >>> automata, bytes_alone = Automata(), single_bytes()
    >>> wanted = ("regex", "a+", "{}")
    >>> automata.compiled(wanted, bytes_alone) is automata.compiled(wanted, bytes_alone)
    True
    """

    def __init__(self, most: int = _MOST_COMPILED):
        self._most = most
        self._known: OrderedDict[tuple[str, ...], Future[TokenAutomaton]] = OrderedDict()
        self._lock = Lock()

    def compiled(self, language: tuple[str, str, str], vocabulary: Vocabulary, program: bytes = b"") -> TokenAutomaton:
        """The automaton of a form over a vocabulary; a new one is made of the program, if there is one."""
        key = (*language, vocabulary.fingerprint)
        with self._lock:
            is_new = key not in self._known
            found = self._known.setdefault(key, Future[TokenAutomaton]())
            self._known.move_to_end(key)
            while len(self._known) > self._most:
                self._known.popitem(last=False)
        if is_new:
            self._make(key, found, lambda: automaton_of(language, vocabulary, program))
        return found.result()

    def _make(self, key: tuple[str, ...], found: Future[Any], work: Callable[[], TokenAutomaton]) -> None:
        try:
            found.set_result(work())
        except BaseException as error:  # noqa: BLE001 - whoever waits is told, too
            with self._lock:
                self._known.pop(key, None)  # a failure is not remembered
            found.set_exception(error)
