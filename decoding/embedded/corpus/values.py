"""Values of records: what stands in the data, and how a sentence says it.

A date is "2024-05-03" in a JSON record and "3 May 2024" in a letter. Drawing both together gives the model examples
of reading as well as of copying. Invented names keep it from learning the lists of `words` by heart.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from decoding.embedded.corpus import words

Scalar = str | int | float | bool | None
Data = Scalar | list["Data"] | dict[str, "Data"]
Record = dict[str, "Value"]
Field = Callable[[Random, Record], "Value"]


@dataclass(frozen=True)
class Value:
    """`data` is what a record holds, `text` what a sentence says; `{field:a}` puts the article before it."""

    data: Data
    text: str

    def __format__(self, spec: str) -> str:
        return with_article(self.text) if spec == "a" else self.text


def with_article(noun: str) -> str:
    """The noun after "a" or "an".

    >>> with_article("engineer"), with_article("baker")
    ('an engineer', 'a baker')
    """
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"


def same(text: str) -> Value:
    return Value(text, text)


def one_of(options: tuple[str, ...]) -> Field:
    """A field that holds one of `options`, word for word."""
    return lambda rng, record: same(rng.choice(options))


def integer(low: int, high: int) -> Field:
    """A field with a whole number; small ones are sometimes spelled."""

    def draw(rng: Random, record: Record) -> Value:
        number = rng.randint(low, high)
        return Value(number, spelled(rng, number))

    return draw


def spelled(rng: Random, number: int) -> str:
    return words.NUMBERS[number] if 0 < number < len(words.NUMBERS) and rng.random() < 0.2 else str(number)


def invented(rng: Random) -> str:
    """A name that nobody has."""
    return "".join(rng.choice(words.SYLLABLES) for _ in range(rng.choice((2, 2, 3)))).capitalize()


def first_name(rng: Random) -> str:
    return invented(rng) if rng.random() < 0.3 else rng.choice(words.FIRST_NAMES)


def last_name(rng: Random) -> str:
    return invented(rng) if rng.random() < 0.3 else rng.choice(words.LAST_NAMES)


def person(rng: Random, record: Record) -> Value:
    if rng.random() < 0.3:
        return same(first_name(rng))
    return same(f"{first_name(rng)} {last_name(rng)}")


def full_name(rng: Random, record: Record) -> Value:
    return same(f"{first_name(rng)} {last_name(rng)}")


def city(rng: Random, record: Record) -> Value:
    return same(invented(rng) if rng.random() < 0.25 else rng.choice(words.CITIES))


def company(rng: Random, record: Record) -> Value:
    head = invented(rng) if rng.random() < 0.6 else rng.choice(words.LAST_NAMES)
    return same(f"{head} {rng.choice(words.COMPANY_ENDS)}" if rng.random() < 0.8 else head)


def plain(text: str) -> str:
    """Lower-case ASCII letters only, as e-mail addresses want them."""
    folded = text.lower().translate(str.maketrans("äöüéèáíóçãñøå", "aoueeaiocanoa"))
    return "".join(letter for letter in folded if letter.isascii() and letter.isalnum())


def email(rng: Random, record: Record) -> Value:
    """An address; of the person in the record, if there is one."""
    name = str(record["name"].data) if "name" in record else f"{first_name(rng)} {last_name(rng)}"
    parts = [plain(part) for part in name.split()]
    shapes = [
        ".".join(parts),
        "".join(parts),
        parts[0],
        f"{parts[0][0]}.{parts[-1]}",
        f"{parts[0]}{rng.randint(1, 99)}",
    ]
    return same(f"{rng.choice(shapes)}@{rng.choice(words.DOMAINS)}")


def digits(rng: Random, count: int) -> str:
    return "".join(str(rng.randrange(10)) for _ in range(count))


def phone(rng: Random, record: Record) -> Value:
    a, b, c = str(rng.randint(200, 999)), digits(rng, 3), digits(rng, 4)
    country = rng.choice((1, 33, 39, 41, 44, 49))
    shapes = (
        f"{a}-{b}-{c}",
        f"({a}) {b}-{c}",
        f"+{country} {a} {b} {c}",
        f"{a} {b} {c}",
        f"555-{c}",
        f"+1-{a}-{b}-{c}",
    )
    return same(rng.choice(shapes))


def age(rng: Random, record: Record) -> Value:
    number = rng.randint(18, 90)
    return Value(number, str(number))


def year(rng: Random, record: Record) -> Value:
    number = rng.randint(1900, 2026)
    return Value(number, str(number))


def calendar_day(rng: Random) -> tuple[int, int, int]:
    y, m = rng.randint(1990, 2030), rng.randint(1, 12)
    return y, m, rng.randint(1, monthrange(y, m)[1])


def day_texts(y: int, m: int, d: int) -> tuple[str, ...]:
    """The ways to write a day, ISO 8601 first."""
    month = words.MONTHS[m - 1]
    return f"{y}-{m:02}-{d:02}", f"{d} {month} {y}", f"{month} {d}, {y}", f"{d:02}.{m:02}.{y}", f"{month[:3]} {d}, {y}"


def date(rng: Random, record: Record) -> Value:
    texts = day_texts(*calendar_day(rng))
    return Value(texts[0], rng.choice(texts))


def weekday(rng: Random, record: Record) -> Value:
    return same(rng.choice(words.WEEKDAYS))


def time(rng: Random, record: Record) -> Value:
    hour, minute = rng.randint(7, 22), rng.choice((0, 0, 0, 15, 30, 30, 45, 10, 20))
    half = "am" if hour < 12 else "pm"
    twelve = (hour - 1) % 12 + 1
    texts = [f"{hour:02}:{minute:02}"] * 2 + [f"{twelve}:{minute:02} {half}"] + [f"{twelve} {half}"] * (minute == 0)
    return Value(f"{hour:02}:{minute:02}", rng.choice(texts))


def price(rng: Random, record: Record) -> Value:
    cents = rng.choice((0, 0, 50, 99, 95, rng.randrange(100)))
    amount = rng.randint(1, rng.choice((20, 200, 2000)))
    sign, code = rng.choice(words.CURRENCIES)
    number = f"{amount}.{cents:02}" if cents else str(amount)
    text = rng.choice(
        (f"{sign}{number}", f"{sign}{number}", f"{number} {code}", f"{number} {'dollars' if code == 'USD' else code}")
    )
    return Value(float(number) if cents else amount, text)


def many(field: Field, low: int, high: int) -> Field:
    """A list of different values of `field`."""

    def draw(rng: Random, record: Record) -> Value:
        texts = list(dict.fromkeys(field(rng, record).text for _ in range(rng.randint(low, high))))
        return Value([*texts], listed(texts))

    return draw


def listed(texts: list[str]) -> str:
    """The texts in a row, as English lists them.

    >>> listed(["Anna", "Ben", "Eva"])
    'Anna, Ben and Eva'
    """
    return f"{', '.join(texts[:-1])} and {texts[-1]}" if len(texts) > 1 else texts[0]


def street(rng: Random, record: Record) -> Value:
    name = invented(rng) if rng.random() < 0.5 else rng.choice(words.LAST_NAMES)
    return same(f"{rng.randint(1, 199)} {name} {rng.choice(('Street', 'Road', 'Avenue', 'Lane', 'Square'))}")


def code(rng: Random, record: Record) -> Value:
    letters = "".join(rng.choice("ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(rng.choice((1, 2, 3))))
    return same(f"{letters}{rng.choice(('-', '', ''))}{digits(rng, rng.choice((2, 3, 4, 5)))}")


def book_title(rng: Random, record: Record) -> Value:
    a, b = rng.choice(words.BOOK_WORDS), rng.choice(words.BOOK_WORDS)
    return same(
        rng.choice((f"The {a} of {b}", f"The Last {a}", f"{a} and {b}", f"A {a} in {invented(rng)}", f"The {a}"))
    )


def flag(rng: Random, record: Record) -> Value:
    value = rng.random() < 0.5
    return Value(value, "true" if value else "false")


def uuid(rng: Random, record: Record) -> Value:
    return same("-".join(f"{rng.getrandbits(4 * n):0{n}x}" for n in (8, 4, 4, 4, 12)))


def url(rng: Random, record: Record) -> Value:
    page = rng.choice(
        (
            "",
            "/",
            f"/{rng.choice(words.PLACES)}",
            f"/{rng.choice(words.TOPICS)}?id={rng.randint(1, 999)}".replace(" ", "-"),
        )
    )
    return same(f"http{rng.choice(('s', ''))}://{rng.choice(('www.', ''))}{rng.choice(words.DOMAINS)}{page}")


def address(rng: Random, record: Record) -> Value:
    return same(".".join(str(rng.randrange(256)) for _ in range(4)))
