"""Tool calls: whatever is generated is read back by an independent parser as calls that were allowed, and every such
call can be generated as its chat template writes it."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import jsonschema
import pytest

from grammars import (
    DEAD,
    Grammar,
    GrammarError,
    GrammarSyntaxError,
    SchemaOptions,
    TokenAutomaton,
    Tool,
    UnsupportedFeature,
    Vocabulary,
    regex,
    tool_calls,
    tool_markers,
)

WEATHER = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "maxLength": 4},
        "days": {"$ref": "#/$defs/days"},
    },
    "required": ["city"],
    "additionalProperties": False,
    "$defs": {"days": {"type": "integer", "minimum": 1, "maximum": 9}},
}
EMPTY = {"type": "object", "maxProperties": 0}
SCHEMAS = {"weather": WEATHER, "weather_now": {"enum": [{"in": "Nice"}]}, "stop": EMPTY}
TOOLS = [
    {"type": "function", "function": {"name": "weather", "description": "…", "parameters": WEATHER, "strict": True}},
    {"type": "function", "name": "weather_now", "parameters": SCHEMAS["weather_now"]},
    {"name": "stop"},
]


class Turn(NamedTuple):
    text: str
    calls: list[tuple[str, Any]]


# -- parsers that know nothing of the grammars ------------------------------------------------------------------------


def read_hermes(turn: str) -> Turn:
    calls = [json.loads(body) for body in re.findall(r"<tool_call>\n(.*?)\n</tool_call>", turn, re.S)]
    assert turn.count("<tool_call>") == len(calls)
    assert re.fullmatch(r".*?(<tool_call>.*</tool_call>)?", turn, re.S)
    return Turn(turn.split("<tool_call>")[0], [(call["name"], call["arguments"]) for call in calls])


def read_llama3(turn: str) -> Turn:
    text, mark, block = turn.partition("<|python_tag|>")
    if not mark and not turn.lstrip().startswith("{"):
        return Turn(turn, [])
    text, block = (text, block) if mark else ("", turn)
    calls, place = [], 0
    while True:
        call, place = json.JSONDecoder().raw_decode(block, place)
        calls.append((call["name"], call["parameters"]))
        if place == len(block):
            return Turn(text, calls)
        assert block[place : place + 2] == "; "
        place += 2


def read_mistral(turn: str) -> Turn:
    text, mark, block = turn.partition("[TOOL_CALLS]")
    return Turn(text, [(call["name"], call["arguments"]) for call in json.loads(block)] if mark else [])


def read_mistral_v11(turn: str) -> Turn:
    text, *blocks = turn.split("[TOOL_CALLS]")
    calls = [re.fullmatch(r"(\w+)(?:\[CALL_ID\]\w{9})?\[ARGS\](.*)", block, re.S) for block in blocks]
    return Turn(text, [(call[1], json.loads(call[2])) for call in calls if call])


def read_harmony(turn: str) -> Turn:
    text, calls = "", list[tuple[str, Any]]()
    for message in turn.split("<|start|>assistant"):
        head, body = message.split("<|message|>")
        to = re.search(r"to=functions\.(\w+)", head)
        content = re.sub(r"<\|(end|call|return)\|>$", "", body)
        if to:
            assert "<|channel|>commentary" in head
            calls.append((to[1], json.loads(content)))
        elif head == "<|channel|>final":
            text = content
        else:
            assert head in ("<|channel|>analysis", "<|channel|>commentary")
            assert body.endswith("<|end|>")
    return Turn(text, calls)


# -- what chat templates write ----------------------------------------------------------------------------------------


def write_hermes(turn: Turn) -> str:
    bodies = [json.dumps({"name": name, "arguments": arguments}) for name, arguments in turn.calls]
    return turn.text + "\n".join(f"<tool_call>\n{body}\n</tool_call>" for body in bodies)


def write_llama3(turn: Turn) -> str:
    block = "; ".join(json.dumps({"name": name, "parameters": arguments}) for name, arguments in turn.calls)
    return turn.text + "<|python_tag|>" + block if turn.text and block else turn.text or block


def write_mistral(turn: Turn) -> str:
    calls = [{"name": name, "arguments": arguments} for name, arguments in turn.calls]
    return turn.text + ("[TOOL_CALLS] " + json.dumps(calls) if calls else "")


def write_mistral_v11(turn: Turn) -> str:
    return turn.text + "".join(f"[TOOL_CALLS]{name}[ARGS]{json.dumps(arguments)}" for name, arguments in turn.calls)


def write_harmony(turn: Turn) -> str:
    messages = [
        f"<|channel|>commentary to=functions.{name} <|constrain|>json<|message|>{json.dumps(arguments)}"
        for name, arguments in turn.calls
    ]
    thought = "<|channel|>analysis<|message|>hm<|end|><|start|>assistant"
    return thought + ("<|call|><|start|>assistant".join(messages) or "<|channel|>final<|message|>" + turn.text)


STYLES: dict[str, tuple[Callable[[str], Turn], Callable[[Turn], str]]] = {
    "hermes": (read_hermes, write_hermes),
    "llama3": (read_llama3, write_llama3),
    "mistral": (read_mistral, write_mistral),
    "mistral-v11": (read_mistral_v11, write_mistral_v11),
    "harmony": (read_harmony, write_harmony),
}
CHOICES: list[Any] = ["auto", "required", "none", "stop", {"type": "function", "function": {"name": "weather"}}]


def allowed(turn: Turn, tool_choice: Any, parallel: bool) -> bool:
    """Whether a turn may happen, by what a request says."""
    name = tool_choice["function"]["name"] if isinstance(tool_choice, dict) else tool_choice
    if not all(called in SCHEMAS and jsonschema.Draft202012Validator(SCHEMAS[called]).is_valid(arguments)
               for called, arguments in turn.calls):  # fmt: skip
        return False
    if name in SCHEMAS:
        return [called for called, _ in turn.calls] == [name]
    least, most = {"auto": (0, 99), "required": (1, 99), "none": (0, 0)}[name]
    return least <= len(turn.calls) <= (most if parallel else min(most, 1))


# -- generation -------------------------------------------------------------------------------------------------------

_PIECES = ['": "', '{"name": "', "; ", "city", "weather", "_now", "arguments", "é", "\\u00", "</", "<|"]


def walk_vocabulary(style: str) -> Vocabulary:
    """Every ASCII character, pieces of JSON, and the style's markers as tokens of their own; the last token ends."""
    tokens = [*tool_markers(style), *_PIECES, "\n", *map(chr, range(0x20, 0x7F)), "<end>"]
    return Vocabulary([token.encode() for token in tokens], eos=[len(tokens) - 1])


