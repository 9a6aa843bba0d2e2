"""Prompts by a tokenizer of Hugging Face: plain ones, and conversations by the template of the model.

A template writes special tokens as text, so what it wrote is read with their meaning. What a client wrote must not be:
"<|im_end|>" in a message is ten characters, not the end of that message. So wherever a special token stands in what a
client wrote, a word that nobody can guess takes its place in the template, and what is read at that word is the
characters.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from secrets import token_hex
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decoding.server.models import Message, plain_conversation
from grammars import Vocabulary

Ints = NDArray[np.int64]


class TokenizedPrompts:
    """What a server needs of a tokenizer.

    >>> from decoding.embedded import as_transformers
    >>> from decoding.vocabularies import single_bytes
    >>> prompts = TokenizedPrompts(as_transformers()[1], single_bytes(), "small")
    >>> len(prompts.conversation([{"role": "user", "content": "Hi"}], []))
    7
    """

    def __init__(self, tokenizer: Any, vocabulary: Vocabulary, name: str):
        self.name, self.vocabulary = name, vocabulary
        self._tokenizer = tokenizer
        self._templated = bool(getattr(tokenizer, "chat_template", None))
        self.lead = "" if self._templated else " "
        self._special = _special_texts(tokenizer)

    def prompt(self, text: str) -> Ints:
        """The tokens of a text, special ones by their names: whoever writes a whole prompt may use them."""
        return self._ids(self._tokenizer(text).input_ids)

    def conversation(self, messages: Sequence[Message], tools: Sequence[Any]) -> Ints:
        """The tokens after which the model answers; nothing in a message is a special token."""
        if not self._templated:
            return self._ids(self._tokenizer(plain_conversation(messages), split_special_tokens=True).input_ids)
        given = json.dumps([list(messages), list(tools)], ensure_ascii=False)
        words = {text: f"x{token_hex(12)}x" for text in self._special.findall(given)} if self._special else {}
        if not words or self._special is None:
            return self._ids(self._encoded(self._written(messages, tools)))
        written = self._written(*json.loads(self._special.sub(lambda match: words[match[0]], given)))
        texts: dict[str, str] = {word: json.loads(f'"{text}"') for text, word in words.items()}
        pieces = re.split(f"({'|'.join(texts)})", written)
        return self._ids([token for piece in pieces if piece for token in self._piece(piece, texts)])

    def _written(self, messages: Sequence[Message], tools: Sequence[Any]) -> str:
        return self._tokenizer.apply_chat_template(
            list(messages), tools=list(tools) or None, add_generation_prompt=True, tokenize=False
        )

    def _piece(self, piece: str, texts: dict[str, str]) -> list[int]:
        return self._encoded(texts.get(piece, piece), plain=piece in texts)

    def _encoded(self, text: str, *, plain: bool = False) -> list[int]:
        return self._tokenizer(text, add_special_tokens=False, split_special_tokens=plain).input_ids

    def _ids(self, ids: Sequence[int]) -> Ints:
        if len(ids):
            return np.array(ids, np.int64)
        begin = self._tokenizer.bos_token_id
        return np.array([self.vocabulary.eos[0] if begin is None else begin], np.int64)


def _special_texts(tokenizer: Any) -> re.Pattern[str] | None:
    """What finds special tokens in JSON text: as they are, and as JSON writes them."""
    added = getattr(tokenizer, "added_tokens_decoder", {}).values()
    texts = {token.content for token in added if token.special} | set(tokenizer.all_special_tokens)
    spelled = sorted((json.dumps(text, ensure_ascii=False)[1:-1] for text in texts if text), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, spelled))) if spelled else None
