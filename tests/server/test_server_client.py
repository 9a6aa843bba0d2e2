"""The client of OpenAI works as it is: chat, completions, responses, tools, streams, parsing, errors."""

from __future__ import annotations

import json
from typing import Any

import pytest
from server_asked import ASK, PERSON

from decoding.server.models import ServedModel

openai_package = pytest.importorskip("openai")
pydantic = pytest.importorskip("pydantic")

MODEL = "built-in"
MESSAGES: Any = [{"role": "user", "content": ASK}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "maxLength": 20}, "days": {"enum": [1, 2, 3]}},
            "required": ["city", "days"],
            "additionalProperties": False,
        },
    },
}
SQL: Any = {
    "type": "custom",
    "custom": {
        "name": "sql",
        "format": {"type": "grammar", "grammar": {"syntax": "regex", "definition": "SELECT [a-z]{1,8};"}},
    },
}


class Person(pydantic.BaseModel):
    """Who is meant."""

    model_config = pydantic.ConfigDict(extra="forbid")
    name: str
    age: int


def test_chat(openai: Any):
    answer = openai.chat.completions.create(model=MODEL, messages=MESSAGES, max_tokens=40, seed=1, n=2)
    assert [choice.index for choice in answer.choices] == [0, 1]
    assert all(choice.message.role == "assistant" and choice.message.content for choice in answer.choices)
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_a_streamed_chat_says_what_the_whole_one_says(openai: Any):
    given: Any = {"model": MODEL, "messages": MESSAGES, "max_tokens": 40, "seed": 5, "n": 3}
    whole = openai.chat.completions.create(**given)
    texts, ends, usage = ["", "", ""], {}, None
    for chunk in openai.chat.completions.create(**given, stream=True, stream_options={"include_usage": True}):
        usage = chunk.usage or usage
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
            ends[choice.index] = choice.finish_reason or ends.get(choice.index)
    assert texts == [choice.message.content for choice in whole.choices]
    assert [ends[i] for i in range(3)] == [choice.finish_reason for choice in whole.choices]
    assert usage == whole.usage


def test_the_same_seed_gives_the_same_answer_and_another_one_does_not_always(openai: Any):
    def texts(seed: int) -> list[str]:
        given: Any = {"model": MODEL, "prompt": "User: Name a colour.\nAssistant:", "temperature": 1.5}
        return [choice.text for choice in openai.completions.create(**given, seed=seed, max_tokens=12, n=8).choices]

    assert texts(1) == texts(1)
    assert texts(1) != texts(2)
    assert len(set(texts(1))) > 1


def test_a_pydantic_model_is_parsed(openai: Any):
    answer = openai.chat.completions.parse(model=MODEL, messages=MESSAGES, response_format=Person, seed=3)
    assert isinstance(answer.choices[0].message.parsed, Person)
    made = openai.responses.parse(model=MODEL, input=ASK, text_format=Person)
    assert isinstance(made.output_parsed, Person)


def test_log_probabilities_are_the_models_own(openai: Any, model: ServedModel):
    answer = openai.chat.completions.create(
        model=MODEL, messages=MESSAGES, max_tokens=8, seed=1, logprobs=True, top_logprobs=3
    )
    content = answer.choices[0].logprobs.content
    assert len(content) == answer.usage.completion_tokens
    for token in content:
        assert token.logprob <= 0.0
        ranked = [other.logprob for other in token.top_logprobs]
        assert len(ranked) == 3
        assert ranked == sorted(ranked, reverse=True)
    text = b"".join(bytes(token.bytes) for token in content).decode()
    assert text.removeprefix(model.lead) == answer.choices[0].message.content


def test_a_function_is_called_with_valid_arguments(openai: Any):
    answer = openai.chat.completions.create(
        model=MODEL, messages=MESSAGES, tools=[WEATHER], tool_choice="required", seed=1, parallel_tool_calls=False
    )
    choice = answer.choices[0]
    assert choice.finish_reason == "tool_calls"
    (call,) = choice.message.tool_calls
    assert call.function.name == "get_weather"
    arguments = json.loads(call.function.arguments)
    assert set(arguments) == {"city", "days"}
    assert arguments["days"] in (1, 2, 3)
    told: Any = [*MESSAGES, choice.message, {"role": "tool", "tool_call_id": call.id, "content": "sunny"}]
    assert openai.chat.completions.create(model=MODEL, messages=told, tools=[WEATHER], tool_choice="none", seed=1)


