r"""Rollouts: what a policy wrote under a constraint, and everything a gradient needs to know about it.

`collect` runs any sampler of `samplers` on many prompts side by side: each prompt may have a constraint of its own, all
of them share every forward pass. Per token it records log π, log Z_t (the mass that the mask left) and the state of the
constraint, so log q = log π − log Z_t, and masks can be replayed; per text the weight, as `samplers.samples` defines
it, and how it finished. Texts that ran out of tokens stay, marked and without weight.

Log-probabilities are those of the engine as it wrote, token by token. A pass over whole texts says the same but for
rounding, another engine but for more; `scoring.rescored` has what training itself says, for ratios that start at 1.

>>> from decoding.engine import Engine
>>> from grammars import choice, regex
>>> engine = Engine.load()
>>> sums, words = "User: What is 2 + 2?\nAssistant:", "User: Is ice cold?\nAssistant:"
>>> found = collect(engine, [sums, words], [regex(" [0-9]"), choice([" yes", " no"])], n=3, max_tokens=8, seed=0)
>>> [(len(group.rows), group.rows[0].finish) for group in found.groups]
[(3, 'end'), (3, 'end')]
>>> row = found.groups[1].rows[0]
>>> bool(np.isclose(row.log_mass.sum(), row.log_weight)), row.text in (b" yes", b" no")
(True, True)
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decoding.engine import Engine
from decoding.rl.errors import NothingToLearn
from decoding.rl.free import Free
from decoding.rl.incidents import Incidents
from decoding.rl.joint import joint
from decoding.rl.lockstep import run_together
from decoding.rl.record import Drawn
from decoding.rl.replay import Walk, replayed
from grammars import RequestError
from grammars.errors import BudgetExhausted, SamplingError
from samplers import Masking, Problem, Samples
from samplers.log_space import effective_size
from samplers.protocols import Constraint, Sampler
from samplers.samples import END

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Rollout:
    """One text. Arrays have an entry for each token of `ids`, the end included if the text ended."""

    prompt: tuple[int, ...]
    """The ids of the prompt."""
    ids: Ints
    text: bytes
    finish: str
    """"end", "length" or "dead", as in `samplers`."""
    log_policy: Floats
    """log π of each token: the model's own."""
    log_mass: Floats
    """log Z_t: the mass of what the mask allowed."""
    log_weight: float
    """The weight of the text as a draw; -inf if it did not end."""
    constraint: Constraint
    max_tokens: int
    masks: NDArray[np.uint32] | None = None
    """The masks themselves, where they are no function of the states."""
    drift: float = 0.0
    """log of what the masked policy in training gives to the text over what the one that drew it did; see `scoring`."""

    @property
    def log_masked(self) -> Floats:
        """log q of each token: under the mask."""
        return self.log_policy - self.log_mass

    @property
    def finished(self) -> bool:
        """Whether it is a complete text."""
        return self.finish == END

    def walk(self) -> Walk:
        """The states and masks that it passed."""
        walk = replayed(self.constraint, self.ids, self.max_tokens)
        return walk if self.masks is None else Walk(walk.states, self.masks, walk.pin, walk.end_row)

    @property
    def states(self) -> Ints:
        """The state of the constraint before each token."""
        return self.walk().states


@dataclass(frozen=True, eq=False)
class Group:
    """All rollouts of one prompt."""

    prompt: str
    rows: tuple[Rollout, ...]
    samples: Samples | None
    """As the sampler returned them; None if it could not."""
    error: SamplingError | None = None

    @property
    def log_weights(self) -> Floats:
        """Those of the rows."""
        return np.array([row.log_weight for row in self.rows])

    @property
    def log_mass(self) -> float:
        """The estimate of log Z, how much of itself the policy gives to the language; -inf if there is none."""
        return float(self.samples.log_z) if self.samples is not None else -np.inf


@dataclass(frozen=True, eq=False)
class Rollouts:
    """Groups in the order of the prompts, what was left out, and how long it took."""

    groups: tuple[Group, ...]
    incidents: Incidents
    seconds: float = 0.0

    @property
    def rows(self) -> list[Rollout]:
        """All rows of all groups."""
        return [row for group in self.groups for row in group.rows]

    @property
    def tokens(self) -> int:
        """How many tokens were written, ends included."""
        return sum(len(row.ids) for row in self.rows)

    def figures(self) -> dict[str, float]:
        """What a metrics file wants to know.

        >>> Rollouts((), Incidents()).figures()["rollouts"]
        0
        """
        rows = self.rows
        finished = [row.finished for row in rows]
        sizes = [effective_size(group.log_weights) / len(group.rows) for group in self.groups if group.rows]
        lengths = [len(row.ids) for row in rows]
        return {
            "rollouts": len(rows),
            "valid": _mean(finished),
            "legal_mass": _mean([np.exp(min(group.log_mass, 0.0)) for group in self.groups if group.rows]),
            "ess": _mean(sizes),
            "length": _mean(lengths),
            "entropy": -_mean([row.log_masked.mean() for row in rows if len(row.ids)]),
            "tokens_per_second": self.tokens / self.seconds if self.seconds > 0 else 0.0,
        }


def _mean(values: Sequence[Any]) -> float:
    return float(np.mean(values)) if len(values) else 0.0


