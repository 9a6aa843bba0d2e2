"""Small exact answers: arithmetic, comparisons, counting, order, and the calendar."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from random import Random

from decoding.embedded.corpus import values as v
from decoding.embedded.corpus import words

OPERATIONS: tuple[tuple[str, tuple[str, ...], Callable[[int, int], int]], ...] = (
    ("+", ("plus", "and"), lambda a, b: a + b),
    ("-", ("minus",), lambda a, b: a - b),
    ("*", ("times",), lambda a, b: a * b),
)


def operands(rng: Random, sign: str) -> tuple[int, int]:
    top = 12 if sign == "*" else rng.choice((9, 20, 20, 99, 99))
    return rng.randint(0, top), rng.randint(0, top)


def sum_(rng: Random) -> tuple[str, str]:
    sign, names, apply = rng.choice(OPERATIONS)
    a, b = operands(rng, sign)
    spoken = rng.choice((f"{a} {sign} {b}", f"{a} {sign} {b}", f"{a} {rng.choice(names)} {b}"))
    return spoken, str(apply(a, b))


def arithmetic(rng: Random) -> tuple[str, str]:
    spoken, result = sum_(rng)
    return rng.choice(
        (f"What is {spoken}?", f"Compute {spoken}.", f"Calculate {spoken}.", f"How much is {spoken}?")
    ), result


def counting(rng: Random) -> tuple[str, str]:
    """A story in which something is added or taken away."""
    name, thing = v.first_name(rng), rng.choice(words.FOODS)
    a, b = rng.randint(1, 30), rng.randint(1, 30)
    if rng.random() < 0.5:
        return f"{name} has {a} {thing}s and gets {b} more. How many {thing}s does {name} have?", str(a + b)
    a, b = max(a, b), min(a, b)
    return f"{name} has {a} {thing}s and gives away {b}. How many {thing}s are left?", str(a - b)


def comparison(rng: Random) -> tuple[str, str]:
    a, b = rng.randint(0, 99), rng.randint(0, 99)
    word, true = rng.choice((("greater", a > b), ("smaller", a < b), ("greater", a > b)))
    if rng.random() < 0.5:
        return f"Is {a} {word} than {b}?", "yes" if true else "no"
    return f"Which number is greater, {a} or {b}?", str(max(a, b))


def ordering(rng: Random) -> tuple[str, str]:
    numbers = [rng.randint(0, 99) for _ in range(rng.randint(3, 5))]
    text = ", ".join(map(str, numbers))
    return rng.choice(
        (
            (f"Sort these numbers: {text}", ", ".join(map(str, sorted(numbers)))),
            (f"What is the largest number of {text}?", str(max(numbers))),
            (f"What is the smallest number of {text}?", str(min(numbers))),
        )
    )


def calendar(rng: Random) -> tuple[str, str]:
    """Days before and after, and dates rewritten."""
    day = date(*v.calendar_day(rng))
    texts = v.day_texts(day.year, day.month, day.day)
    index = words.WEEKDAYS.index
    name = rng.choice(words.WEEKDAYS)
    return rng.choice(
        (
            (f"Write {rng.choice(texts)} as an ISO date.", texts[0]),
            (f"Write {rng.choice(texts)} as YYYY-MM-DD.", texts[0]),
            (f"Write {texts[0]} in words.", texts[2]),
            (f"Which day comes after {texts[0]}?", str(day + timedelta(days=1))),
            (f"Which day comes before {texts[0]}?", str(day - timedelta(days=1))),
            (f"Which day comes after {name}?", words.WEEKDAYS[(index(name) + 1) % 7]),
            (f"Which day comes before {name}?", words.WEEKDAYS[index(name) - 1]),
            (f"In which month is {texts[0]}?", words.MONTHS[day.month - 1]),
        )
    )


def exact_document(rng: Random) -> str:
    question, answer = rng.choice((arithmetic, arithmetic, counting, comparison, ordering, calendar))(rng)
    return rng.choice(
        (
            f"{question} {answer}",
            f"Question: {question}\nAnswer: {answer}",
            f"Q: {question}\nA: {answer}",
            f"User: {question}\nAssistant: {answer}",
        )
    )


def sums_document(rng: Random) -> str:
    """A column of sums, right down to the last digit."""
    return "\n".join(f"{spoken} = {result}" for spoken, result in (sum_(rng) for _ in range(rng.randint(1, 8))))


def dates_document(rng: Random) -> str:
    kind = rng.randrange(3)
    if kind == 0:
        first = date(*v.calendar_day(rng))
        return "\n".join(str(first + timedelta(days=offset)) for offset in range(rng.randint(3, 7)))
    texts = v.day_texts(*v.calendar_day(rng))
    if kind == 1:
        return f"{rng.choice(texts[1:])} -> {texts[0]}"
    time = v.time(rng, {})
    return f"{rng.choice(texts)} {time.text}, ISO: {texts[0]}T{time.data}:00Z"
