r"""Styles: how chat formats write calls of functions.

A turn is text, then calls, then nothing: what a chat message can hold. Text is free, but in it no call can begin.

    hermes, qwen       <tool_call>\n{"name": "f", "arguments": {…}}\n</tool_call>
                       more calls: each on a new line
    llama3             {"name": "f", "parameters": {…}}, perhaps with <|python_tag|> in front
                       more calls: after "; ". A text that begins with { is a call, so free text never does
    mistral            [TOOL_CALLS][{"name": "f", "arguments": {…}}]
                       more calls: in the list
    mistral-v11        [TOOL_CALLS]f[ARGS]{…}, perhaps with [CALL_ID] and nine letters before [ARGS]
                       more calls: one after the other
    harmony, gpt-oss   <|channel|>commentary to=functions.f <|constrain|>json<|message|>{…}<|call|>
                       more calls: as more messages

In Harmony a turn consists of messages: of analysis and commentary, each closed with `<|end|><|start|>assistant`, then
the final one or calls. It follows the prompt's `<|start|>assistant`. The `<|call|>` or `<|return|>` at the very end may
be left out, because models of this format have them as end tokens.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from grammars.errors import UnsupportedFeature
from grammars.expression import (
    ANY_BYTES,
    ANY_TEXT,
    EPSILON,
    Node,
    both,
    byte_set,
    choice,
    complement,
    optional,
    repeat,
    sequence,
    text,
)
from grammars.tags.dispatch import Dispatch, Part, until
from grammars.tags.tools import Mode


@dataclass(frozen=True, slots=True)
class Calls:
    """The functions that may be called with expressions for their arguments; `gap` is the whitespace within JSON."""

    arguments: Mapping[str, Node]
    mode: Mode
    parallel: bool
    gap: Node

    def several(self, call: Node, separator: Node) -> Node:
        """One call, or more where they may be parallel."""
        return sequence([call, repeat(sequence([separator, call]))]) if self.parallel else call

    def turn(self, block: Node, opening: str, free: Node = ANY_TEXT) -> Node:
        """Text and then a block of calls, which begins with `opening`, as the mode wants it."""
        if self.mode == "required":
            return block
        parts = (Part(opening.encode(), block),) if self.mode == "auto" and self.arguments else ()
        return Dispatch(free, frozenset([opening.encode()]), parts, "optional", "nothing").node()

    def objects(self, arguments: str) -> Node:
        """A call as a JSON object; `arguments` is the key that the format has for them."""
        gap = self.gap
        options: list[Node] = []
        for name, node in self.arguments.items():
            quoted = text(json.dumps(name, ensure_ascii=False))
            options.append(sequence([quoted, gap, text(","), gap, text(f'"{arguments}"'), gap, text(":"), gap, node]))
        opening = sequence([text("{"), gap, text('"name"'), gap, text(":"), gap])
        return sequence([opening, choice(options), gap, text("}")])


@dataclass(frozen=True, slots=True)
class Style:
    """A format: the markers for which models tend to have tokens of their own, and the turns it has."""

    markers: tuple[str, ...]
    turn: Callable[[Calls], Node]


def _hermes(calls: Calls) -> Node:
    call = sequence([text("<tool_call>\n"), calls.objects("arguments"), text("\n</tool_call>")])
    return calls.turn(calls.several(call, text("\n")), "<tool_call>")


def _llama3(calls: Calls) -> Node:
    space = repeat(byte_set(b" \t\n\r"))
    free = both(ANY_TEXT, complement(sequence([space, text("{"), ANY_BYTES])))
    block = calls.several(calls.objects("parameters"), text("; "))
    tagged = sequence([text("<|python_tag|>"), block])
    turn = calls.turn(tagged, "<|python_tag|>", free)
    return choice([block, turn]) if calls.arguments and calls.mode != "none" else turn


def _mistral(calls: Calls) -> Node:
    listed = calls.several(calls.objects("arguments"), sequence([calls.gap, text(","), calls.gap]))
    opening = sequence([text("[TOOL_CALLS]"), calls.gap, text("["), calls.gap])
    return calls.turn(sequence([opening, listed, calls.gap, text("]")]), "[TOOL_CALLS]")


def _mistral_v11(calls: Calls) -> Node:
    letters = byte_set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
    call_id = optional(sequence([text("[CALL_ID]"), repeat(letters, 9, 9)]))
    options = [sequence([_bare(name), call_id, text("[ARGS]"), node]) for name, node in calls.arguments.items()]
    call = sequence([text("[TOOL_CALLS]"), choice(options)])
    return calls.turn(calls.several(call, EPSILON), "[TOOL_CALLS]")


def _harmony(calls: Calls) -> Node:
    markers = frozenset(marker.encode() for marker in STYLES["harmony"].markers)
    following = text("<|start|>assistant")
    channels = choice([text("<|channel|>analysis<|message|>"), text("<|channel|>commentary<|message|>")])
    message = sequence([channels, until(ANY_TEXT, markers, [b"<|end|>"]), following])
    final = sequence([text("<|channel|>final<|message|>"), until(ANY_TEXT, markers, []), optional(text("<|return|>"))])
    ends: list[Node] = [] if calls.mode == "required" else [final]
    if calls.arguments:
        more = sequence([text("<|call|>"), following])
        ends.append(sequence([calls.several(_harmony_call(calls), more), optional(text("<|call|>"))]))
    return sequence([repeat(message), choice(ends)])


def _harmony_call(calls: Calls) -> Node:
    options: list[Node] = []
    for name, node in calls.arguments.items():
        to = sequence([text(" to=functions."), _bare(name)])
        channel = text("<|channel|>commentary")
        head = choice([sequence([channel, to]), sequence([to, channel])])
        kind = optional(sequence([text(" "), optional(text("<|constrain|>")), text("json")]))
        options.append(sequence([head, kind, text("<|message|>"), node]))
    return choice(options)


def _bare(name: str) -> Node:
    """A name that stands between markers without quotes."""
    if any(char.isspace() or char in "<>[]{}|" for char in name):
        raise UnsupportedFeature(
            f"the tool name {name!r} cannot be written in this style",
            hint="names without spaces, brackets and bars can be",
        )
    return text(name)


_HERMES: Final = Style(("<tool_call>", "</tool_call>"), _hermes)
_HARMONY: Final = Style(
    ("<|start|>", "<|end|>", "<|message|>", "<|channel|>", "<|constrain|>", "<|return|>", "<|call|>"), _harmony
)

STYLES: Final[Mapping[str, Style]] = {
    "hermes": _HERMES,
    "qwen": _HERMES,
    "llama3": Style(("<|python_tag|>",), _llama3),
    "mistral": Style(("[TOOL_CALLS]",), _mistral),
    "mistral-v11": Style(("[TOOL_CALLS]", "[CALL_ID]", "[ARGS]"), _mistral_v11),
    "harmony": _HARMONY,
    "gpt-oss": _HARMONY,
}
