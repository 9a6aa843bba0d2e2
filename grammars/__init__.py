"""Formal languages and their automata over the tokens of a language model.

    text -> Grammar -> TokenAutomaton -> masks

`regex`, `lark`, `gbnf`, `literal` and `choice` make a `Grammar`; operators combine grammars;
`Grammar.compile(vocabulary)` makes a `TokenAutomaton`, which tells for every prefix exactly which tokens may follow:
a token is allowed if and only if some continuation completes the text.

>>> from grammars import Vocabulary, regex
>>> vocabulary = Vocabulary([b"yes", b"no", b"n", b"o", b"<end>"], eos=[4])
>>> automaton = regex("yes|no").compile(vocabulary)
>>> [t for t in range(vocabulary.size) if automaton.allows(automaton.start, t)]
[0, 1, 2]
"""

from grammars.automaton import DEAD, TokenAutomaton
from grammars.errors import (
    BackendUnavailable,
    BudgetExhausted,
    DeadEnd,
    GrammarError,
    GrammarSyntaxError,
    IntegrationError,
    LimitExceeded,
    RequestError,
    SamplingError,
    ScansionError,
    SerializationError,
    Span,
    StateError,
    UnsatisfiableGrammar,
    UnsupportedFeature,
    VocabularyError,
)
from grammars.front_ends import choice, gbnf, lark, literal, regex
from grammars.grammar import Grammar
from grammars.limits import Limits
from grammars.longest import collisions
from grammars.matcher import Matcher
from grammars.provenance import VERSION as __version__
from grammars.schema import SchemaOptions, json_schema
from grammars.tags import Tag, Tool, structural_tag, tags, tool_calls, tool_markers
from grammars.vocabulary import Vocabulary

__distribution__ = "scansion"

__all__ = [
    "DEAD",
    "BackendUnavailable",
    "BudgetExhausted",
    "DeadEnd",
    "Grammar",
    "GrammarError",
    "GrammarSyntaxError",
    "IntegrationError",
    "LimitExceeded",
    "Limits",
    "Matcher",
    "RequestError",
    "SamplingError",
    "ScansionError",
    "SchemaOptions",
    "SerializationError",
    "Span",
    "StateError",
    "Tag",
    "TokenAutomaton",
    "Tool",
    "UnsatisfiableGrammar",
    "UnsupportedFeature",
    "Vocabulary",
    "VocabularyError",
    "__version__",
    "choice",
    "collisions",
    "gbnf",
    "json_schema",
    "lark",
    "literal",
    "regex",
    "structural_tag",
    "tags",
    "tool_calls",
    "tool_markers",
]
