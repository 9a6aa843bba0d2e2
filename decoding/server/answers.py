"""Answers: what became of each choice, put together from the events of a job."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from decoding.server.jobs import Job, chosen, finite, rows_told
from decoding.server.order import Order
from decoding.server.reading import Part
from decoding.server.runs import Done, Event, Piece, Token
from samplers.samples import END, Samples


@dataclass
class Call:
    """A call of a tool; `id` is by which its result will be told."""

    kind: str
    name: str
    id: str
    arguments: str = ""


@dataclass
class Answer:
    """One choice, as far as it has come."""

    index: int
    order: Order
    text: str = ""
    thought: str = ""
    calls: list[Call] = field(default_factory=list[Call])
    tokens: list[Token] = field(default_factory=list[Token])
    reason: str | None = None
    count: int = 0

    def __post_init__(self) -> None:
        self._reader = self.order.turn.reader()

    def hear(self, event: Event) -> list[Part]:
        """Take in an event; what of the answer came with it."""
        if isinstance(event, Piece):
            self.tokens += event.tokens
            return self._noted(self._reader.read(event.text))
        if isinstance(event, Done):
            parts = self._noted(self._reader.close())
            self.count = event.tokens
            self.reason = "tool_calls" if self.calls and event.reason == "stop" else event.reason
            return parts
        return []

    def _noted(self, parts: list[Part]) -> list[Part]:
        for part in parts:
            if part.kind == "text":
                self.text += part.text
            elif part.kind == "thought":
                self.thought += part.text
            elif part.kind == "arguments":
                self.calls[-1].arguments += part.text
            else:
                self.calls.append(Call(part.kind, part.text, f"call_{self.index}_{part.call}"))
        return parts


@dataclass
class Result:
    """All choices of a job, and what a sampler had to say beside."""

    order: Order
    answers: list[Answer] = field(default_factory=list[Answer])
    populations: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def __post_init__(self) -> None:
        self.answers = [Answer(index, self.order) for index in range(self.order.n * len(self.order.prompts))]

    @property
    def usage(self) -> dict[str, int]:
        """Tokens read and written."""
        written = sum(answer.count for answer in self.answers)
        read = self.order.prompt_tokens
        return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}

    @property
    def extension(self) -> dict[str, Any]:
        """What answers carry beyond the protocol."""
        return {"scansion": {"populations": self.populations}} if self.populations else {}

    async def follow(self, job: Job) -> AsyncIterator[tuple[Answer, Event, list[Part]]]:
        """Every event, when it has been taken in."""
        async for number, event in job.events():
            if isinstance(event, Samples):
                for answer, told in self._rows(number, event):
                    yield answer, told, answer.hear(told)
            else:
                yield self.answers[number], event, self.answers[number].hear(event)

    async def whole(self, job: Job) -> Result:
        """The result when everything has come."""
        async for _ in self.follow(job):
            pass
        return self

    def _rows(self, prompt: int, samples: Samples) -> list[tuple[Answer, Event]]:
        """The rows of a population as choices."""
        self.populations.append(_population(samples))
        rows, first = chosen(samples, self.order.n, self.order.seed), prompt * self.order.n
        told: list[tuple[Answer, Event]] = []
        for row, answer in zip(rows, self.answers[first : first + self.order.n], strict=True):
            told.append((answer, Piece(row.text.decode("utf-8", "replace"), ())))
            told.append((answer, Done("stop" if row.finish == END else "length", len(row.tokens))))
        return told


def _population(samples: Samples) -> dict[str, Any]:
    calls = {"distinct": samples.calls.distinct, "logical": samples.calls.logical}
    told: dict[str, Any] = {"log_z": finite(samples.log_z), "ess": samples.ess(), "model_calls": calls}
    if samples.certificate is not None:
        low, high, distance = samples.certificate
        told["certificate"] = {"log_lower": finite(low), "log_upper": finite(high), "distance": finite(distance)}
    return told | {"rows": rows_told(samples)}


def watched(tokens: tuple[Token, ...]) -> dict[str, Any]:
    """What was behind some tokens: how much the mask held and which mass of the model's that was."""
    seen = [
        {
            "text": token.data.decode("utf-8", "replace"),
            "log_prob": token.log_prob,
            "allowed": token.allowed,
            "log_mass": finite(token.log_mass),
        }
        for token in tokens
    ]
    return {"scansion": {"tokens": seen}}
