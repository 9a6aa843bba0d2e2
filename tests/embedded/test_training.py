"""The model can be made again: the corpus is the same everywhere, and a few steps on a tiny one teach it something."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from hashlib import blake2b
from itertools import islice
from math import log
from pathlib import Path
from random import Random

import numpy as np
import pytest

from decoding.embedded import load
from decoding.embedded.corpus import SHARES, documents, extraction, reasoning
from decoding.embedded.evaluation import document_loss
from decoding.embedded.ngrams import NGrams

CORPUS = "90323ce5f81e4db61c18f901de8ae24e"


def digest(seed: int, count: int) -> str:
    return blake2b("\0".join(islice(documents(seed), count)).encode(), digest_size=16).hexdigest()


def test_the_corpus_is_the_same_on_every_machine():
    assert digest(1, 2000) == CORPUS


def test_other_seeds_give_other_texts():
    assert not {*islice(documents(1), 200)} & {text for text in islice(documents(2), 200) if len(text) > 80}


def test_every_kind_of_document_is_drawn():
    for writer, share in SHARES:
        assert share > 0
        assert writer(Random(0)).strip()


def test_what_is_to_be_extracted_stands_in_the_request():
    rng = Random(3)
    for _ in range(500):
        request, answer = extraction.extraction(rng)
        found = json.loads(answer)
        rows = found if isinstance(found, list) else [found]
        names = [row["name"] for row in rows if row.get("name")]
        assert all(name in request for name in names)


def test_sums_of_the_corpus_are_right():
    rng = Random(4)
    for _ in range(300):
        spoken, result = reasoning.sum_(rng)
        term = re.sub("plus|and", "+", spoken).replace("minus", "-").replace("times", "*")
        assert eval(term, {}) == int(result)


def test_ngrams_are_the_formula():
    rng = np.random.default_rng(0)
    train, test = rng.integers(0, 4, 60), rng.integers(0, 4, 20)
    wanted = [log(naive(train.tolist(), test[max(0, i - 2) : i].tolist(), int(test[i]), 4)) for i in range(20)]
    np.testing.assert_allclose(NGrams(train, order=3, size=4).log_probs(test), wanted)


def naive(train: list[int], history: list[int], token: int, size: int) -> float:
    """P(token | history) by Witten and Bell, word for word."""
    shorter = naive(train, history[1:], token, size) if history else 1 / size
    n = len(history)
    followers = [train[i + n] for i in range(len(train) - n) if train[i : i + n] == history]
    kinds = len(set(followers))
    return (followers.count(token) + kinds * shorter) / (len(followers) + kinds) if followers else shorter


def test_a_few_steps_on_a_tiny_model_lower_the_loss_and_can_be_repeated(tmp_path: Path):
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from decoding.embedded.train import Recipe, Stage, train

    shape = Recipe(vocabulary=320, hidden=48, feed_forward=32, layers=2, head=16, heads=2, key_value_heads=1)
    stages = (Stage(20, 4, 32, copies=2), Stage(10, 2, 64))
    tiny = replace(shape, tokenizer_documents=200, stages=stages, warm_up=3)
    reports = []
    for name in ("first", "second"):
        train(tiny, tmp_path / name, texts=5, tasks=2)
        reports.append(json.loads((tmp_path / name / "training_report.json").read_text()))
    assert reports[0] == reports[1]
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("first", "second")]
    assert weights[0] == weights[1]
    model = load(folder=tmp_path / "first")
    rows = [model.encode(text) for text in islice(documents(99), 10)]
    loss = sum(document_loss(model, row) for row in rows) / sum(len(row) + 1 for row in rows)
    assert loss < log(model.vocabulary.size) - 0.3


def test_untrained_weights_already_find_what_followed_before():
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from decoding.embedded.train import Recipe, new_model

    model = new_model(Recipe())
    model.set_attn_implementation("eager")
    half = torch.randint(3, Recipe().vocabulary, (4, 40), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        first, second = model(input_ids=torch.cat([half, half], 1), output_attentions=True).attentions[:2]
    here = torch.arange(41, 79)
    assert first[:, 0, here, here - 1].min() > 0.9
    assert second[:, 0, here, here - 39].mean() > 0.5


def test_muon_steps_along_an_orthogonal_matrix():
    torch = pytest.importorskip("torch")
    from decoding.embedded.muon import orthogonal

    for shape in ((12, 30), (30, 12)):
        values = torch.linalg.svdvals(orthogonal(torch.randn(shape, generator=torch.Generator().manual_seed(1))))
        assert 0.6 < values.min() <= values.max() < 1.3
