"""`EmbeddedModel`: the built-in model as samplers see it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from decoding.embedded.llama import Ints, Llama
from decoding.embedded.prefixes import Prefixes
from decoding.embedded.tokenizer import Tokenizer
from grammars import Vocabulary, VocabularyError

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast


@dataclass(frozen=True)
class EmbeddedModel:
    r"""A causal language model that knows its prompt: P(next token | prompt, context).

    `prompt` are token ids, the token that begins a text included. Models made of one another by `with_prompt` share
    weights and the memory of computed prefixes. Calls are safe from several threads, one at a time.

    Values of one prefix agree to about 1e-6 between calls: sums are rounded differently in batches of different size.

    >>> from decoding.embedded import load
    >>> model = load("Question: What is 2 + 2?\nAnswer:")
    >>> rows = model.log_probs([[], model.encode(" 4")])
    >>> rows.shape == (2, model.vocabulary.size)
    True
    """

    vocabulary: Vocabulary
    prompt: tuple[int, ...]
    _tokenizer: Tokenizer = field(repr=False, compare=False)
    _llama: Llama = field(repr=False, compare=False)
    _prefixes: Prefixes = field(repr=False, compare=False)

    def log_probs(self, contexts: Sequence[ArrayLike], parents: ArrayLike | None = None) -> NDArray[np.float64]:
        """Normalised log-probabilities of the next token after the prompt and each context, (n, V).

        `parents` may be left out: prefixes are found again by what they are.
        """
        prompt = np.array(self.prompt, np.int64)
        sequences = [np.concatenate([prompt, self._checked(i, context)]) for i, context in enumerate(contexts)]
        return self._llama.log_probs(self._prefixes.states(sequences))

    def with_prompt(self, text: str | bytes) -> EmbeddedModel:
        """The same model after another prompt.

        >>> from decoding.embedded import load
        >>> model = load().with_prompt("SQL:")
        >>> model.decode(model.prompt)
        'SQL:'
        """
        return replace(self, prompt=(self.prompt[0], *self._tokenizer.encode(text)))

    def encode(self, text: str | bytes) -> Ints:
        """The tokens of `text`. Special tokens are never read out of text.

        >>> from decoding.embedded import load
        >>> model = load()
        >>> [model.vocabulary.tokens[t] for t in model.encode('{"age": 36}')]
        [b'{"', b'age', b'":', b' ', b'3', b'6', b'}']
        """
        return np.array(self._tokenizer.encode(text), np.int64)

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of `tokens`, special ones left out; bytes that are no UTF-8 become U+FFFD.

        >>> from decoding.embedded import load
        >>> load().decode(load().encode("Zoë, 36"))
        'Zoë, 36'
        """
        return self._tokenizer.decode(tokens)

    def as_transformers(self) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast]:
        """The same weights and tokenizer as objects of Hugging Face's transformers, in float32; the prompt is not
        part of them."""
        from decoding.embedded.hugging_face import as_transformers

        return as_transformers()

    @property
    def forwarded(self) -> int:
        """How many positions went through the transformer so far: what the calls have cost."""
        return self._prefixes.forwarded

    def _checked(self, row: int, context: ArrayLike) -> Ints:
        tokens = np.asarray(context)
        if tokens.ndim != 1 or (tokens.size and tokens.dtype.kind not in "iu"):
            raise VocabularyError(f"context {row} is no sequence of token ids")
        if tokens.size and not 0 <= int(tokens.min()) <= int(tokens.max()) < self.vocabulary.size:
            raise VocabularyError(
                f"context {row} holds an id outside of the {self.vocabulary.size} tokens of the model"
            )
        return tokens.astype(np.int64)
