"""Scenes: what a short text can tell, and the sentences that tell it.

A scene has fields and sentences. From one scene come extraction tasks, questions, JSON records, tables and SQL, so
that the model meets the same facts in many shapes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from random import Random
from string import Formatter

from decoding.embedded.corpus import values as v
from decoding.embedded.corpus import words
from decoding.embedded.corpus.values import Field, Record


@dataclass(frozen=True)
class Scene:
    """`kind` names what is told about; `questions` are questions whose answer is one field."""

    kind: str
    plural: str
    fields: Mapping[str, Field]
    sentences: tuple[str, ...]
    questions: Mapping[str, str]

    def record(self, rng: Random) -> Record:
        """Values for all fields; later ones may look at earlier ones, as an address looks at a name."""
        record: Record = {}
        for name, field in self.fields.items():
            record[name] = field(rng, record)
        return record


@cache
def mentioned(sentence: str) -> tuple[str, ...]:
    """The fields that a sentence speaks of, in its order.

    >>> mentioned("{name} is {age} years old.")
    ('name', 'age')
    """
    return tuple(dict.fromkeys(name for _, name, _, _ in Formatter().parse(sentence) if name))


PERSON = Scene(
    "person",
    "people",
    {
        "name": v.person,
        "age": v.age,
        "city": v.city,
        "job": v.one_of(words.JOBS),
        "email": v.email,
        "phone": v.phone,
        "company": v.company,
        "country": v.one_of(words.COUNTRIES),
        "skills": v.many(v.one_of(words.SKILLS), 1, 3),
    },
    (
        "{name} is {age} years old.",
        "{name} is {age} years old and lives in {city}.",
        "{name}, {age}, works as {job:a} in {city}.",
        "{name} is {age:a}-year-old {job} from {city}.",
        "My name is {name} and I am {age}.",
        "My name is {name}, I am {age} years old and I live in {city}.",
        "Hi, I'm {name} from {city}. You can reach me at {email}.",
        "{name} ({age}) lives in {city} and works for {company}.",
        "{job:a} named {name} lives in {city}.",
        "Please call {name} at {phone}.",
        "{name} can be reached at {email} or {phone}.",
        "{name} works at {company} as {job:a}.",
        "{name} was born in {country} and is now {age}.",
        "At {age}, {name} moved to {city}.",
        "Our new colleague {name} is {job:a} and knows {skills}.",
        "{name} speaks {skills} and lives in {city}, {country}.",
        "The {job} {name} from {company} is {age} years old.",
        "Contact: {name}, {email}, {phone}.",
        "I met {name} in {city} yesterday; {name} is {job:a}.",
        "{name} lives in {city}.",
        "{name} is {job:a}.",
        "{name}, {age}, lives in {city}.",
        "{name} is {age} and works as {job:a} at {company}.",
        "{name} lives in {city}. She is {age} years old and works as {job:a}.",
        "This is {name}. He is {age}, comes from {country} and works as {job:a} in {city}.",
        "{name} is {job:a} in {city}. Phone: {phone}.",
        "Write to {name} at {email}.",
    ),
    {
        "age": "How old is {name}?",
        "city": "Where does {name} live?",
        "job": "What does {name} do?",
        "email": "What is the email of {name}?",
        "phone": "What is the phone number of {name}?",
        "company": "Where does {name} work?",
        "name": "Who is it about?",
    },
)

ORDER = Scene(
    "order",
    "orders",
    {
        "customer": v.person,
        "product": v.one_of(words.PRODUCTS),
        "quantity": v.integer(1, 40),
        "price": v.price,
        "date": v.date,
        "order_id": v.code,
        "color": v.one_of(words.COLORS),
        "paid": v.flag,
    },
    (
        "{customer} ordered {quantity} units of the {product} for {price}.",
        "{customer} bought {product:a} for {price} on {date}.",
        "Order {order_id}: {quantity} x {product}, total {price}.",
        "I would like to order {quantity} pieces of the {color} {product}.",
        "On {date}, {customer} paid {price} for {product:a}.",
        "The {color} {product} costs {price}.",
        "Please send the {product} to {customer} before {date}.",
        "Order {order_id} from {customer} was shipped on {date}.",
        "The {product} is {color} and costs {price}.",
        "{customer} wants the {product} in {color}.",
    ),
    {
        "price": "How much does the {product} cost?",
        "customer": "Who is the customer?",
        "quantity": "How many were ordered?",
        "color": "Which color is it?",
        "product": "What was ordered?",
        "date": "When?",
    },
)

EVENT = Scene(
    "event",
    "events",
    {
        "title": v.one_of(words.TITLES),
        "date": v.date,
        "time": v.time,
        "place": v.one_of(words.ROOMS),
        "day": v.weekday,
        "participants": v.many(v.person, 1, 3),
        "city": v.city,
        "duration": v.integer(10, 120),
    },
    (
        "The {title} is on {date} at {time}.",
        "The {title} takes place on {day} at {time} in {place}.",
        "Let's meet for the {title} on {day} at {time}.",
        "{title} with {participants} on {date} at {time}.",
        "Please add {title:a} with {participants} on {day}, {time}.",
        "There will be {title:a} in {city} on {date}.",
        "{participants} will join the {title} in {place} at {time}.",
        "Reminder: {title}, {day} {time}, {place}.",
        "The {title} starts at {time} and takes {duration} minutes.",
        "We moved the {title} to {day}, {date}.",
        "Meet {participants} at {time} in {place}.",
    ),
    {
        "time": "At what time is the {title}?",
        "date": "When is the {title}?",
        "day": "On which day is the {title}?",
        "place": "Where is the {title}?",
        "participants": "Who takes part?",
        "title": "What is planned?",
    },
)

TRAVEL = Scene(
    "trip",
    "trips",
    {
        "passenger": v.person,
        "origin": v.city,
        "destination": v.city,
        "date": v.date,
        "time": v.time,
        "flight": v.code,
        "price": v.price,
        "seat": v.code,
    },
    (
        "Flight {flight} goes from {origin} to {destination} on {date}.",
        "{passenger} flies from {origin} to {destination} on {date}.",
        "Book a flight from {origin} to {destination} for {passenger} on {date}.",
        "The train from {origin} to {destination} leaves at {time}.",
        "I need a ticket from {origin} to {destination}.",
        "{passenger} has seat {seat} on flight {flight} to {destination}.",
        "A ticket from {origin} to {destination} costs {price}.",
        "{passenger} travels to {destination} on {date} at {time}.",
    ),
    {
        "origin": "Where does the trip start?",
        "destination": "Where does the trip end?",
        "date": "On which date is the trip?",
        "time": "When does it leave?",
        "flight": "What is the flight number?",
        "passenger": "Who travels?",
    },
)

BOOK = Scene(
    "book",
    "books",
    {
        "title": v.book_title,
        "author": v.full_name,
        "year": v.year,
        "genre": v.one_of(words.GENRES),
        "pages": v.integer(80, 900),
        "rating": v.integer(1, 5),
    },
    (
        "{title} was written by {author} in {year}.",
        "{author} published {title} in {year}.",
        'I just read "{title}" by {author}. It has {pages} pages.',
        '"{title}" is a {genre} book by {author}.',
        '"{title}" ({year}) by {author}: {rating} out of 5 stars.',
        "In {year}, {author} wrote {title}, a {genre} book of {pages} pages.",
    ),
    {
        "author": "Who wrote {title}?",
        "year": "In which year was {title} published?",
        "pages": "How many pages does it have?",
        "genre": "What genre is it?",
        "title": "What is the title?",
    },
)

COMPANY = Scene(
    "company",
    "companies",
    {
        "name": v.company,
        "city": v.city,
        "founded": v.year,
        "employees": v.integer(5, 5000),
        "ceo": v.full_name,
        "website": v.url,
        "phone": v.phone,
    },
    (
        "{name} was founded in {founded} in {city}.",
        "{name} is based in {city} and has {employees} employees.",
        "{ceo} is the head of {name}, a company in {city}.",
        "{ceo} founded {name} in {founded}.",
        "{name} has {employees} employees. Its website is {website}.",
        "{name}, {city}, phone {phone}",
        "The company {name} from {city} has {employees} employees and was founded by {ceo} in {founded}.",
    ),
    {
        "city": "Where is {name} based?",
        "founded": "When was {name} founded?",
        "employees": "How many employees does {name} have?",
        "ceo": "Who leads {name}?",
        "name": "Which company is it?",
    },
)

ADDRESS = Scene(
    "address",
    "addresses",
    {
        "name": v.full_name,
        "street": v.street,
        "zip": lambda rng, record: v.same(v.digits(rng, 5)),
        "city": v.city,
        "country": v.one_of(words.COUNTRIES),
    },
    (
        "{name}, {street}, {zip} {city}",
        "{name} lives at {street} in {city}.",
        "Please send it to {name}, {street}, {zip} {city}, {country}.",
        "The office is at {street}, {city}.",
        "My address is {street}, {zip} {city}.",
        "{name} moved to {street} in {city}, {country}.",
    ),
    {
        "street": "What is the street?",
        "city": "In which city is it?",
        "zip": "What is the zip code?",
        "name": "Whose address is it?",
    },
)

WEATHER = Scene(
    "weather",
    "reports",
    {
        "city": v.city,
        "temperature": v.integer(-15, 38),
        "condition": v.one_of(words.WEATHERS),
        "humidity": v.integer(10, 99),
        "day": v.weekday,
    },
    (
        "It is {condition} in {city} with {temperature} degrees.",
        "The weather in {city} is {condition}.",
        "On {day} it will be {condition} in {city}, about {temperature} degrees.",
        "{city}: {temperature} degrees, {condition}, humidity {humidity} percent.",
        "The temperature in {city} is {temperature} degrees.",
    ),
    {
        "condition": "How is the weather in {city}?",
        "temperature": "How warm is it in {city}?",
        "city": "Which city is it about?",
    },
)

TABLE = Scene(
    "reservation",
    "reservations",
    {
        "name": v.person,
        "people": v.integer(1, 12),
        "time": v.time,
        "date": v.date,
        "day": v.weekday,
        "restaurant": v.company,
        "phone": v.phone,
        "room": v.integer(1, 500),
    },
    (
        "A table for {people} on {day} at {time}, please.",
        "Book a table for {people} at {restaurant} on {date}.",
        "{name} reserved a table for {people} people at {time}.",
        "I'd like to reserve a table for {people} under the name {name}, {day} at {time}.",
        "{name} stays in room {room} until {date}.",
        "Reservation for {name}, {people} people, {date}, {time}, phone {phone}.",
    ),
    {
        "people": "For how many people?",
        "time": "At what time?",
        "name": "Under which name?",
        "date": "On which date?",
        "day": "On which day?",
    },
)

PAYMENT = Scene(
    "payment",
    "payments",
    {
        "sender": v.person,
        "receiver": v.person,
        "amount": v.price,
        "date": v.date,
        "reference": v.code,
        "account": lambda rng, record: v.same(f"DE{v.digits(rng, 8)}"),
    },
    (
        "{sender} sent {amount} to {receiver}.",
        "{sender} paid {receiver} {amount} on {date}.",
        "Transfer {amount} from {sender} to {receiver}, reference {reference}.",
        "Invoice {reference} over {amount} is due on {date}.",
        "Please pay {amount} to account {account} before {date}.",
        "{receiver} received {amount} from {sender}.",
    ),
    {
        "amount": "How much was it?",
        "sender": "Who sent the money?",
        "receiver": "Who received the money?",
        "date": "When?",
        "reference": "What is the reference?",
    },
)

PET = Scene(
    "pet",
    "pets",
    {
        "name": lambda rng, record: v.same(v.first_name(rng)),
        "animal": v.one_of(words.ANIMALS),
        "color": v.one_of(words.COLORS),
        "age": v.integer(1, 15),
        "owner": v.person,
    },
    (
        "{owner} has {color:a} {animal} called {name}.",
        "{name} is {color:a} {animal}.",
        "{name} the {animal} is {age} years old and belongs to {owner}.",
        "The {animal} {name} is {age} years old.",
        "{owner} owns {animal:a} named {name}.",
    ),
    {
        "animal": "What kind of animal is {name}?",
        "color": "What color is {name}?",
        "owner": "Who is the owner?",
        "age": "How old is {name}?",
        "name": "What is the name?",
    },
)

SCENES = (PERSON, PERSON, PERSON, ORDER, EVENT, TRAVEL, BOOK, COMPANY, ADDRESS, WEATHER, TABLE, PAYMENT, PET)
