"""A sentence becomes an instance of a Pydantic model.

The model's JSON Schema is enforced exactly while the text is written: types, ranges, required fields, the enumeration.
So the text always parses, and `answer.value` is the instance.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, Field

from decoding.engine import Engine
from samplers import SMC


class Role(StrEnum):
    baker = "baker"
    engineer = "engineer"
    teacher = "teacher"


class Person(BaseModel, extra="forbid"):
    name: str = Field(min_length=1, max_length=40)
    age: int = Field(ge=0, le=120)
    job: Role


SENTENCES = (
    "Ada Lovelace, 36, works as an engineer in London.",
    "Max is a 52-year-old baker from Vienna.",
    "Grace Meyer is 29 and works as a teacher at Oak College.",
)


def main() -> None:
    engine = Engine.load()
    for sentence in SENTENCES:
        prompt = f"Extract name, age, job as JSON: {sentence}\nJSON:\n"
        answer = engine.generate(prompt, schema=Person, sampler=SMC(8), seed=0)
        person = answer.value
        print(f"{sentence}\n  → {person!r}")
        if not isinstance(person, Person):
            raise SystemExit("no person")


if __name__ == "__main__":
    main()
