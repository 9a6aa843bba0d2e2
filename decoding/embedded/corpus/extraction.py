"""Reading tasks: a sentence, and a record or an answer that has to be read out of it."""

from __future__ import annotations

import json
from random import Random

from decoding.embedded.corpus.layouts import Row, as_json, data, key_values, schema_of, shown
from decoding.embedded.corpus.scenes import SCENES, Scene, mentioned
from decoding.embedded.corpus.values import Record, with_article


def told(rng: Random, scene: Scene) -> tuple[str, Record, tuple[str, ...]]:
    """A sentence, what it is made from, and the fields it mentions."""
    template, record = rng.choice(scene.sentences), scene.record(rng)
    sentence = template.format(**record)
    return sentence[0].upper() + sentence[1:], record, mentioned(template)


def extraction(rng: Random) -> tuple[str, str]:
    """A request for JSON, and the JSON."""
    scene = rng.choice(SCENES)
    sentence, record, names = told(rng, scene)
    row = data(record, names)
    kind = rng.random()
    if kind < 0.35:
        return plain_request(rng, scene, sentence), as_json(rng, row)
    if kind < 0.7:
        return named_request(rng, scene, sentence, row)
    if kind < 0.85:
        return schema_request(rng, sentence, row)
    return several_request(rng, scene)


def plain_request(rng: Random, scene: Scene, sentence: str) -> str:
    kind = scene.kind
    return rng.choice(
        (
            f"Extract the {kind} from: {sentence}",
            f"Extract the {kind} from this sentence: {sentence}",
            f"Extract the {kind} as JSON: {sentence}",
            f"Extract JSON from this sentence: {sentence}",
            f"Extract JSON from this text: {sentence}",
            f"Extract the information from this sentence as JSON: {sentence}",
            f"Turn this into JSON: {sentence}",
            f"{sentence}\nExtract {with_article(kind)} as JSON.",
            f"Text: {sentence}",
            f"Read the text and give the {kind} in JSON.\nText: {sentence}",
            f"Convert to JSON: {sentence}",
            f"Sentence: {sentence}",
        )
    )


def named_request(rng: Random, scene: Scene, sentence: str, row: Row) -> tuple[str, str]:
    """The request names the fields, in an order of its own; what the sentence does not say is null."""
    names = rng.sample(list(row), rng.randint(1, len(row)))
    unsaid = [name for name in scene.fields if name not in row]
    if unsaid and rng.random() < 0.15:
        names.insert(rng.randint(0, len(names)), rng.choice(unsaid))
    asked = listing(rng, names)
    request = rng.choice(
        (
            f"Extract {asked} from: {sentence}",
            f"Extract {asked} as JSON: {sentence}",
            f"Extract the {scene.kind} ({asked}) from this sentence: {sentence}",
            f"Give {asked} as JSON.\nText: {sentence}",
            f"{sentence}\nExtract {asked}.",
            f"Return JSON with the fields {asked}.\n{sentence}",
            f"Fields: {asked}\nText: {sentence}",
        )
    )
    return request, as_json(rng, {name: row.get(name) for name in names})


def listing(rng: Random, names: list[str]) -> str:
    if len(names) == 1 or rng.random() < 0.5:
        return ", ".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def schema_request(rng: Random, sentence: str, row: Row) -> tuple[str, str]:
    schema = json.dumps(schema_of(row)["properties"] if rng.random() < 0.5 else schema_of(row))
    request = rng.choice(
        (
            f"Schema: {schema}\nText: {sentence}",
            f"Extract JSON that follows this schema: {schema}\nText: {sentence}",
            f"{sentence}\nAnswer in JSON with this schema: {schema}",
        )
    )
    return request, as_json(rng, row)


def several_request(rng: Random, scene: Scene) -> tuple[str, str]:
    """Two or three sentences about different things of one kind."""
    template = rng.choice(scene.sentences)
    records = [scene.record(rng) for _ in range(rng.randint(2, 3))]
    text = " ".join(sentence[0].upper() + sentence[1:] for sentence in (template.format(**one) for one in records))
    rows = [data(record, mentioned(template)) for record in records]
    request = rng.choice((f"Extract all {scene.plural} from: {text}", f"List all {scene.plural} as JSON: {text}"))
    return request, as_json(rng, [*rows] if rng.random() < 0.7 else {scene.plural: [*rows]})


def extraction_document(rng: Random) -> str:
    request, answer = extraction(rng)
    return rng.choice(
        (
            f"{request}\nJSON: {answer}",
            f"{request}\nJSON: {answer}",
            f"{request}\nJSON:\n{answer}",
            f"{request}\nAnswer: {answer}",
            f"{request}\nOutput: {answer}",
            f"User: {request}\nAssistant: {answer}",
            f"User: {request}\nAssistant: {answer}",
        )
    )


def question(rng: Random) -> tuple[str, str]:
    """A question that the sentence before it answers."""
    scene = rng.choice(SCENES)
    sentence, record, names = told(rng, scene)
    asked = rng.choice([name for name in names if name in scene.questions] or ["kind"])
    if asked == "kind":
        return f"{sentence}\nWhat is it about?", scene.kind
    plain = scene.questions[asked].format(**record) if rng.random() < 0.7 else f"What is the {asked}?"
    return f"{sentence}\n{plain}", shown(record[asked].data)


def question_document(rng: Random) -> str:
    asked, answer = question(rng)
    text, _, query = asked.rpartition("\n")
    return rng.choice(
        (
            f"{text}\nQuestion: {query}\nAnswer: {answer}",
            f"Context: {text}\nQ: {query}\nA: {answer}",
            f"User: {text} {query}\nAssistant: {answer}",
            f"{query} {text}\nAnswer: {answer}",
        )
    )


def fields_document(rng: Random) -> str:
    """A sentence and its key: value lines, either way round."""
    scene = rng.choice(SCENES)
    sentence, record, names = told(rng, scene)
    lines = key_values(data(record, names))
    return f"{sentence}\n{lines}" if rng.random() < 0.5 else f"{lines}\nSentence: {sentence}"
