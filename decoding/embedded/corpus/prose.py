"""Plain text: small stories, letters, lists, and lines of code."""

from __future__ import annotations

from random import Random

from decoding.embedded.corpus import values as v
from decoding.embedded.corpus import words
from decoding.embedded.corpus.scenes import SCENES


def clause(rng: Random) -> str:
    who = rng.choice(
        (
            f"the {rng.choice(words.ADJECTIVES)} {rng.choice(words.ANIMALS)}",
            v.first_name(rng),
            f"the {rng.choice(words.JOBS)}",
        )
    )
    return f"{who} {rng.choice(words.VERBS_PAST)} the {rng.choice(words.PLACES)}"


def sentence(rng: Random) -> str:
    name, food, place = v.first_name(rng), rng.choice(words.FOODS), rng.choice(words.PLACES)
    text = rng.choice(
        (
            f"{clause(rng)}.",
            f"{clause(rng)}, and {clause(rng)}.",
            f"One day {clause(rng)}.",
            f"When {clause(rng)}, it was {rng.choice(words.ADJECTIVES)}.",
            f"{name} likes {food} and {rng.choice(words.FOODS)}.",
            f"There is {v.with_article(rng.choice(words.ADJECTIVES))} {place} near the {rng.choice(words.PLACES)}.",
            f"{name} was {rng.choice(words.ADJECTIVES)} because the {place} was {rng.choice(words.ADJECTIVES)}.",
            f"In the morning {name} ate {v.with_article(food)} and went to the {place}.",
            f"The {place} is {rng.choice(words.COLORS)} and {rng.choice(words.ADJECTIVES)}.",
            f'"{rng.choice(("Hello", "Good evening", "Look", "Come in", "Thank you"))}!" said {name}.',
            f"It was {v.with_article(rng.choice(words.ADJECTIVES))} day in {rng.choice(words.MONTHS)}.",
        )
    )
    return text[0].upper() + text[1:]


def story_document(rng: Random) -> str:
    return " ".join(sentence(rng) for _ in range(rng.randint(1, 6)))


def letter_document(rng: Random) -> str:
    """An e-mail, with its head or without."""
    sender, receiver, topic = v.full_name(rng, {}).text, v.first_name(rng), rng.choice(words.TOPICS)
    scene = rng.choice(SCENES)
    news = rng.choice(scene.sentences).format(**scene.record(rng))
    body = rng.choice(
        (
            f"thank you for the {topic}. {news}",
            f"please find attached the {topic}. {news}",
            (
                f"I have a question about the {topic}. "
                f"Can we talk on {rng.choice(words.WEEKDAYS)} at {v.time(rng, {}).text}?"
            ),
            f"{news}\n\nPlease let me know if you need anything else.",
            f"we received your {topic} on {v.date(rng, {}).text}. We will answer soon.",
        )
    )
    opening = rng.choice(("Dear", "Hi", "Hello"))
    closing = rng.choice(("Best regards", "Kind regards", "Yours", "Thanks"))
    head = f"From: {v.email(rng, {'name': v.same(sender)}).text}\nTo: {v.email(rng, {}).text}\nSubject: {topic}\n\n"
    return f"{head if rng.random() < 0.6 else ''}{opening} {receiver},\n\n{body}\n\n{closing},\n{sender}"


def list_document(rng: Random) -> str:
    head, options = rng.choice(
        (
            ("Shopping list", words.FOODS),
            ("Colors", words.COLORS),
            ("Cities", words.CITIES),
            ("Animals", words.ANIMALS),
            ("To do", words.TITLES),
        )
    )
    chosen = rng.sample(options, rng.randint(2, 7))
    lines = (
        "\n".join(f"- {one}" for one in chosen),
        "\n".join(f"{i}. {one}" for i, one in enumerate(chosen, 1)),
        "\n".join(f"* {one}" for one in chosen),
    )
    return f"{head}: {', '.join(chosen)}" if rng.random() < 0.4 else f"{head}:\n{rng.choice(lines)}"


def expression(rng: Random, depth: int = 2) -> str:
    """An expression with balanced brackets; `depth` bounds their nesting."""
    if depth == 0 or rng.random() < 0.3:
        return rng.choice(words.IDENTIFIERS) if rng.random() < 0.6 else str(rng.randint(0, 99))
    left, right = expression(rng, depth - 1), expression(rng, depth - 1)
    joined = f"{left} {rng.choice('+-*/')} {right}"
    return f"({joined})" if rng.random() < 0.4 else joined


def code_document(rng: Random) -> str:
    a, b, name = rng.sample(words.IDENTIFIERS, 3)
    return rng.choice(
        (
            lambda: f"{a} = {expression(rng)}",
            lambda: f"{a} = {expression(rng)}\n{b} = {expression(rng)}\nprint({a} + {b})",
            lambda: f"def {name}({a}, {b}):\n    return {expression(rng)}",
            lambda: f"for {a} in range({rng.randint(1, 100)}):\n    print({expression(rng)})",
            lambda: f"if {a} > {rng.randint(0, 99)}:\n    {b} = {expression(rng)}\nelse:\n    {b} = {expression(rng)}",
            lambda: f"{name} = [{', '.join(str(rng.randint(0, 99)) for _ in range(rng.randint(2, 8)))}]",
            lambda: f"{expression(rng, 3)}",
            lambda: f"function {name}({a}) {{ return {expression(rng)}; }}",
            lambda: f"assert {name}({rng.randint(0, 9)}) == {rng.randint(0, 99)}",
        )
    )()


def token_document(rng: Random) -> str:
    """Lines of one kind of thing that has a fixed form, with its name or without."""
    name, field = rng.choice(
        (
            ("Phone", v.phone),
            ("Email", v.email),
            ("Date", v.date),
            ("Time", v.time),
            ("URL", v.url),
            ("IP address", v.address),
            ("UUID", v.uuid),
            ("Code", v.code),
            ("Price", v.price),
            ("Name", v.full_name),
            ("Address", v.street),
            ("Color", lambda rng, record: v.same(f"#{rng.getrandbits(24):06x}")),
        )
    )
    lines = [field(rng, {}).text for _ in range(rng.choice((1, 1, 2, 3, 5)))]
    return "\n".join(f"{name}: {line}" for line in lines) if rng.random() < 0.6 else "\n".join(lines)
