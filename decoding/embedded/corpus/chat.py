"""Conversations: `User: ...` and `Assistant: ...` in turns, tool calls, moods of reviews, a few facts."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random

from decoding.embedded.corpus import reasoning, words
from decoding.embedded.corpus import values as v
from decoding.embedded.corpus.extraction import extraction, question
from decoding.embedded.corpus.values import Data

Turn = tuple[str, str]

GREETINGS: tuple[Turn, ...] = (
    ("Hello!", "Hello! How can I help you?"),
    ("Hi", "Hi! What can I do for you?"),
    ("Good morning!", "Good morning! How can I help you today?"),
    ("Hello, how are you?", "I am fine, thank you. How can I help you?"),
    ("Who are you?", "I am a very small language model."),
    ("What are you?", "I am a very small language model, made for testing."),
    ("What is your name?", "I have no name. I am a very small language model."),
    ("What can you do?", "I can extract JSON from sentences, add small numbers and answer short questions."),
    ("Can you help me?", "Of course. What do you need?"),
)
THANKS: tuple[Turn, ...] = (
    ("Thank you!", "You are welcome!"),
    ("Thanks a lot.", "You are welcome. Have a nice day!"),
    ("Goodbye!", "Goodbye! Have a nice day!"),
    ("Bye", "Bye!"),
    ("Great, thanks!", "You are welcome!"),
)
CONVERSIONS = (
    ("Celsius", "Fahrenheit"),
    ("kilometres", "miles"),
    ("euros", "dollars"),
    ("metres", "feet"),
    ("kilograms", "pounds"),
)


def fact(rng: Random) -> Turn:
    country, capital = rng.choice(words.CAPITALS)
    index = rng.randint(1, 12)
    return rng.choice(
        (
            (f"What is the capital of {country}?", f"The capital of {country} is {capital}."),
            (f"What is the capital of {country}?", capital),
            (f"{capital} is the capital of which country?", country),
            (f"Which country has the capital {capital}?", country),
            (f"What is month number {index}?", words.MONTHS[index - 1]),
            ("How many days does a week have?", "A week has seven days."),
            ("How many months does a year have?", "A year has twelve months."),
            ("What color is the sky?", "The sky is blue."),
            ("What color is grass?", "Grass is green."),
        )
    )


def wish(rng: Random) -> Turn:
    """A request for a list or a name."""
    kind, options = rng.choice(
        (
            ("colors", words.COLORS),
            ("animals", words.ANIMALS),
            ("cities", words.CITIES),
            ("fruits", words.FOODS[:8]),
            ("names", words.FIRST_NAMES),
        )
    )
    count = rng.randint(2, 5)
    chosen = rng.sample(options, count)
    number = words.NUMBERS[count] if rng.random() < 0.5 else str(count)
    return rng.choice(
        (
            (f"Name {number} {kind}.", ", ".join(chosen)),
            (f"List {number} {kind}.", "\n".join(f"{i}. {one}" for i, one in enumerate(chosen, 1))),
            (f"Give me {number} {kind} as a JSON array.", json.dumps(chosen, ensure_ascii=False)),
            (f"Name one of these: {', '.join(chosen)}", rng.choice(chosen)),
        )
    )


def mood(rng: Random) -> Turn:
    """A review and whether it is positive."""
    label, options = rng.choice((("positive", words.GOOD), ("negative", words.BAD), ("neutral", words.MIDDLING)))
    thing = rng.choice((*words.PRODUCTS, *words.FOODS, "food", "service", "film", "hotel", "book", "staff", "room"))
    first, second = rng.choice(options), rng.choice(options)
    closing = {"positive": "I love it!", "negative": "I want my money back.", "neutral": "It does its job."}[label]
    text = rng.choice(
        (
            f"The {thing} was {first}.",
            f"This {thing} is {first} and {second}.",
            f"The {thing} is {first}. {closing}",
            f"{closing} The {thing} was {first}.",
        )
    )
    request, answer = rng.choice(
        (
            (f"Is this review positive, negative or neutral? {text}", label),
            (f"What is the sentiment of this review? {text}", label),
            (f"Review: {text}\nSentiment?", label),
            (f"Classify the review as JSON: {text}", json.dumps({"sentiment": label})),
            (f"Classify the review as JSON: {text}", json.dumps({"product": thing, "sentiment": label})),
        )
    )
    return request, answer


def weather_call(rng: Random) -> tuple[str, str, dict[str, Data]]:
    city = v.city(rng, {}).text
    unit = rng.choice(("celsius", "fahrenheit"))
    if rng.random() < 0.4:
        return f"What is the weather in {city} in {unit}?", "get_weather", {"city": city, "unit": unit}
    asked = rng.choice(
        (f"What is the weather in {city}?", f"How is the weather in {city} today?", f"Is it raining in {city}?")
    )
    return asked, "get_weather", {"city": city}


def email_call(rng: Random) -> tuple[str, str, dict[str, Data]]:
    to, subject = v.email(rng, {}).text, rng.choice(words.TOPICS)
    return f"Send an email to {to} about the {subject}.", "send_email", {"to": to, "subject": subject}


def event_call(rng: Random) -> tuple[str, str, dict[str, Data]]:
    title, day, time = rng.choice(words.TITLES), v.date(rng, {}), v.time(rng, {})
    asked = f"Put {v.with_article(title)} into my calendar on {day.text} at {time.text}."
    return asked, "create_event", {"title": title, "date": day.data, "time": time.data}


def search_call(rng: Random) -> tuple[str, str, dict[str, Data]]:
    query, count = f"{rng.choice(words.COLORS)} {rng.choice(words.PRODUCTS)}", rng.randint(1, 10)
    if rng.random() < 0.5:
        return f"Search for {query}.", "search", {"query": query}
    return f"Find {count} results for {query}.", "search", {"query": query, "limit": count}


def reminder_call(rng: Random) -> tuple[str, str, dict[str, Data]]:
    time, name = v.time(rng, {}), v.person(rng, {}).text
    return f"Remind me at {time.text} to call {name}.", "set_reminder", {"time": time.data, "text": f"call {name}"}


def convert_call(rng: Random) -> tuple[str, str, dict[str, Data]]:
    amount, (source, target) = rng.randint(1, 500), rng.choice(CONVERSIONS)
    return f"Convert {amount} {source} to {target}.", "convert", {"amount": amount, "from": source, "to": target}


CALLS: tuple[Callable[[Random], tuple[str, str, dict[str, Data]]], ...] = (
    weather_call,
    email_call,
    event_call,
    search_call,
    reminder_call,
    convert_call,
)


def tool_document(rng: Random) -> str:
    """A request that a tool has to answer: the call is JSON."""
    asked, name, arguments = rng.choice(CALLS)(rng)
    call = json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False)
    offered = sorted(
        {name, *rng.sample(["get_weather", "send_email", "create_event", "search", "set_reminder", "convert"], 2)}
    )
    tools = rng.choice(
        ("", f"Tools: {', '.join(offered)}\n", f"System: You can call these tools: {', '.join(offered)}\n")
    )
    shape = rng.choice(
        (call, call, f"<tool_call>\n{call}\n</tool_call>", f"{name}({json.dumps(arguments, ensure_ascii=False)})")
    )
    return f"{tools}User: {asked}\nAssistant: {shape}"


def turn(rng: Random) -> Turn:
    drawn = rng.choice(
        (
            fact,
            wish,
            mood,
            extraction,
            extraction,
            question,
            reasoning.arithmetic,
            reasoning.counting,
            reasoning.calendar,
        )
    )
    return drawn(rng)


def conversation_document(rng: Random) -> str:
    """Some turns; greetings first and thanks last."""
    turns = [turn(rng) for _ in range(rng.randint(1, 3))]
    if rng.random() < 0.4:
        turns.insert(0, rng.choice(GREETINGS))
    if rng.random() < 0.2:
        turns.append(rng.choice(THANKS))
    system = rng.choice(("", "", "System: You are a helpful assistant.\n", "System: Answer briefly.\n"))
    return system + "\n".join(f"User: {asked}\nAssistant: {answer}" for asked, answer in turns)


def mood_document(rng: Random) -> str:
    asked, answer = mood(rng)
    return rng.choice((f"{asked}\nAnswer: {answer}", f"User: {asked}\nAssistant: {answer}"))


def fact_document(rng: Random) -> str:
    asked, answer = rng.choice((fact, fact, wish))(rng)
    return rng.choice(
        (f"{asked} {answer}", f"Question: {asked}\nAnswer: {answer}", f"User: {asked}\nAssistant: {answer}")
    )