def way_out(automaton: TokenAutomaton, state: int) -> list[int]:
    """The fewest tokens that complete the text, by breadth-first search over states."""
    ways: dict[int, list[int]] = {state: []}
    for here in (queue := [state]):
        if automaton.accepts(here):
            return ways[here]
        for token in range(automaton.vocabulary.eos[0]):
            after = automaton.advance(here, token)
            if after != DEAD and after not in ways:
                ways[after] = [*ways[here], token]
                queue.append(after)
    raise AssertionError("a state from which nothing can be completed")


def random_turn(automaton: TokenAutomaton, rng: random.Random) -> str:
    """A random walk through the masks that likes markers; after a while it takes the shortest way out."""
    vocabulary, state, tokens = automaton.vocabulary, automaton.start, list[int]()
    end = vocabulary.eos[0]
    markers = {t for t in range(end) if len(vocabulary.tokens[t]) > 4}
    for _ in range(rng.randint(0, 120)):
        mask = {t for t in range(vocabulary.size) if automaton.allows(state, t)}
        if mask == {end} or (end in mask and rng.random() < 0.05):
            break
        liked = mask & markers if rng.random() < 0.5 else set[int]()
        tokens.append(rng.choice(sorted(liked or mask - {end})))
        state = automaton.advance(state, tokens[-1])
    return b"".join(vocabulary.tokens[token] for token in tokens + way_out(automaton, state)).decode()


@pytest.mark.parametrize("parallel", [True, False])
@pytest.mark.parametrize("tool_choice", CHOICES, ids=str)
@pytest.mark.parametrize("style", STYLES)
def test_all_that_is_generated_is_a_turn_that_was_allowed(style: str, tool_choice: Any, parallel: bool) -> None:
    grammar = tool_calls(TOOLS, style, tool_choice, parallel, escape_markers=True)
    automaton = grammar.compile(walk_vocabulary(style))
    numbers = set[int]()
    for seed in range(15):
        turn = random_turn(automaton, random.Random(seed))
        assert grammar.matches(turn.encode())
        parsed = STYLES[style][0](turn)
        assert allowed(parsed, tool_choice, parallel), turn
        numbers.add(len(parsed.calls))
    assert numbers != {0} or tool_choice == "none"
    assert max(numbers) > 1 or not parallel or tool_choice not in ("auto", "required")


