"""Engines under one roof: compile a language, follow a text, fill a mask.

Each engine is called through the fastest public Python interface it has. What is timed are bare callables, so that
no engine pays for this file: `fill()` writes the mask of the next token into `mask`, `commit(token)` takes a token,
`question(token)()` asks whether one token may follow.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Protocol

import numpy as np
from languages import BUILT_IN, Language
from numpy.typing import NDArray
from vocabularies import Tokens

from grammars import Grammar, Limits, SchemaOptions, TokenAutomaton, json_schema
from grammars.errors import ScansionError


class Unsupported(Exception):
    """The engine cannot take this language or schema; the message says why."""


class Compiled(Protocol):
    """A compiled language, at the start of a text."""

    mask: NDArray[np.int32] | NDArray[np.uint32]
    fill: Callable[[], object]
    commit: Callable[[int], object]

    def question(self, token: int) -> Callable[[], object]:
        """What answers whether `token` may follow now, with everything prepared."""
        ...

    def restart(self) -> None:
        """Go back to the start, and keep every cache."""
        ...


class Engine(Protocol):
    name: str
    version: str

    def compile(self, language: Language) -> Compiled:
        """From the source text to something that can fill masks."""
        ...

    def compile_schema(self, schema: str) -> Compiled:
        """The same from the text of a JSON schema, with the standard's meaning of what it leaves out."""
        ...


def installed(names: list[str], tokens: Tokens) -> list[Engine]:
    """The engines of these names that are there; the others are skipped with a line that says so."""
    makers: dict[str, Callable[[Tokens], Engine]] = {
        "scansion": Scansion,
        "scansion-any-order": ScansionAnyOrder,
        "llguidance": LLGuidance,
        "xgrammar": XGrammar,
        "outlines-core": OutlinesCore,
    }
    if unknown := set(names) - set(makers):
        raise SystemExit(f"there is no engine {', '.join(sorted(unknown))}; known are {', '.join(makers)}")
    engines: list[Engine] = []
    for name in names:
        try:
            engines.append(makers[name](tokens))
        except ImportError as error:
            print(f"{name} is skipped: {error}")
    return engines


def row_for(tokens: Tokens) -> NDArray[np.int32]:
    return np.zeros((1, tokens.vocabulary.words), np.int32)


class Scansion:
    name = "scansion"
    options = SchemaOptions()

    def __init__(self, tokens: Tokens):
        self.tokens = tokens
        self.version = _version("scansion")
        self.limits = Limits()

    def compile(self, language: Language) -> Compiled:
        return self._ready(language.scansion())

    def compile_schema(self, schema: str) -> Compiled:
        try:
            return self._ready(json_schema(schema, self.options))
        except ScansionError as error:
            raise Unsupported(f"{type(error).__name__}: {error.message}") from error

    def _ready(self, grammar: Grammar) -> Compiled:
        automaton = grammar.compile(self.tokens.vocabulary, self.limits)
        return _Scansion(automaton, row_for(self.tokens).view(np.uint32))


class ScansionAnyOrder(Scansion):
    """The same with keys in any order, as the standard has it."""

    name = "scansion-any-order"
    options = SchemaOptions(property_order="any")


class _Scansion:
    def __init__(self, automaton: TokenAutomaton, mask: NDArray[np.uint32]):
        self.automaton = automaton
        self.mask = mask
        self.restart()

    def restart(self) -> None:
        self.matcher = self.automaton.matcher()
        self.fill = partial(self.matcher.fill_bitmask, self.mask)
        self.commit = self.matcher.accept_token

    def question(self, token: int) -> Callable[[], object]:
        return partial(self.automaton.allows, self.matcher.state, token)


class LLGuidance:
    name = "llguidance"

    def __init__(self, tokens: Tokens):
        import llguidance

        self.tokens = tokens
        self.version = _version("llguidance")
        self.api = llguidance
        wrapper = llguidance.TokenizerWrapper(_AsLLGuidanceWants(tokens))
        self.tokenizer = llguidance.LLTokenizer(wrapper, eos_token=list(tokens.vocabulary.eos))

    def compile(self, language: Language) -> Compiled:
        _refuse(self.name, language)
        source = language.own.get(self.name, language.lark)
        make = self.api.LLMatcher
        return self._ready(make.grammar_from_lark(source) if source else make.grammar_from_regex(language.regex))

    def compile_schema(self, schema: str) -> Compiled:
        try:
            return self._ready(self.api.LLMatcher.grammar_from_json_schema(schema))
        except ValueError as error:
            raise Unsupported(str(error).splitlines()[0]) from error

    def _ready(self, grammar: str) -> Compiled:
        matcher = self.api.LLMatcher(self.tokenizer, grammar)
        if matcher.is_error():
            raise Unsupported(matcher.get_error().splitlines()[0])
        return _LLGuidance(matcher, row_for(self.tokens))


