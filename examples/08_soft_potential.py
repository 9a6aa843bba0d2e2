"""A soft wish beside the hard form: SMC with a potential.

The form is a list of words; the wish is that it have few letters e. A potential ψ is a factor on texts, given by its
logarithm: SMC guides its particles by it and weighs them by it, so that what they estimate is exactly P·ψ.
"""

from __future__ import annotations

from decoding.engine import Engine
from samplers import SMC
from samplers.potentials import text_potential

FORM = r" [a-z]{3,10}(, [a-z]{3,10}){2,3}"
PROMPT = "User: Name four colors.\nAssistant:"


def wish(text: bytes) -> float:
    """Each letter e costs a factor of e², 7.4 in numbers."""
    return -2.0 * text.count(b"e")


def main() -> None:
    engine = Engine.load()
    without = engine.generate_many(PROMPT, 5, regex=FORM, sampler=SMC(64), seed=0, max_tokens=40)
    potential = text_potential(wish, wish)
    wished = engine.generate_many(PROMPT, 5, regex=FORM, sampler=SMC(64), seed=0, max_tokens=40, potentials=[potential])
    print("without a wish                          with few e")
    for plain, kind in zip(without, wished, strict=True):
        print(f"{plain.text:<40}{kind.text}")
    for name, answers in (("without", without), ("with", wished)):
        mean = answers.samples.expectation(lambda text: text.count(b"e"))
        print(f"{name}: {mean:.2f} letters e on average, log Z = {answers.samples.log_z:.2f}")


if __name__ == "__main__":
    main()