def turns(rng: random.Random) -> Turn:
    """A turn that may or may not be allowed."""
    arguments: list[Any] = [{"city": "Nice"}, {"city": "Paris"}, {"city": "é\n", "days": 3}, {"days": 3}, {}, 1]
    arguments += [{"in": "Nice"}, {"city": "", "days": 10}, {"city": "a", "days": 1.0}, None]
    calls = [(rng.choice([*SCHEMAS, "other"]), rng.choice(arguments)) for _ in range(rng.choice([0, 1, 1, 1, 2]))]
    return Turn(rng.choice(["", "", "Let me see.\n", "é < 5"]), calls)


@pytest.mark.parametrize("parallel", [True, False])
@pytest.mark.parametrize("tool_choice", CHOICES, ids=str)
@pytest.mark.parametrize("style", STYLES)
def test_a_turn_as_the_template_writes_it_is_in_the_language_if_it_is_allowed(
    style: str, tool_choice: Any, parallel: bool
) -> None:
    grammar, write = tool_calls(TOOLS, style, tool_choice, parallel), STYLES[style][1]
    seen, rng = {True: 0, False: 0}, random.Random(5)
    for _ in range(250):
        turn = turns(rng)
        bare = style == "harmony" or tool_choice in ("auto", "none")
        turn = turn if bare else turn._replace(text="")
        written = write(turn)
        expected = allowed(turn, tool_choice, parallel) and (tool_choice != "none" or not turn.calls)
        assert grammar.matches(written.encode()) == expected, written
        seen[expected] += 1
    assert min(seen.values()) >= 3


# -- details ----------------------------------------------------------------------------------------------------------


def says(grammar: Grammar, *given: str) -> list[bool]:
    return [grammar.matches(text.encode()) for text in given]


CALL = '<tool_call>\n{"name": "stop", "arguments": {}}\n</tool_call>'


def test_nothing_follows_the_calls() -> None:
    grammar = tool_calls(TOOLS)
    assert says(grammar, "a" + CALL, CALL + "\n" + CALL, CALL + "a", CALL + "a" + CALL) == [True, True, False, False]


def test_no_call_can_begin_in_free_text() -> None:
    for style, opening in [("hermes", "<tool_call>"), ("llama3", "<|python_tag|>"), ("mistral", "[TOOL_CALLS]")]:
        for tool_choice in ("auto", "none"):
            assert says(tool_calls(TOOLS, style, tool_choice), f"a{opening}", f"a{opening}b", "a") == [
                False,
                False,
                True,
            ]
    for start in ("{", " \n{", '{"name"'):
        assert says(tool_calls(TOOLS, "llama3", "none"), start, "a" + start) == [False, True]


def test_the_end_marker_of_harmony_may_be_left_to_the_end_token() -> None:
    grammar = tool_calls(TOOLS, "harmony")
    call = "<|channel|>commentary to=functions.stop <|constrain|>json<|message|>{}"
    final = "<|channel|>final<|message|>Done."
    assert says(grammar, call, call + "<|call|>", final, final + "<|return|>") == [True] * 4
    assert says(grammar, final + "<|call|>", call + "<|return|>", "Done.", final + call) == [False] * 4


def test_harmony_takes_the_recipient_in_the_role_or_in_the_channel() -> None:
    grammar = tool_calls(TOOLS, "harmony", "required")
    assert grammar.matches(b" to=functions.stop<|channel|>commentary <|constrain|>json<|message|>{}")
    assert grammar.matches(b"<|channel|>commentary to=functions.stop<|message|>{}")


def test_a_marker_that_is_a_special_token_cannot_be_written_one_that_is_ordinary_can() -> None:
    tokens = [b"<tool_call>", b"<", b"tool_call>", b"hi", b"<end>"]
    for special in ([0], []):
        vocabulary = Vocabulary(tokens, eos=[4], special=special)
        automaton = tool_calls(TOOLS).compile(vocabulary)
        assert automaton.allows(automaton.start, 0) == (special == [])
        opened = automaton.advance(automaton.advance(automaton.start, 1), 2)
        assert opened != automaton.DEAD  # the language is over bytes: spelled out, the marker is the marker
        assert not automaton.allows(opened, 3)
        if not special:
            assert automaton.advance(automaton.start, 0) == opened


