"""What a model of Hugging Face was made for: so many tokens, so many positions."""

from __future__ import annotations

from typing import Any

from grammars import Vocabulary, VocabularyError

_TEXT = 0


def require_width(vocabulary: Vocabulary, width: int) -> None:
    """Refuse a vocabulary that cannot be that of a model with so many logits.

    Logits beyond the vocabulary are usual: models are padded to round sizes. Fewer than tokens of text, or twice as
    many as tokens, means two models that have nothing to do with each other.

    >>> require_width(Vocabulary([b"a", b"b", b"<end>"], eos=[2]), 32)
    Traceback (most recent call last):
    grammars.errors.VocabularyError: the constraint is over 3 tokens, and the model has 32 logits
    hint: compile the grammar with the vocabulary of the model's own tokenizer
    """
    missing = vocabulary.kind[width:] == _TEXT
    if missing.any() or vocabulary.size <= width // 2:
        raise VocabularyError(
            f"the constraint is over {vocabulary.size} tokens, and the model has {width} logits",
            hint="compile the grammar with the vocabulary of the model's own tokenizer",
        )


def positions_of(model: Any) -> int | None:
    """How many positions a decoder was made for; None where there is no such number.

    >>> from decoding.embedded import as_transformers
    >>> positions_of(as_transformers()[0])
    1024
    """
    config = model.config
    scaling = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None)
    stretches = isinstance(scaling, dict) and "dynamic" in str(scaling.get("rope_type", ""))
    positions = getattr(config, "max_position_embeddings", None)
    if getattr(config, "is_encoder_decoder", False) or stretches or not isinstance(positions, int) or positions < 1:
        return None
    return positions