def test_streamed_calls_say_what_whole_ones_say(openai: Any):
    given: Any = {"model": MODEL, "messages": MESSAGES, "tools": [WEATHER, SQL], "tool_choice": "required", "seed": 8}
    given |= {"max_tokens": 200, "temperature": 1.3}
    whole = openai.chat.completions.create(**given).choices[0].message.tool_calls
    calls: dict[int, dict[str, str]] = {}
    for chunk in openai.chat.completions.create(**given, stream=True):
        for delta in chunk.choices[0].delta.tool_calls or []:
            call = calls.setdefault(delta.index, {"id": "", "name": "", "text": ""})
            if delta.id:
                call["id"] = delta.id
            for inner in (delta.function, getattr(delta, "custom", None)):
                if inner is not None:
                    inner = inner if isinstance(inner, dict) else inner.model_dump()
                    call["name"] += inner.get("name") or ""
                    call["text"] += inner.get("arguments") or inner.get("input") or ""
    told = [
        {
            "id": call.id,
            "name": call.function.name if call.type == "function" else call.custom.name,
            "text": call.function.arguments if call.type == "function" else call.custom.input,
        }
        for call in whole
    ]
    assert [calls[i] for i in range(len(calls))] == told


def test_a_custom_tool_is_called_with_an_input_of_its_grammar(openai: Any):
    named: Any = {"type": "custom", "custom": {"name": "sql"}}
    answer = openai.chat.completions.create(model=MODEL, messages=MESSAGES, tools=[WEATHER, SQL], tool_choice=named)
    (call,) = answer.choices[0].message.tool_calls
    assert call.type == "custom"
    assert call.custom.input.startswith("SELECT ")
    assert call.custom.input.endswith(";")


def test_responses_whole_and_streamed(openai: Any):
    schema: Any = {"format": {"type": "json_schema", "name": "person", "schema": PERSON, "strict": True}}
    given: Any = {"model": MODEL, "input": ASK, "text": schema, "extra_body": {"seed": 4}}
    whole = openai.responses.create(**given)
    assert whole.status == "completed"
    assert set(json.loads(whole.output_text)) == {"name", "age"}
    with openai.responses.stream(**given) as stream:
        numbers, text = [], ""
        for event in stream:
            numbers.append(event.sequence_number)
            text += event.delta if event.type == "response.output_text.delta" else ""
        assert stream.get_final_response().output_text == text == whole.output_text
    assert numbers == list(range(len(numbers)))


def test_responses_call_functions(openai: Any):
    flat: Any = {"type": "function", **WEATHER["function"]}
    given: Any = {"model": MODEL, "input": ASK, "tools": [flat], "tool_choice": "required", "extra_body": {"seed": 4}}
    given["parallel_tool_calls"] = False
    (call,) = openai.responses.create(**given).output
    assert call.type == "function_call"
    assert json.loads(call.arguments)["days"] in (1, 2, 3)
    with openai.responses.stream(**given) as stream:
        events = list(stream)
    done = [event for event in events if event.type == "response.function_call_arguments.done"]
    assert [event.arguments for event in done] == [call.arguments]
    again: Any = [{"role": "user", "content": ASK}, call, {"type": "function_call_output", "call_id": call.call_id}]
    again[2]["output"] = "sunny"
    assert openai.responses.create(model=MODEL, input=again).status == "completed"


def test_errors_are_the_clients_own_exceptions(openai: Any):
    with pytest.raises(openai_package.BadRequestError) as refused:
        openai.chat.completions.create(model=MODEL, messages=MESSAGES, extra_body={"regex": "("})
    assert refused.value.param == "regex"
    assert refused.value.code == "grammar.syntax"
    with pytest.raises(openai_package.NotFoundError):
        openai.chat.completions.create(model="gpt-17", messages=MESSAGES)
    with pytest.raises(openai_package.NotFoundError):
        openai.models.retrieve("gpt-17")


def test_the_models_are_listed(openai: Any):
    assert [model.id for model in openai.models.list()] == [MODEL]
    assert openai.models.retrieve(MODEL).id == MODEL


def test_a_sampler_says_what_its_rows_weigh(openai: Any):
    answer = openai.completions.create(
        model=MODEL,
        prompt="Is water wet?\nAnswer:",
        n=4,
        seed=2,
        extra_body={"choice": [" yes", " no"], "sampler": {"name": "smc", "n": 64}},
    )
    (population,) = answer.model_dump()["scansion"]["populations"]
    assert len(population["rows"]) == 64
    assert {row["text"] for row in population["rows"]} <= {" yes", " no"}
    assert -2.0 < population["log_z"] < 0.5
    assert {choice.text for choice in answer.choices} <= {" yes", " no"}
