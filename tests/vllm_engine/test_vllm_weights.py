"""What the processor records is right, so weights are, and with them every estimate that rests on vLLM's draws."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("vllm.sampling_params", reason="vLLM is not installed", exc_type=ImportError)

from engines import ASKED

from decoding.embedded.model import EmbeddedModel
from decoding.vllm import VLLMModel, batches, engine, particles, weighted
from decoding.vllm.batches import Job, finished, product
from grammars import RequestError, regex
from samplers import BTW, CARS, SMC, AdaptiveRejection, ASAp, Masking, Problem, Rejection, enumerate_texts, sample
from samplers.contracts import check_model

PATTERN = "[0-9]{1,2}|[a-c]{2,3}|no"
MOST = 3
ALPHA = 5.0  # standard errors: one in two million


@pytest.fixture(scope="module")
def exact(own_model: EmbeddedModel) -> Any:
    """Every text of PATTERN within the budget, and its mass."""
    return enumerate_texts(Problem(own_model, regex(PATTERN), max_tokens=MOST))


def test_log_z_of_each_step_is_that_of_a_recomputation(llm: Any, own_model: EmbeddedModel):
    pattern = '\\{"n": [0-9]{1,3}\\}|[a-z]{1,5}'
    automaton = regex(pattern).compile(own_model.vocabulary)
    (drawn,) = weighted(llm, [ASKED], n=12, seed=2, max_tokens=12, regex=pattern)
    assert set(drawn.finish) == {"end"}
    for row in drawn:
        log_weight, log_prob, state = 0.0, 0.0, automaton.start
        tokens = row.tokens.tolist()
        own = own_model.log_probs([tokens[:i] for i in range(len(tokens) + 1)])
        for token, log_probs in zip([*tokens, own_model.vocabulary.eos[0]], own, strict=True):
            allowed = np.unpackbits(automaton.mask(state).view(np.uint8), bitorder="little")[: len(log_probs)]
            log_weight += math.log(np.exp(log_probs)[allowed.astype(bool)].sum())
            log_prob += log_probs[token]
            state = automaton.advance(state, token)
        assert row.log_weight == pytest.approx(log_weight, abs=1e-4)
        assert row.log_prob == pytest.approx(log_prob, abs=1e-4)
        assert row.log_proposal == pytest.approx(log_prob - log_weight, abs=2e-4)


def assert_unbiased(estimates: np.ndarray, exact: float) -> None:
    error = max(float(estimates.std(ddof=1)) / math.sqrt(len(estimates)), 1e-4 * exact)
    assert abs(estimates.mean() - exact) < ALPHA * error, (estimates.mean(), exact, error)


def test_the_mean_weight_is_the_mass_of_the_form(llm: Any, exact: Any):
    (drawn,) = weighted(llm, [ASKED], n=1500, seed=4, max_tokens=MOST, regex=PATTERN)
    assert len(set(np.round(drawn.log_weights, 3))) > 3  # not a constant
    assert_unbiased(np.exp(drawn.log_weights), math.exp(exact.log_z))
    probabilities = exact.probabilities()
    for tokens in sorted(probabilities, key=probabilities.__getitem__)[-3:]:
        hits = np.array([tokens == tuple(others.tolist()) for others in drawn.tokens])
        assert hits.sum() > 30
        assert_unbiased(np.exp(drawn.log_weights) * hits, math.exp(exact.log_z) * probabilities[tokens])


@pytest.mark.parametrize(("stride", "ess"), [(1, 1.0), (2, 0.9), (7, 0.5)])
def test_the_log_z_of_particles_is_unbiased(llm: Any, exact: Any, stride: int, ess: float):
    runs = [
        particles(llm, ASKED, n=6, stride=stride, ess=ess, max_tokens=MOST, seed=seed, regex=PATTERN)
        for seed in range(60)
    ]
    assert_unbiased(np.exp([run.log_z for run in runs]), math.exp(exact.log_z))


def test_texts_that_the_budget_cuts_have_no_weight(llm: Any):
    (cut,) = weighted(llm, [ASKED], n=3, seed=0, max_tokens=2, regex="[a-z]{40}")
    assert cut.finish == ("length",) * 3
    assert cut.log_z == -math.inf
    assert particles(llm, ASKED, n=3, seed=0, max_tokens=2, regex="[a-z]{40}").log_z == -math.inf


@pytest.mark.parametrize(
    "sampler",
    [Masking(), SMC(8), AdaptiveRejection(), Rejection(), CARS(), ASAp(), BTW()],
    ids=lambda s: type(s).__name__,
)
def test_every_sampler_draws_through_vllm_what_it_draws_from_the_model_itself(
    llm: Any, own_model: EmbeddedModel, sampler: Any
):
    """The same seed makes the same texts: nothing but the arithmetic of the model is between the two."""
    language = regex(PATTERN)
    through = sample(Problem(VLLMModel(llm, own_model.prompt), language, max_tokens=MOST), sampler, n=6, seed=11)
    direct = sample(Problem(own_model, language, max_tokens=MOST), sampler, n=6, seed=11)
    assert through.text == direct.text
    np.testing.assert_allclose(through.log_weights, direct.log_weights, atol=1e-3)
    assert through.log_z == pytest.approx(direct.log_z, abs=1e-3)


def test_the_model_keeps_the_contract_of_models(llm: Any, own_model: EmbeddedModel):
    check_model(VLLMModel(llm, own_model.prompt))


def test_the_front_door_stands_over_vllm(llm: Any):
    answer = engine(llm).generate(ASKED, schema={"enum": [4, 5]}, sampler=SMC(8), seed=0)
    assert answer.value in (4, 5)


class TestBatches:
    def jobs(self) -> list[Job]:
        forms = [{"regex": "[0-9]{1,3}"}, {"choice": ["yes", "no"]}, {"regex": "(a"}]
        return list(product([ASKED, "User: Is water wet?\nAssistant: "], forms, n=2, max_tokens=8))

    def test_every_prompt_is_answered_under_every_constraint(self, llm: Any, tmp_path: Path):
        file = tmp_path / "answers.jsonl"
        assert batches.run(llm, self.jobs(), file, at_once=3) == 12
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        assert {line["job"] for line in lines} == {job.name for job in self.jobs()} == finished(file)
        for line in lines:
            if line["constraint"] == {"regex": "(a"}:
                assert "unclosed" in line["error"]
            else:
                assert line["finish"] == "end"
                assert line["text"].isdigit() or line["text"] in ("yes", "no")
                assert line["log_prob"] < 0.0 >= line["log_weight"]

    def test_a_run_that_was_killed_is_taken_up_where_it_was(
        self, llm: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        file = tmp_path / "answers.jsonl"
        written: list[int] = []

        def killed_at_the_fifth(number: int) -> None:
            written.append(number)
            if len(written) == 5:
                raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr("os.fsync", killed_at_the_fifth)
            with pytest.raises(KeyboardInterrupt):
                batches.run(llm, self.jobs(), file, at_once=4)
        assert not llm.llm_engine.has_unfinished_requests()
        before = file.read_text()
        file.write_text(before + before.splitlines()[0][:20])  # a line that was cut
        assert batches.run(llm, self.jobs(), file) == 12 - 5
        assert file.read_text().startswith(before)
        assert len(finished(file)) == 12
        assert batches.run(llm, self.jobs(), file, progress=True) == 0

    def test_draws_can_be_repeated(self, llm: Any, tmp_path: Path):
        for name in ("one", "two"):
            batches.run(llm, self.jobs(), tmp_path / name)
        one, two = (sorted((tmp_path / name).read_text().splitlines()) for name in ("one", "two"))
        assert [json.loads(line).get("text") for line in one] == [json.loads(line).get("text") for line in two]

    def test_a_file_of_something_else_is_left_alone(self, llm: Any, tmp_path: Path):
        file = tmp_path / "notes.txt"
        file.write_text("dear diary\n")
        with pytest.raises(RequestError, match="another file"):
            batches.run(llm, self.jobs(), file)
        assert file.read_text() == "dear diary\n"
