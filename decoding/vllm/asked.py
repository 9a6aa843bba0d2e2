"""What the front end refuses: requests whose wish cannot be served as asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from decoding.vllm.wishes import TURN, RefusedRequest, Wish, check, wish_of

BLIND = (
    "vLLM's asynchronous scheduling hides tokens from a logits processor that is only installed: start vLLM with "
    "--logits-processors decoding.vllm:ConstraintProcessor (in Python: logits_processors=[ConstraintProcessor]) "
    "or with --no-async-scheduling"
)
SPECULATING = (
    "vLLM's V1 model runner drops logits processors when it decodes speculatively: ask for structured_outputs with "
    "SCANSION_STRUCTURED_OUTPUTS=xgrammar set instead, or leave speculation away"
)
_FORBIDDING: dict[str, Callable[[Any], bool]] = {
    "min_tokens": bool,
    "bad_words": bool,
    "allowed_token_ids": lambda ids: ids is not None,
    "structured_outputs": lambda given: given is not None,
}


def validate(params: Any) -> None:
    """Raise `RefusedRequest` unless the wish of some `SamplingParams` can be served.

    >>> from types import SimpleNamespace
    >>> validate(SimpleNamespace(extra_args={"scansion": {"regex": "(a"}}))
    Traceback (most recent call last):
    decoding.vllm.wishes.RefusedRequest: ...
    """
    wish = wish_of(getattr(params, "extra_args", None))
    if wish is None:
        return
    for name, is_set in _FORBIDDING.items():
        if is_set(getattr(params, name, None)):
            raise RefusedRequest(
                f"{name} could forbid what the constraint needs",
                hint="say it in the constraint: lengths and forbidden words are regular",
            )
    if wish.record:
        _check_record(params)
    if wish.kind and wish.kind != TURN:  # turns were compiled by the server that asks with them
        check(*wish.language)


def _check_record(params: Any) -> None:
    if getattr(params, "n", 1) != 1:
        raise RefusedRequest("the answers of one request would share one record", hint="ask n times for one answer")
    if getattr(params, "logit_bias", None):
        raise RefusedRequest("logit_bias changes the probabilities that are to be recorded")


def is_named(model_config: Any) -> bool:
    """Whether `ConstraintProcessor` was given to vLLM by name or as a class.

    >>> from types import SimpleNamespace
    >>> is_named(SimpleNamespace(logits_processors=["decoding.vllm:ConstraintProcessor"]))
    True
    """
    names = [p if isinstance(p, str) else p.__module__ for p in model_config.logits_processors or ()]
    return any(name.split(":")[0].split(".")[:2] == ["decoding", "vllm"] for name in names)


def obstacle(vllm_config: Any, *, is_second: bool) -> str | None:
    """Why wishes would not be served under a configuration, if so."""
    if is_second:
        return None
    if vllm_config.speculative_config is not None:
        return SPECULATING
    blind = bool(vllm_config.scheduler_config.async_scheduling) and not is_named(vllm_config.model_config)
    return BLIND if blind else None


def refuse(params: Any, why: str) -> None:
    """Raise `RefusedRequest` if the parameters hold a wish."""
    wish: Wish | None = wish_of(getattr(params, "extra_args", None))
    if wish is not None:
        raise RefusedRequest("this vLLM would not constrain the request", hint=why)
