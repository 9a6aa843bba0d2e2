"""Both interfaces, driven as vLLM's runners drive them: whatever happens to a batch, a row has the mask of its text."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("vllm.sampling_params", reason="vLLM is not installed", exc_type=ImportError)

import torch
from vllm.v1.sample.logits_processor import BatchUpdate, MoveDirectionality
from vllm.v1.serial_utils import run_method

from decoding.embedded import hf_directory
from decoding.hf import ConstraintProcessor as OfHuggingFace
from decoding.vllm import ConstraintProcessor, constrained
from decoding.vllm.asked import BLIND, SPECULATING, obstacle
from decoding.vllm.models import fetched
from decoding.vllm.processor import ConstraintPlugin
from decoding.vllm.tokens import vocabulary_of
from grammars import BackendUnavailable, StateError, Vocabulary, regex

PATTERNS = ("[0-9]{2,3}", "(ab|ba){1,4}", '"[a-z ]{0,5}"')


@pytest.fixture(scope="module")
def config() -> Any:
    from vllm.config import ModelConfig

    model = ModelConfig(str(hf_directory()), dtype="float32")
    return SimpleNamespace(model_config=model)


@pytest.fixture(scope="module")
def vocabulary(config: Any) -> Vocabulary:
    return vocabulary_of(config.model_config)


def params(pattern: str | None, **more: Any) -> Any:
    from vllm import SamplingParams

    return SamplingParams(extra_args=None if pattern is None else constrained(regex=pattern, **more))


def texts(vocabulary: Vocabulary, pattern: str, rng: np.random.Generator) -> list[int]:
    """The tokens of a random text of the language, the end included."""
    automaton = regex(pattern).compile(vocabulary)
    state, tokens = automaton.start, list[int]()
    while not tokens or tokens[-1] not in vocabulary.eos:
        allowed = np.flatnonzero(np.unpackbits(automaton.mask(state).view(np.uint8), bitorder="little"))
        tokens.append(int(rng.choice(allowed)))
        state = automaton.advance(state, tokens[-1])
    return tokens


def expected(vocabulary: Vocabulary, pattern: str | None, tokens: list[int], scores: torch.Tensor) -> torch.Tensor:
    """The scores after some tokens as the processor of Hugging Face masks them."""
    if pattern is None:
        return scores
    process = OfHuggingFace(regex(pattern).compile(vocabulary), prompt_length=1)
    return process(torch.tensor([[0, *tokens]]), scores[None])[0]


class TestFirst:
    def test_rows_that_come_go_and_move_keep_their_masks(self, config: Any, vocabulary: Vocabulary):
        rng = np.random.default_rng(0)
        torch.manual_seed(0)
        processor = ConstraintProcessor(config, torch.device("cpu"), False)
        batch: list[tuple[str | None, list[int], list[int]]] = []  # pattern, what will be generated, what was
        for _ in range(60):
            removed, added, moved = [], [], []
            if len(batch) == 4:  # the first one leaves, the last one takes its place
                removed, moved = [0], [(3, 0, MoveDirectionality.UNIDIRECTIONAL)]
                batch[0] = batch[3]
                del batch[3]
            elif len(batch) > 1 and rng.random() < 0.3:
                moved = [(0, 1, MoveDirectionality.SWAP)]
                batch[0], batch[1] = batch[1], batch[0]
            else:
                pattern = [*PATTERNS, None][rng.integers(4)]
                coming = [5] * 6 if pattern is None else texts(vocabulary, pattern, rng)
                batch.append((pattern, coming, []))
                added = [(len(batch) - 1, params(pattern), [0], batch[-1][2])]
            processor.update_state(BatchUpdate(len(batch), removed, added, moved))
            logits = torch.randn(len(batch), vocabulary.size)
            wanted = [expected(vocabulary, *one[::2], row) for one, row in zip(batch, logits.clone(), strict=True)]
            assert torch.equal(processor.apply(logits), torch.stack(wanted))
            for _, coming, generated in batch:
                generated += coming[len(generated) : len(generated) + 1]

    def test_a_request_that_was_preempted_goes_on_where_it_was(self, config: Any, vocabulary: Vocabulary):
        tokens = texts(vocabulary, PATTERNS[1], np.random.default_rng(1))[:2]
        processor = ConstraintProcessor(config, torch.device("cpu"), False)
        processor.update_state(BatchUpdate(1, [], [(0, params(PATTERNS[1]), [0], tokens)], []))
        logits = torch.randn(1, vocabulary.size)
        assert torch.equal(processor.apply(logits.clone())[0], expected(vocabulary, PATTERNS[1], tokens, logits[0]))

    def test_a_hidden_token_is_an_error_with_advice(self, config: Any, vocabulary: Vocabulary):
        processor = ConstraintProcessor(config, torch.device("cpu"), False)
        processor.update_state(BatchUpdate(1, [], [(0, params("a+"), [0], [-1])], []))
        with pytest.raises(StateError, match="--logits-processors"):
            processor.apply(torch.zeros(1, vocabulary.size))

    def test_the_installed_one_gives_way_to_the_named_one(self, config: Any, vocabulary: Vocabulary):
        named = SimpleNamespace(model_config=SimpleNamespace(logits_processors=["decoding.vllm:ConstraintProcessor"]))
        idle = ConstraintPlugin(named, torch.device("cpu"), False)
        update = BatchUpdate(1, [], [(0, params("a"), [0], [])], [])
        idle.update_state(update)
        assert idle.apply(torch.zeros(1, vocabulary.size)).isfinite().all()
        assert not ConstraintPlugin(named, SimpleNamespace()).add_request(0, params("a"))


class TestSecond:
    """With and without drafted tokens, of which some are rejected."""

    class Slots:
        """The table of tokens that the second runner keeps on the device."""

        def __init__(self) -> None:
            self.all_token_ids = SimpleNamespace(gpu=torch.zeros(8, 64, dtype=torch.int32))
            self.prompt_len = SimpleNamespace(np=np.zeros(8, np.int32))

    def context(self, rows: list[tuple[int, int, int, int]]) -> Any:
        slots, places, positions, tokens = (torch.tensor(column) for column in zip(*rows, strict=True))
        return SimpleNamespace(
            expanded_idx_mapping=slots, expanded_local_pos=places, pos=positions, input_ids=tokens.to(torch.int32)
        )

    @pytest.mark.parametrize("drafts", [0, 3])
    def test_each_row_has_the_mask_of_its_text(self, config: Any, vocabulary: Vocabulary, drafts: int):
        rng = np.random.default_rng(2)
        torch.manual_seed(2)
        slots = self.Slots()
        processor = ConstraintProcessor(config, slots)
        prompt = [0, 7, 9]
        requests = {4: PATTERNS[1], 2: PATTERNS[2], 5: None}
        written: dict[int, list[int]] = {slot: [] for slot in requests}
        coming = {slot: [5] * 9 if p is None else texts(vocabulary, p, rng) for slot, p in requests.items()}
        for slot, pattern in requests.items():
            slots.prompt_len.np[slot] = len(prompt)
            assert processor.add_request(slot, params(pattern)) == (pattern is not None)
        for _ in range(12):
            rows: list[tuple[int, int, int, int]] = []
            prefixes: list[tuple[str | None, list[int], bool]] = []
            taken: dict[int, int] = {}
            for slot in rng.permutation(list(requests)).tolist():
                done = written[slot]
                stored = torch.tensor(prompt + done)
                slots.all_token_ids.gpu[slot, : len(stored)] = stored.to(torch.int32)
                right = int(rng.integers(drafts + 1))
                draft = (coming[slot][len(done) :][:right] + [1500] * drafts)[:drafts]
                last = len(prompt) + len(done) - 1
                fed = [int(stored[-1]), *draft]
                rows += [(slot, place, last + place, token) for place, token in enumerate(fed)]
                fits = [draft[:i] == coming[slot][len(done) :][:i] for i in range(drafts + 1)]
                prefixes += [(requests[slot], done + draft[:i], fit) for i, fit in enumerate(fits)]
                taken[slot] = 1 + sum(fits[1:])
            logits = torch.randn(len(rows), vocabulary.size)
            out = processor.apply(logits.clone(), self.context(rows))
            for number, (pattern, tokens, fits_in) in enumerate(prefixes):
                if fits_in and len(tokens) <= 9:
                    assert torch.equal(out[number], expected(vocabulary, pattern, tokens, logits[number]))
            for slot, count in taken.items():
                written[slot] += coming[slot][len(written[slot]) :][:count]

    def test_a_slot_that_is_used_again_begins_anew(self, config: Any, vocabulary: Vocabulary):
        slots = self.Slots()
        processor = ConstraintProcessor(config, slots)
        for pattern, length in ((PATTERNS[0], 1), (PATTERNS[2], 2)):
            slots.prompt_len.np[1] = length
            processor.add_request(1, params(pattern))
            logits = torch.randn(1, vocabulary.size)
            out = processor.apply(logits.clone(), self.context([(1, 0, length - 1, 0)]))
            assert torch.equal(out[0], expected(vocabulary, pattern, [], logits[0]))


def configuration(*, speculative: object = None, is_async: bool = False, named: bool = False) -> Any:
    names = ["decoding.vllm:ConstraintProcessor"] if named else None
    return SimpleNamespace(
        speculative_config=speculative,
        scheduler_config=SimpleNamespace(async_scheduling=is_async),
        model_config=SimpleNamespace(logits_processors=names),
    )


@pytest.mark.parametrize(
    ("config", "is_second", "told"),
    [
        (configuration(), False, None),
        (configuration(is_async=True), False, BLIND),
        (configuration(is_async=True, named=True), False, None),
        (configuration(is_async=True), True, None),
        (configuration(speculative=object()), False, SPECULATING),
        (configuration(speculative=object()), True, None),
    ],
)
def test_a_configuration_that_would_not_constrain_is_known(config: Any, is_second: bool, told: str | None):
    assert obstacle(config, is_second=is_second) == told


@pytest.mark.parametrize("worker", [object(), SimpleNamespace(scansion_take=lambda names: {})], ids=["bare", "empty"])
def test_workers_that_recorded_nothing_are_told_of(worker: Any):
    llm = SimpleNamespace(collective_rpc=lambda method, args: [run_method(worker, method, args, {})])
    with pytest.raises(BackendUnavailable, match="recorded"):
        fetched(llm, ["a"])
