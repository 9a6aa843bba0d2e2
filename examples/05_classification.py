"""Classification with the model's own probabilities, exactly.

The answers are few, so they can be enumerated: `Exact` computes the probability of every one of them, added up over all
the ways to cut it into tokens. No sampling error, no skew; and Z says how much the model wanted to give another answer.
"""

from __future__ import annotations

import math

from decoding.engine import Engine
from samplers import enumerate_texts

LABELS = [" positive", " negative", " neutral"]
REVIEWS = (
    "The hotel was wonderful.",
    "This lamp is awful and broken.",
    "The film was okay. It does its job.",
    "The soup was cold. I want my money back.",
)


def probabilities(engine: Engine, review: str) -> tuple[dict[str, float], float]:
    """The probability of each label, and how much mass they have all together."""
    prompt = f"Is this review positive, negative or neutral? {review}\nAnswer:"
    problem = engine.problem(prompt, choice=LABELS)
    solved = enumerate_texts(problem)
    labels = dict.fromkeys(LABELS, 0.0)
    for tokens, p in solved.probabilities().items():
        labels[b"".join(engine.vocabulary.tokens[t] for t in tokens).decode()] += p
    return labels, math.exp(solved.log_z)


def main() -> None:
    engine = Engine.load()
    print(f"{'':42}{''.join(f'{label:>11}' for label in LABELS)}{'on topic':>11}")
    for review in REVIEWS:
        labels, mass = probabilities(engine, review)
        print(f"{review:42}{''.join(f'{p:11.1%}' for p in labels.values())}{mass:11.1%}")


if __name__ == "__main__":
    main()
