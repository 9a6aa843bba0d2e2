"""A constraint of your own: sums that never exceed a limit, which no grammar could say.

A constraint is six names: a vocabulary, a start, and what follows a state after a token. `Stepwise` asks for two of
them, as functions, and numbers the states; `check_constraint` tells whether you kept the contract.
"""

from __future__ import annotations

from decoding.engine import Engine
from grammars import Vocabulary
from samplers import SMC, AdaptiveRejection
from samplers.constraints.stepwise import Stepwise
from samplers.contracts import check_constraint

LIMIT = 60
Sum = tuple[int, int]  # what is added up, and the number that is being written


def below_the_limit(vocabulary: Vocabulary) -> Stepwise[Sum]:
    """Numbers with plus signs between them, which never add up to more than the limit."""

    def after(value: Sum, token: int) -> Sum | None:
        total, number = value
        for letter in vocabulary.tokens[token]:
            if 48 <= letter <= 57 and (number or letter > 48):
                number = 10 * number + letter - 48
            elif letter == 43 and number:
                total, number = total + number, 0
            else:
                return None
            if total + number > LIMIT:
                return None
        return (total, number) if vocabulary.tokens[token] and (number or total < LIMIT) else None

    return Stepwise(vocabulary, (0, 0), after, lambda value: value[0] > 0 and value[1] > 0)


def main() -> None:
    engine = Engine.load()
    constraint = below_the_limit(engine.vocabulary)
    check_constraint(constraint)
    answers = engine.generate_many(
        "13+8+21\n4+40\n",
        6,
        constraint=constraint,
        sampler=SMC(32, proposal=AdaptiveRejection()),
        seed=0,
        max_tokens=24,
    )
    for answer in answers:
        total = sum(map(int, answer.text.split("+")))
        print(f"{answer.text:>24} = {total}")
        if total > LIMIT:
            raise SystemExit("too much")


if __name__ == "__main__":
    main()