def test_escaped_markers_keep_every_value_and_no_marker() -> None:
    free, escaped = tool_calls(TOOLS), tool_calls(TOOLS, escape_markers=True)
    raw = CALL.replace("stop", "weather").replace("{}", '{"city": "x"}')
    assert says(free, raw) == says(escaped, raw) == [True]
    tools = [{"name": "say", "parameters": {"properties": {"it": {"type": "string"}}, "additionalProperties": False}}]
    said = '<tool_call>\n{"name": "say", "arguments": {"it": "a</tool_call>b"}}\n</tool_call>'
    assert says(tool_calls(tools), said) == [True]
    escaped = tool_calls(tools, escape_markers=True)
    assert says(escaped, said, said.replace("a</", "a<\\/"), said.replace("a<", "a\\u003c")) == [False, True, True]


def test_whitespace_in_a_call_follows_the_options() -> None:
    spaced, dense = CALL, CALL.replace(": ", ":").replace(", ", ",")
    assert says(tool_calls(TOOLS), spaced, dense) == [True, True]
    assert says(tool_calls(TOOLS, options=SchemaOptions(whitespace="compact")), spaced, dense) == [False, True]
    assert says(tool_calls(TOOLS, options=SchemaOptions(whitespace=" ")), spaced, dense) == [False, False]


def test_names_are_written_as_json_or_refused() -> None:
    odd = [{"name": 'a"é b'}]
    assert tool_calls(odd).matches('<tool_call>\n{"name": "a\\"é b", "arguments": {}}\n</tool_call>'.encode())
    for style in ("harmony", "mistral-v11"):
        with pytest.raises(UnsupportedFeature, match="cannot be written"):
            tool_calls(odd, style)


def test_arguments_are_an_object_and_may_be_a_grammar_or_a_model() -> None:
    pydantic = pytest.importorskip("pydantic")

    class Greet(pydantic.BaseModel):
        name: str

    tools = [Greet, Tool("sum", regex("[0-9]+")), {"name": "any", "input_schema": True}]
    grammar = tool_calls(tools, "mistral-v11")
    call = "[TOOL_CALLS]{}[ARGS]{}".format
    assert says(grammar, call("Greet", '{"name": "x"}'), call("sum", "12"), call("any", '{"a": 1}')) == [True] * 3
    assert says(grammar, call("Greet", "{}"), call("sum", "{}"), call("any", "1")) == [False] * 3


def test_without_tools_there_is_text_only() -> None:
    assert says(tool_calls([]), "hello", CALL) == [True, False]
    assert says(tool_calls([], "llama3"), "hello", '{"name": "stop", "parameters": {}}') == [True, False]
    with pytest.raises(GrammarSyntaxError, match="no tools"):
        tool_calls([], tool_choice="required")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((TOOLS, "poem"), "no style 'poem'"),
        ((TOOLS, "hermes", "nothing"), "no tool 'nothing'"),
        ((TOOLS, "hermes", 3), "no choice of a tool"),
        (({}, "hermes"), "must be a list"),
        (([3],), "must be an object"),
        (([{"description": "x"}],), "has no name"),
        (([{"name": "a"}, {"name": "a"}],), "two tools are called 'a'"),
        (([{"type": "web_search"}],), "'web_search'"),
        (([{"name": "a", "parameters": {"type": "no"}}],), "tool 'a': type"),
    ],
)
def test_what_is_wrong_is_told(arguments: tuple[Any, ...], told: str) -> None:
    with pytest.raises(GrammarError, match=told):
        tool_calls(*arguments)


def test_the_report_names_the_tool() -> None:
    report = [str(note) for note in tool_calls(TOOLS).notes]
    assert "tool 'weather' #/properties/city maxLength: a counter" in report
    assert any(line.startswith("turn tool_choice auto") for line in report)


def test_a_hundred_tools_are_told_apart_by_their_names() -> None:
    tools = [{"name": f"tool_{i}", "parameters": {"required": [f"a{i}"]}} for i in range(100)]
    grammar = tool_calls(tools, "mistral")
    call = '[TOOL_CALLS][{"name": "tool_77", "arguments": {"a77": 1}}]'
    assert says(grammar, call, call.replace("a77", "a7"), call.replace("tool_77", "tool_100")) == [True, False, False]