class _AsLLGuidanceWants:
    """The attributes from which llguidance reads a vocabulary."""

    bos_token_id = None

    def __init__(self, tokens: Tokens):
        self.eos_token_id = tokens.vocabulary.eos[0]
        self.tokens = list(tokens.vocabulary.tokens)
        self.special_token_ids = sorted({*tokens.vocabulary.special, *tokens.vocabulary.eos})
        self.encode = tokens.encode

    def __call__(self, text: bytes | str) -> list[int]:
        return self.encode(text)


class _LLGuidance:
    def __init__(self, matcher: Any, mask: NDArray[np.int32]):
        self.matcher, self.mask = matcher, mask
        # What llguidance.numpy.fill_next_token_bitmask calls, without its checks.
        self.fill = partial(matcher.unsafe_compute_mask_ptr, mask.ctypes.data, mask.nbytes)
        self.commit = matcher.consume_token
        self.restart = matcher.reset

    def question(self, token: int) -> Callable[[], object]:
        return partial(self.matcher.validate_tokens, [token])


class XGrammar:
    name = "xgrammar"

    def __init__(self, tokens: Tokens):
        import torch  # xgrammar imports it; its threads must not take part
        import xgrammar

        torch.set_num_threads(1)
        self.tokens, self.api = tokens, xgrammar
        self.version = _version("xgrammar")
        vocabulary = tokens.vocabulary
        outside = {*vocabulary.special, *vocabulary.eos}
        words = [b"" if i in outside else token for i, token in enumerate(vocabulary.tokens)]  # b"": never text
        info = xgrammar.TokenizerInfo(words, vocab_size=vocabulary.size, stop_token_ids=list(vocabulary.eos))
        self.compiler = xgrammar.GrammarCompiler(info, max_threads=1, cache_enabled=False)

    def compile(self, language: Language) -> Compiled:
        _refuse(self.name, language)
        return self._ready(partial(self._grammar, language))

    def compile_schema(self, schema: str) -> Compiled:
        return self._ready(partial(self.compiler.compile_json_schema, schema, strict_mode=False))

    def _ready(self, compile: Callable[[], Any]) -> Compiled:
        try:
            grammar = compile()
        except RuntimeError as error:
            raise Unsupported(str(error).strip().splitlines()[0]) from error
        return _XGrammar(self.api.GrammarMatcher(grammar), row_for(self.tokens))

    def _grammar(self, language: Language) -> Any:
        source = language.own.get(self.name, language.lark)
        if source == BUILT_IN:
            return self.compiler.compile_builtin_json_grammar()
        return self.compiler.compile_lark(source) if source else self.compiler.compile_regex(language.regex)


class _XGrammar:
    def __init__(self, matcher: Any, mask: NDArray[np.int32]):
        self.matcher, self.mask = matcher, mask
        self.fill = partial(matcher.fill_next_token_bitmask, mask)
        self.commit = matcher.accept_token
        self.restart = matcher.reset

    def question(self, token: int) -> Callable[[], object]:
        return partial(_accept_and_take_back, self.matcher, token)


def _accept_and_take_back(matcher: Any, token: int) -> bool:
    """xgrammar has no question about one token; this is what it offers instead."""
    accepted = bool(matcher.accept_token(token))
    if accepted:
        matcher.rollback(1)
    return accepted


class OutlinesCore:
    name = "outlines-core"

    def __init__(self, tokens: Tokens):
        import outlines_core
        import outlines_core.json_schema

        self.tokens, self.api = tokens, outlines_core
        self.version = _version("outlines-core")
        vocabulary = tokens.vocabulary
        words: dict[bytes, list[int]] = {}
        for i, token in enumerate(vocabulary.tokens):
            if token and i not in vocabulary.special and i not in vocabulary.eos:
                words.setdefault(token, []).append(i)
        self.vocabulary = outlines_core.Vocabulary(vocabulary.eos[0], words)

    def compile(self, language: Language) -> Compiled:
        _refuse(self.name, language)
        if language.regex is None:
            raise Unsupported("it takes regular expressions only")
        return self._ready(lambda: language.regex)

    def compile_schema(self, schema: str) -> Compiled:
        return self._ready(partial(self.api.json_schema.build_regex_from_schema, schema))

    def _ready(self, regex: Callable[[], str | None]) -> Compiled:
        try:
            index = self.api.Index(regex(), self.vocabulary)
        except ValueError as error:
            raise Unsupported((str(error).splitlines() or [type(error).__name__])[0]) from error
        return _OutlinesCore(self.api.Guide(index), row_for(self.tokens))


class _OutlinesCore:
    def __init__(self, guide: Any, mask: NDArray[np.int32]):
        self.guide, self.mask = guide, mask
        self.fill = partial(guide.write_mask_into, mask.ctypes.data, mask.size, mask.itemsize)
        self.commit = partial(guide.advance, return_tokens=False)
        self.restart = guide.reset

    def question(self, token: int) -> Callable[[], object]:
        return partial(self.guide.accepts_tokens, [token])


def _refuse(engine: str, language: Language) -> None:
    if engine in language.unsupported:
        raise Unsupported(language.unsupported[engine])


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "from source"
