"""Models as the server sees them: prompts in, and log-probabilities behind many sequences at once.

A `ServedModel` forwards whatever sequences the scheduler has, those that grew by a token and those that are new, in one
call. `BuiltIn` finds every prefix in its memory; a Hugging Face model (`decoding.server.hugging_face`) keeps one cache
for all rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from decoding.server.faults import Fault
from decoding.server.steady import steady_model
from grammars import Vocabulary

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Message = Mapping[str, Any]
"""A message: `role` and `content`, both text."""


class ServedModel(Protocol):
    """What the scheduler and the endpoints need of a model."""

    name: str
    vocabulary: Vocabulary
    context: int
    """Most tokens of prompt and answer together."""
    lead: str
    """What every answer to a conversation begins with, and nobody wants to see."""

    def prompt(self, text: str) -> Ints:
        """The tokens of a text."""
        ...

    def conversation(self, messages: Sequence[Message], tools: Sequence[Any]) -> Ints:
        """The tokens after which the model answers. `tools` are descriptions as requests have them."""
        ...

    def log_probs(self, sequences: Sequence[Ints]) -> Floats:
        """Normalised log-probabilities behind each sequence, the prompt included."""
        ...

    @property
    def status(self) -> str:
        """ "ok" if requests are served, otherwise in one word why not."""
        ...

    def figures(self) -> bytes:
        """What it counts itself, in the format of Prometheus."""
        ...

    def close(self) -> None:
        """Give back what is held."""
        ...


class InProcess:
    """A model that lives and dies with this process."""

    @property
    def status(self) -> str:
        return "ok"

    def figures(self) -> bytes:
        return b""

    def close(self) -> None:
        """Nothing is to be given back."""


class BuiltIn(InProcess):
    """The built-in model, with steady numbers.

    >>> model = BuiltIn()
    >>> [model.vocabulary.tokens[t] for t in model.conversation([{"role": "user", "content": "Hi"}], [])[1:]]
    [b'User', b':', b' ', b'Hi', b'\\n', b'Assistant', b':']
    """

    name = "built-in"
    lead = " "
    context = 1024

    def __init__(self) -> None:
        self._model = steady_model()
        self.vocabulary = self._model.vocabulary

    def prompt(self, text: str) -> Ints:
        return np.array([*self._model.prompt, *self._model.encode(text)], np.int64)

    def conversation(self, messages: Sequence[Message], tools: Sequence[Any]) -> Ints:
        return self.prompt(plain_conversation(messages, [named_tool(tool) for tool in tools]))

    def log_probs(self, sequences: Sequence[Ints]) -> Floats:
        return self._model.log_probs([sequence[len(self._model.prompt) :] for sequence in sequences])


_SPEAKERS = {"system": "System", "developer": "System", "user": "User", "assistant": "Assistant", "tool": "Tool"}


def plain_conversation(messages: Sequence[Message], tools: Sequence[str] = ()) -> str:
    r"""A conversation as plain text, for models without a template of their own.

    >>> plain_conversation([{"role": "user", "content": "Hi"}], ["search"])
    'Tools: search\nUser: Hi\nAssistant:'
    """
    head = [f"Tools: {', '.join(tools)}"] if tools else []
    lines = [f"{_SPEAKERS[message['role']]}: {message['content']}" for message in messages]
    return "\n".join([*head, *lines, "Assistant:"])


def named_tool(tool: Mapping[str, Any]) -> str:
    """The name of a tool in either spelling."""
    inner = tool.get(str(tool.get("type")), tool)
    return str(inner.get("name"))


@dataclass(frozen=True)
class Prompted:
    """A served model behind one prompt: a `LanguageModel` of `samplers`."""

    served: ServedModel
    tokens: Ints

    @property
    def vocabulary(self) -> Vocabulary:
        return self.served.vocabulary

    def log_probs(self, contexts: Sequence[Ints], parents: Ints | None = None) -> Floats:
        """Log-probabilities after each context."""
        return self.served.log_probs([np.concatenate([self.tokens, np.asarray(c, np.int64)]) for c in contexts])


def checked_text(text: str, param: str) -> str:
    """A text that can be written as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Fault("a lone surrogate is not text", param=param) from None
    return text
