"""Structured outputs by scansion: `response_format`, tools and `structured_outputs` of clients that know nothing of it.

vLLM's backends are a fixed list, so this one takes the place of another: the class that compiles in the engine, and the
function that validates in the front end. The engine asks a grammar for

| `fill_bitmask` | the mask of the next token |
| `accept_tokens` | go on |
| `validate_tokens`, `rollback` | speculative decoding: which drafted tokens fit, and back again |
| `is_terminated`, `reset` | |

which are the verbs of a `Matcher`. Where a stop token of the request is reached the text is complete: these tokens are
allowed there and nowhere else.

A mask that would cost more than its limit fails its own request: only the end may follow, and the token after it is
reported as refused, which vLLM answers with an error.
"""

# pyright: reportMissingImports=false, reportUntypedBaseClass=false
from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from importlib import import_module
from logging import getLogger
from typing import Any, Final

import numpy as np
import torch

from decoding.vllm.following import AUTOMATA
from decoding.vllm.interfaces import refusals
from decoding.vllm.tokens import ending, vocabulary_of
from decoding.vllm.wishes import RefusedRequest, check
from grammars import Matcher, ScansionError, TokenAutomaton, Vocabulary

_log = getLogger(__name__)

SLOTS: Final = {
    "xgrammar": ("XgrammarBackend", "validate_xgrammar_grammar"),
    "guidance": ("GuidanceBackend", "validate_guidance_grammar"),
}
_OF_ENGINE = ("whitespace_pattern", "disable_any_whitespace", "disable_additional_properties")
_RULE_OF_GBNF = re.compile(r"^\s*[\w.-]+\s*::=", re.MULTILINE)
_ANY_OBJECT = '{"type": "object"}'


class ScansionBackend:
    """One for an engine; `vllm_config`, `tokenizer` and `vocab_size` as vLLM gives them."""

    def __init__(self, vllm_config: Any, tokenizer: Any, vocab_size: int):
        self.vllm_config, self.tokenizer, self.vocab_size = vllm_config, tokenizer, vocab_size
        self._vocabulary = vocabulary_of(vllm_config.model_config, tokenizer)
        self._options = options_of(vllm_config.structured_outputs_config)

    @staticmethod
    def is_tokenizer_supported(tokenizer: Any) -> bool:
        """Whichever is not is refused when the vocabulary is read."""
        return True

    def compile_grammar(
        self, request_type: Any, grammar_spec: str, stop_token_ids: Iterable[int] | None = None
    ) -> ScansionGrammar:
        """The grammar of one request, at its start."""
        vocabulary = ending(self._vocabulary, stop_token_ids or ())
        return ScansionGrammar(AUTOMATA.compiled(language(request_type.name, grammar_spec, self._options), vocabulary))

    def allocate_token_bitmask(self, max_num_seqs: int) -> torch.Tensor:
        """Room for the masks of a batch; at first they allow everything."""
        return torch.full((max_num_seqs, self._vocabulary.words), -1, dtype=torch.int32)

    def destroy(self) -> None:
        """Nothing is to be given back."""


