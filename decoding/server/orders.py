"""Orders: from the fields of a request to what is to be written."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from decoding.sampler_names import options_of, sampler_of
from decoding.server.dialects import form_of
from decoding.server.drawing import Knobs
from decoding.server.faults import Fault
from decoding.server.fields import (
    ChatRequest,
    Choices,
    CompletionRequest,
    Message,
    Reasoning,
    ResponsesRequest,
    Sampling,
)
from decoding.server.limits import ServerLimits
from decoding.server.models import Message as PlainMessage
from decoding.server.models import ServedModel, checked_text
from decoding.server.order import Ints, Order
from decoding.server.turns import ToolSpec, Turn, called, tools_of
from samplers.errors import InvalidOption
from samplers.protocols import Sampler


class Desk:
    """Reads requests for one model."""

    def __init__(self, model: ServedModel, limits: ServerLimits):
        self.model, self.limits = model, limits

    def chat(self, request: ChatRequest) -> Order:
        """The order of a chat completion."""
        tools, mode = called(tools_of(request.tools or []), request.tool_choice)
        turn = self._turn(request, tools, mode, request.parallel_tool_calls, request.reasoning)
        prompt = self.model.conversation(spoken(request.messages), self._offered(request.tools, tools, mode))
        top = request.top_logprobs or 0 if request.logprobs or request.watch else None
        if request.top_logprobs and not request.logprobs:
            raise Fault("top_logprobs needs logprobs", param="top_logprobs")
        order = self._order(request, (prompt,), turn, request.max_completion_tokens or request.max_tokens, top)
        return replace(order, source="messages")

    def completion(self, request: CompletionRequest) -> Order:
        """The order of a text completion."""
        prompts = tuple(map(self._prompt, _prompts(request.prompt)))
        top = request.logprobs if request.logprobs is not None else 0 if request.watch else None
        self._at_most("n", request.n or 1, self.limits.choices)
        self._at_most("prompt", len(prompts) * (request.n or 1), self.limits.choices)
        return self._order(request, prompts, Turn(form_of(request.model_dump())), request.max_tokens, top)

    def response(self, request: ResponsesRequest) -> Order:
        """The order of a response."""
        tools, mode = called(tools_of(request.tools or []), request.tool_choice)
        turn = self._turn(request, tools, mode, request.parallel_tool_calls, request.reasoning)
        messages = [*_instructions(request.instructions), *_items(request.input)]
        prompt = self.model.conversation(messages, self._offered(request.tools, tools, mode))
        top = request.top_logprobs or 0 if request.include or request.top_logprobs or request.watch else None
        return replace(self._order(request, (prompt,), turn, request.max_output_tokens, top), source="input")

    # -- parts ----------------------------------------------------------------------------------------------------

    def _order(
        self, request: Sampling, prompts: tuple[Ints, ...], turn: Turn, max_tokens: int | None, top: int | None
    ) -> Order:
        if request.model not in (None, self.model.name):
            raise Fault(
                f"there is no model {request.model!r}",
                param="model",
                code="model_not_found",
                status=404,
                hint=f"the model here is {self.model.name!r}",
            )
        n, stops = 1, ()
        if isinstance(request, Choices):
            n, stops = request.n or 1, self._stops(request.stop)
        self._at_most("n", n, self.limits.choices)
        self._at_most("max_tokens", max_tokens or 0, self.limits.max_tokens)
        self._at_most("top_logprobs", top or 0, self.limits.top_logprobs)
        knobs, sampler = self._knobs(request), self._sampler(request, n, stops, top)
        seed = None if request.seed is None else abs(request.seed)
        piecewise = bool(request.stream) or bool(stops)
        return Order(
            prompts, turn, knobs, max_tokens, n, seed, stops, top, sampler, piecewise=piecewise, watched=request.watch
        )

    def _turn(
        self,
        request: Sampling,
        tools: tuple[ToolSpec, ...],
        mode: str,
        parallel: bool | None,
        reasoning: bool | Reasoning | None,
    ) -> Turn:
        thought = Reasoning() if reasoning is True else reasoning or None
        given = request.model_dump(exclude={"text"})
        if isinstance(request, ResponsesRequest):
            given["text.format"] = _text_format(request.text)
        markers = (thought.begin, thought.end) if thought else None
        return Turn(form_of(given), tools, mode, parallel is not False, markers, self.model.lead)

    def _offered(self, given: Sequence[Any] | None, tools: tuple[ToolSpec, ...], mode: str) -> list[Any]:
        names = {tool.name for tool in tools} if mode != "none" else set[str]()
        return [tool for tool in given or [] if tool.get(str(tool.get("type")), tool).get("name") in names]

    def _knobs(self, request: Sampling) -> Knobs:
        given: dict[str, Any] = {"temperature": request.temperature, "top_p": request.top_p, "min_p": request.min_p}
        given["top_k"] = request.top_k if request.top_k and request.top_k > 0 else None
        if isinstance(request, Choices):
            given |= {
                "presence_penalty": request.presence_penalty,
                "frequency_penalty": request.frequency_penalty,
                "bias": self._bias(request.logit_bias),
            }
        return Knobs(**{name: value for name, value in given.items() if value is not None})

    def _bias(self, given: Mapping[str, float] | None) -> dict[int, float] | None:
        bias: dict[int, float] = {}
        for token, value in (given or {}).items():
            if not (
                token.isascii() and token.isdigit() and len(token) < 10 and int(token) < self.model.vocabulary.size
            ):
                raise Fault(f"{token!r} is no token", param="logit_bias")
            bias[int(token)] = value
        return bias or None

    def _stops(self, stop: str | list[str] | None) -> tuple[str, ...]:
        stops = (stop,) if isinstance(stop, str) else tuple(stop or ())
        self._at_most("stop", len(stops), self.limits.stops)
        if not all(stops):
            raise Fault("an empty stop text would stop everything", param="stop")
        return tuple(checked_text(text, "stop") for text in stops)

    def _sampler(self, request: Sampling, n: int, stops: tuple[str, ...], top: int | None) -> Sampler | None:
        """The sampler, if one is named; what would change its law does not go with it."""
        if request.sampler is None:
            return None
        if n > self.limits.particles:
            raise Fault(f"n is at most {self.limits.particles}", param="n", code="limit_exceeded")
        plain = Knobs() == self._knobs(request) and not stops and top is None
        if not plain:
            raise Fault(
                "temperature, truncation, penalties, biases, stop texts and token log-probabilities do not go with a "
                "sampler, which keeps the model's own probabilities",
                param="sampler",
                code="conflicting_parameters",
            )
        return self._named(request.sampler)

    def _named(self, given: str | dict[str, Any]) -> Sampler:
        spec = given if isinstance(given, str) else _spec(given)
        try:
            sampler = sampler_of(spec)
        except (InvalidOption, TypeError, ValueError) as error:
            raise Fault(str(error), param="sampler", code="invalid_sampler") from error
        for option in options_of(type(sampler)):
            value = getattr(sampler, option)
            if isinstance(value, int) and abs(value) > self.limits.particles and option != "max_draws":
                raise Fault(
                    f"{option} is at most {self.limits.particles}", param=f"sampler.{option}", code="limit_exceeded"
                )
        return sampler

    def _prompt(self, prompt: str | list[int]) -> Ints:
        if isinstance(prompt, str):
            return self.model.prompt(checked_text(prompt, "prompt"))
        tokens = np.array(prompt, object)
        if not all(0 <= token < self.model.vocabulary.size for token in prompt):
            raise Fault("the prompt holds an id that is no token", param="prompt")
        return np.concatenate([self.model.prompt("")[:1], tokens.astype(np.int64)])

    def _at_most(self, name: str, value: int, most: int) -> None:
        if value > most:
            raise Fault(f"{name} is at most {most} here, not {value}", param=name, code="limit_exceeded")


def _spec(given: Mapping[str, Any]) -> str:
    if not isinstance(given.get("name"), str):
        raise Fault("a sampler has a name", param="sampler.name", code="missing_required_parameter")
    options = ",".join(f"{name}={value}" for name, value in given.items() if name != "name")
    return f"{given['name']}:{options}"


def _prompts(prompt: Any) -> list[str | list[int]]:
    if not isinstance(prompt, list) or not prompt:
        return [prompt]
    return [prompt] if isinstance(prompt[0], int) else prompt


# -- conversations ----------------------------------------------------------------------------------------------------


def spoken(messages: Sequence[Message]) -> list[PlainMessage]:
    """Messages as plain text: calls and their results are written as models write them.

    >>> spoken([Message(role="user", content=[{"type": "text", "text": "Hi"}])])
    [{'role': 'user', 'content': 'Hi'}]
    """
    return [_spoken(message, f"messages[{number}]") for number, message in enumerate(messages)]


def _spoken(message: Message, where: str) -> PlainMessage:
    text = _content(message.content, f"{where}.content")
    for call in message.tool_calls or []:
        text += _call(call.get(str(call.get("type")), call), where)
    return {"role": message.role, "content": checked_text(text, where)}


def _call(call: Any, where: str) -> str:
    if not isinstance(call, Mapping) or not isinstance(call.get("name"), str):
        raise Fault("a call has a name", param=f"{where}.tool_calls")
    if "input" in call:
        return f"<tool_call>\n{call['name']}\n{call['input']}\n</tool_call>"
    name = json.dumps(call["name"], ensure_ascii=False)
    return f'<tool_call>\n{{"name": {name}, "arguments": {call.get("arguments", "{}")}}}\n</tool_call>'


_TEXTS = ("text", "input_text", "output_text", "refusal")


def _content(content: Any, where: str) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        raise Fault(f"{where} is text or a list of parts", param=where)
    for number, part in enumerate(content):
        kind = part.get("type") if isinstance(part, Mapping) else None
        if kind not in _TEXTS or not isinstance(part.get("refusal" if kind == "refusal" else "text"), str):
            raise Fault(
                f"parts of the type {kind!r} cannot be read here", param=f"{where}[{number}]", code="unsupported_value"
            )
    return "".join(part["refusal" if part["type"] == "refusal" else "text"] for part in content)


def _instructions(text: str | None) -> list[PlainMessage]:
    return [{"role": "system", "content": checked_text(text, "instructions")}] if text else []


def _items(given: str | Sequence[Any]) -> list[PlainMessage]:
    if isinstance(given, str):
        return [{"role": "user", "content": checked_text(given, "input")}]
    if not given:
        raise Fault("the input is empty", param="input")
    return [_item(item, f"input[{number}]") for number, item in enumerate(given)]


def _item(item: Mapping[str, Any], where: str) -> PlainMessage:
    kind = item.get("type", "message")
    if kind in ("function_call", "custom_tool_call"):
        return {"role": "assistant", "content": checked_text(_call(item, where), where)}
    if kind in ("function_call_output", "custom_tool_call_output"):
        return {"role": "tool", "content": checked_text(_content(item.get("output"), f"{where}.output"), where)}
    if kind != "message" or item.get("role") not in ("system", "developer", "user", "assistant"):
        raise Fault(f"{where} is no message and no call", param=where, code="unsupported_value")
    return {"role": item["role"], "content": checked_text(_content(item.get("content"), f"{where}.content"), where)}


def _text_format(text: Mapping[str, Any] | None) -> Any:
    for name in text or {}:
        if name not in ("format", "verbosity"):
            raise Fault(f"text has no field {name!r}", param=f"text.{name}", code="unknown_parameter")
    return (text or {}).get("format")
