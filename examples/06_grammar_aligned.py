"""Masking is not the model under a constraint; grammar-aligned samplers are.

The sentence says 36, the form wants an age from 18 to 30. Masking sees that "3" is allowed, and likely, and takes it;
then only "30" is left. The model itself hardly ever says 30. Enumeration tells the truth to compare with.
"""

from __future__ import annotations

from decoding.comparison import compared
from decoding.engine import Engine
from samplers import SMC, AdaptiveRejection, Rejection

PROMPT = """Ada Lovelace is 36 years old and lives in London.
How old is Ada Lovelace?
Answer: """
RUNS = {
    "SMC(200)": (SMC(200), 200),
    "AdaptiveRejection": (AdaptiveRejection(), 200),
    "Rejection": (Rejection(), 200),
}


def main() -> None:
    problem = Engine.load().problem(PROMPT, regex="1[89]|2[0-9]|30")
    comparison = compared(problem, RUNS)
    names = list(comparison.laws)
    print(f"{'age':>5}{''.join(f'{name:>19}' for name in names)}")
    for text in comparison.texts(8):
        print(f"{text:>5}{''.join(f'{comparison.laws[name].get(text, 0.0):19.1%}' for name in names)}")
    print(f"wrong{''.join(f'{comparison.distance(name):19.1%}' for name in names)}")
    if comparison.distance("masking") < comparison.distance("Rejection"):
        raise SystemExit("masking should have been the worse")


if __name__ == "__main__":
    main()
