"""Fields: the requests that are understood. Everything else in a request is refused, and so is a value of another type.

Constraints are read by `dialects`; here it is only said that such fields exist. Fields that change nothing about the
answer (`user`, `metadata`, ...) are known by name, so that they can be let through without letting everything through.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Object = dict[str, Any]
Schema = Object | str | bool


class Fields(BaseModel):
    """An object with known fields only."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class StreamOptions(Fields):
    """What a stream carries beside the text."""

    include_usage: bool = False
    include_obfuscation: bool | None = None


class Reasoning(Fields):
    """A thought in front of the answer: free text between two markers."""

    begin: str = "<think>"
    end: Annotated[str, Field(min_length=1)] = "</think>"


class Constraints(Fields):
    """All names of constraints; see `dialects`."""

    response_format: Object | None = None
    structured_outputs: Object | None = None
    guided_json: Schema | None = None
    guided_regex: str | None = None
    guided_choice: list[str] | None = None
    guided_grammar: str | None = None
    guided_json_object: bool | None = None
    guided_structural_tag: Object | str | None = None
    guided_whitespace_pattern: str | None = None
    structural_tag: Object | str | None = None
    format: Schema | None = None
    json_schema: Schema | None = None
    regex: str | None = None
    ebnf: str | None = None
    grammar: str | None = None
    lark: str | None = None
    choice: list[str] | None = None


class Sampling(Constraints):
    """How an answer is drawn."""

    model: str | None = None
    temperature: Annotated[float | None, Field(ge=0, le=100)] = None
    top_p: Annotated[float | None, Field(gt=0, le=1)] = None
    top_k: Annotated[int | None, Field(ge=-1)] = None
    min_p: Annotated[float | None, Field(ge=0, le=1)] = None
    seed: int | None = None
    stream: bool | None = None
    sampler: str | Object | None = Field(None, description="A sampler by name, or an object with name and options.")
    watch: bool = Field(False, description="Tell of each token how much the mask held, and the mass of that.")
    # what changes nothing about the answer
    user: str | None = None
    metadata: Object | None = None
    store: bool | None = None
    service_tier: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None


class Choices(Sampling):
    """What chat and text completions have in common."""

    n: Annotated[int | None, Field(ge=1)] = None
    max_tokens: Annotated[int | None, Field(ge=1)] = None
    stop: str | list[str] | None = None
    presence_penalty: Annotated[float | None, Field(ge=-2, le=2)] = None
    frequency_penalty: Annotated[float | None, Field(ge=-2, le=2)] = None
    logit_bias: dict[str, Annotated[float, Field(ge=-100, le=100)]] | None = None
    stream_options: StreamOptions | None = None


class Message(Fields):
    """One message of a conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[Object] | None = None
    name: str | None = None
    tool_calls: list[Object] | None = None
    tool_call_id: str | None = None
    refusal: str | None = None
    annotations: list[Object] | None = None
    audio: None = None
    function_call: None = None
    reasoning_content: str | None = None


class ChatRequest(Choices):
    """`/v1/chat/completions`."""

    messages: Annotated[list[Message], Field(min_length=1)]
    max_completion_tokens: Annotated[int | None, Field(ge=1)] = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int | None, Field(ge=0)] = None
    tools: list[Object] | None = None
    tool_choice: str | Object | None = None
    parallel_tool_calls: bool | None = None
    reasoning: bool | Reasoning | None = None
    modalities: list[Literal["text"]] | None = None


class CompletionRequest(Choices):
    """`/v1/completions`."""

    prompt: str | list[str] | list[int] | list[list[int]]
    logprobs: Annotated[int | None, Field(ge=0)] = None
    echo: Literal[False] | None = None
    best_of: Literal[1] | None = None
    suffix: None = None


class ResponsesRequest(Sampling):
    """`/v1/responses`."""

    input: str | list[Object]
    instructions: str | None = None
    max_output_tokens: Annotated[int | None, Field(ge=1)] = None
    text: Object | None = None
    tools: list[Object] | None = None
    tool_choice: str | Object | None = None
    parallel_tool_calls: bool | None = None
    reasoning: Reasoning | None = None
    top_logprobs: Annotated[int | None, Field(ge=0)] = None
    include: list[Literal["message.output_text.logprobs"]] | None = None
    truncation: Literal["disabled"] | None = None
    stream_options: StreamOptions | None = None
    background: Literal[False] | None = None