def collect(
    engine: Engine,
    prompts: Sequence[str],
    constraint: Any = None,
    sampler: Sampler | None = None,
    *,
    n: int = 8,
    max_tokens: int = 256,
    seed: int | np.random.SeedSequence | None = None,
    potentials: Sequence[Any] = (),
    incidents: Incidents | None = None,
) -> Rollouts:
    """`n` rollouts for each prompt.

    `constraint`: a grammar, a compiled one or any constraint of `samplers`; a sequence of them, one for each prompt;
    None for none at all. A prompt that cannot be answered is an incident, and its group is empty; if none can,
    `NothingToLearn` is raised.
    """
    if isinstance(prompts, str) or not len(prompts):
        raise RequestError("rollouts need a sequence of prompts, and at least one")
    if n < 1:
        raise RequestError(f"a group needs at least one rollout, not {n}")
    begun = time.perf_counter()
    noted = Incidents() if incidents is None else incidents
    posed = [
        _posed(engine, prompt, constraint=one, max_tokens=max_tokens, potentials=potentials)
        for prompt, one in zip(prompts, _for_each(constraint, len(prompts), engine), strict=True)
    ]
    drawn = _drawn(posed, sampler or Masking(), n, seed, noted)
    groups = tuple(_group(*each, noted) for each in zip(prompts, posed, drawn, strict=True))
    if not any(group.rows for group in groups):
        raise NothingToLearn(f"no prompt could be answered: {noted.told()}", hint=_reason(groups))
    return Rollouts(groups, noted, time.perf_counter() - begun)


def _for_each(constraint: Any, prompts: int, engine: Engine) -> list[Any]:
    if constraint is None:
        return [Free(engine.vocabulary)] * prompts
    if not isinstance(constraint, list | tuple):
        return [constraint] * prompts
    if len(constraint) != prompts:
        raise RequestError(
            f"there are {len(constraint)} constraints for {prompts} prompts", hint="give one, or one for each prompt"
        )
    return [Free(engine.vocabulary) if one is None else one for one in constraint]


def _posed(engine: Engine, prompt: str, **options: Any) -> Problem | None:
    """None where there is no room behind the prompt."""
    try:
        problem = engine.problem(prompt, **options)
    except BudgetExhausted:
        return None
    return None if _is_too_long(problem) else problem


def _drawn(
    posed: Sequence[Problem | None], sampler: Sampler, n: int, seed: Any, incidents: Incidents
) -> list[Drawn | SamplingError | None]:
    """What the sampler did for each problem; None for those whose prompt is too long."""
    fitting = {i: problem for i, problem in enumerate(posed) if problem is not None}
    incidents.note("prompt_too_long", len(posed) - len(fitting))
    seeds = (seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)).spawn(len(posed))
    generators = [np.random.default_rng(seeds[i]) for i in fitting]
    problems = list(fitting.values())
    found = run_together(problems, sampler, n, generators, joint([problem.model for problem in problems]))
    out: list[Drawn | SamplingError | None] = [None] * len(posed)
    for i, drawn in zip(fitting, found, strict=True):
        out[i] = drawn
    return out


def _is_too_long(problem: Problem) -> bool:
    room, prompt = context_limit(problem.model), getattr(problem.model, "prompt", ())
    return room is not None and len(prompt) + problem.max_tokens + 1 > room


def context_limit(model: Any) -> int | None:
    """How many positions a model has, if it says so.

    >>> from decoding.embedded import load
    >>> context_limit(load())
    1024
    """
    if hasattr(model, "llm"):
        return int(model.llm.llm_engine.model_config.max_model_len)
    config = getattr(getattr(model, "model", model), "config", None)
    found = getattr(config, "max_position_embeddings", None)
    if found is None and type(model).__name__ == "EmbeddedModel":
        from decoding.embedded.train import Recipe

        found = Recipe().positions
    return None if found is None else int(found)


def _group(prompt: str, problem: Problem | None, drawn: Drawn | SamplingError | None, incidents: Incidents) -> Group:
    if problem is None or drawn is None:
        return Group(prompt, (), None, None)
    if not isinstance(drawn, Drawn):
        incidents.note("unfinishable")
        return Group(prompt, (), None, drawn)
    rows = tuple(_rows(problem, drawn))
    incidents.note("unfinished", sum(not row.finished for row in rows))
    return Group(prompt, rows, drawn.samples)


def _rows(problem: Problem, drawn: Drawn) -> Iterator[Rollout]:
    ids_of_prompt = tuple(getattr(problem.model, "prompt", ()))
    kept: dict[bytes, tuple[NDArray[np.uint32], float]] | None = drawn.samples.notes.get("masks")
    for draw, (log_policy, log_mass) in zip(drawn.samples, drawn.logs, strict=True):
        ids = np.append(draw.tokens, problem.vocabulary.eos[0]) if draw.finish == END else draw.tokens
        masks = None
        if kept is not None:
            passed = [kept[draw.tokens[:t].tobytes()] for t in range(len(ids))]
            masks, log_mass = np.stack([mask for mask, _ in passed]), np.array([mass for _, mass in passed])
        yield Rollout(
            prompt=ids_of_prompt,
            ids=ids,
            text=draw.text,
            finish=draw.finish,
            log_policy=log_policy,
            log_mass=log_mass,
            log_weight=draw.log_weight,
            constraint=problem.constraint,
            max_tokens=problem.max_tokens,
            masks=masks,
        )


def _reason(groups: Sequence[Group]) -> str:
    errors = [str(group.error) for group in groups if group.error is not None]
    return errors[0] if errors else "shorten the prompts, or give fewer tokens to answers"