class ScansionGrammar:
    """Where one request stands.

    >>> from decoding.vocabularies import single_bytes
    >>> from grammars import regex
    >>> grammar = ScansionGrammar(regex("ab*").compile(single_bytes()))
    >>> grammar.validate_tokens(list(b"abx")), grammar.accept_tokens("r", list(b"ab")), grammar.is_terminated()
    ([97, 98], True, False)
    >>> grammar.rollback(1)
    >>> grammar.accept_tokens("r", [256, 7]), grammar.is_terminated()
    (True, True)
    """

    def __init__(self, automaton: TokenAutomaton):
        self._vocabulary: Vocabulary = automaton.vocabulary
        self._matcher: Matcher = automaton.matcher()
        self._failure = ""

    def accept_tokens(self, request_id: str, tokens: Sequence[int]) -> bool:
        """Go on; whether all tokens were allowed. What comes behind the end is ignored, as vLLM wants it."""
        if self._failure:
            return False
        for token in tokens:
            if self._matcher.is_terminated():
                break
            if not self._accepts(token):
                _log.error("request %s: token %d is not allowed here", request_id, token)
                return False
        return True

    def validate_tokens(self, tokens: Sequence[int]) -> list[int]:
        """The tokens up to the first that is not allowed; nothing changes."""
        taken = 0
        for token in tokens:
            if self._failure or not self._accepts(token):
                break
            taken += 1
        self._matcher.rollback(taken)
        return list(tokens[:taken])

    def rollback(self, num_tokens: int) -> None:
        """Take back the last tokens."""
        self._matcher.rollback(num_tokens)

    def fill_bitmask(self, bitmask: torch.Tensor, batch_index: int) -> None:
        """Write the mask of the next token to a row."""
        rows = bitmask.numpy()
        try:
            self._matcher.fill_bitmask(rows, batch_index)
        except ScansionError as error:
            self._failure = str(error)
            _log.error("a structured output cannot go on: %s", error)
            rows[batch_index] = 0
            rows[batch_index, : self._vocabulary.words] = self._vocabulary.end_row.view(np.int32)

    def is_terminated(self) -> bool:
        """Whether the end was reached."""
        return self._matcher.is_terminated()

    def reset(self) -> None:
        """Go back to the start."""
        self._matcher.reset()

    def _accepts(self, token: int) -> bool:
        try:
            return self._matcher.accept_token(token)
        except ScansionError as error:
            self._failure = str(error)
            return False


def options_of(config: Any) -> str:
    """The schema options, as JSON text, that vLLM's settings stand for.

    >>> from types import SimpleNamespace
    >>> options_of(SimpleNamespace(disable_any_whitespace=True, disable_additional_properties=False))
    '{"whitespace": "compact"}'
    """
    options: list[str] = []
    if getattr(config, "disable_additional_properties", False):
        options.append('"additional_properties": false')
    if getattr(config, "disable_any_whitespace", False):
        options.append('"whitespace": "compact"')
    return "{" + ", ".join(options) + "}"


def language(kind: str, spec: str, options: str) -> tuple[str, str, str]:
    """What scansion calls a kind of structured output. Grammars are GBNF if they have its arrow, else Lark.

    >>> language("GRAMMAR", 'root ::= "a"', "{}")
    ('gbnf', 'root ::= "a"', '{}')
    """
    if kind == "JSON_OBJECT":
        return "schema", _ANY_OBJECT, options
    if kind == "GRAMMAR":
        return ("gbnf" if _RULE_OF_GBNF.search(spec) else "lark"), spec, "{}"
    known = {"JSON": "schema", "REGEX": "regex", "CHOICE": "choice", "STRUCTURAL_TAG": "structural_tag"}
    return known[kind], spec, options if kind in ("JSON", "STRUCTURAL_TAG") else "{}"


def validate_request(params: Any, tokenizer: Any = None) -> None:
    """What the front end asks of a request with `structured_outputs`."""
    wanted = params.structured_outputs
    if wanted is None:
        return
    for name in _OF_ENGINE:
        if getattr(wanted, name, None):
            raise _invalid(f"{name} is not enforced for a single request; vLLM's settings of that name are respected")
    key = import_module("vllm.v1.structured_output.request").get_structured_output_key(wanted)
    try:
        check(*language(key[0].name, key[1], "{}"))
    except RefusedRequest as error:
        raise _invalid(str(error)) from error


def _invalid(message: str) -> Exception:
    return refusals()[-1](message)


def install(slot: str) -> None:
    """Take the place of a backend in this process."""
    class_name, function_name = SLOTS[slot]
    home = import_module(f"vllm.v1.structured_output.backend_{slot}")
    setattr(home, class_name, ScansionBackend)
    setattr(home, function_name, validate_request)
    setattr(import_module("vllm.v1.structured_output"), class_name, ScansionBackend)
    kinds = import_module("vllm.v1.structured_output.backend_types")
    kinds.StructuredOutputBackend.register(ScansionBackend)
    kinds.StructuredOutputGrammar.register(ScansionGrammar)
