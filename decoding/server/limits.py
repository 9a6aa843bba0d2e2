"""What one request, and all of them together, may cost; everything beyond is refused before any work."""

from __future__ import annotations

from dataclasses import dataclass

from grammars import Limits


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """Bounds of a server.

    >>> ServerLimits(queue=8).grammars.source_bytes
    1048576
    """

    body_bytes: int = 4 << 20
    """Size of a request."""

    choices: int = 16
    """Largest `n` of a request."""

    particles: int = 256
    """Largest number that an option of a sampler may have, and most rows that it may draw."""

    model_calls: int = 100_000
    """Prefixes for which one sampler may ask the model: rejection can go on for very long."""

    max_tokens: int = 4096
    """Largest number of new tokens."""

    default_tokens: int = 512
    """New tokens of a request that does not say how many."""

    stops: int = 16
    """Stop texts of a request."""

    top_logprobs: int = 20
    """Alternatives that are reported for each token."""

    running: int = 64
    """Sequences that are forwarded together; others wait."""

    queue: int = 256
    """Sequences that may wait. Whoever comes then is told to come back later."""

    compilations: int = 2
    """Grammars that are compiled at the same time."""

    kept_grammars: int = 32
    """Compiled grammars that are remembered, the latest ones."""

    grace_seconds: float = 20.0
    """How long answers under way may go on when the server is stopped."""

    grammars: Limits = Limits(  # noqa: RUF009 - immutable
        source_bytes=1 << 20, compile_work=40_000, mask_work=4_000_000, cache_bytes=24 << 20
    )
    """Of each grammar: a second of compilation, a fifth of a second for a mask, 24 MB."""
