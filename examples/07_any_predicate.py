"""Any Python function as a constraint: here, numbers that must be prime.

No grammar says "prime". A predicate can only be asked, token by token, so no mask is made: adaptive rejection draws a
token, asks, and draws again where the answer is no. The weights say what the questions have told about the mass.
"""

from __future__ import annotations

from decoding.engine import Engine
from grammars import regex
from samplers import AdaptiveRejection, predicate

asked = 0


def is_prime(text: bytes) -> bool:
    global asked
    asked += 1
    number = int(text or b"0")
    return number > 1 and all(number % d for d in range(2, int(number**0.5) + 1))


def main() -> None:
    engine = Engine.load()
    primes = predicate(is_prime, final=True) & regex("[1-9][0-9]?")
    prompt = "Question: What is 24 plus 24?\nAnswer: "
    answers = engine.generate_many(prompt, 200, constraint=primes, sampler=AdaptiveRejection(), seed=0)
    weights = dict[str, float]()
    for answer in answers:
        weights[answer.text] = weights.get(answer.text, 0.0) + answer.weight
    print("the primes that the model would answer, were it asked for one:")
    for text, weight in sorted(weights.items(), key=lambda item: -item[1])[:8]:
        print(f"  {text:>3} {weight:6.1%} {'█' * round(40 * weight)}")
    print(f"{asked} questions were asked, for {len(answers)} answers")
    if not all(is_prime(answer.text.encode()) for answer in answers if answer.weight):
        raise SystemExit("that was no prime")


if __name__ == "__main__":
    main()
