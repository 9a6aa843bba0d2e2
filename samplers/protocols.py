"""What the parts of this layer expect of each other: four protocols, nothing to inherit from.

| protocol | is | made by |
|---|---|---|
| `Constraint` | a language over tokens | `Grammar.compile`, `predicate`, `length`, a class of yours |
| `Potential` | a score on text, hard or soft | `potentials`, a class of yours |
| `LanguageModel` | log-probabilities of the next token | `models`, `decoding`, a class of yours |
| `Sampler` | an algorithm: options, `init`, `step` and `finish` | the modules of this package |

`samplers.contracts` checks whether an object does what its protocol says, not only whether it has the methods.

**The loop.** `samplers.driver.sample` calls `init` once. A state says in `contexts` for which prefixes it needs
log-probabilities; the driver asks the model (each distinct prefix once), hands the rows to `step`, and so on until a
state needs nothing more. Then `finish` makes the `Samples`. States are values: `step` returns a new one and leaves the
old one as it was.

A state is an integer for a constraint, too: `start`, then `advance_many`; -1 is dead and stays dead. The mask of a
state holds every token after which the text can still be completed (a mask may hold more than that, never less: every
sampler stays right, with weight 0 for what cannot be completed), and the end tokens if and only if the text is
complete.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from grammars.vocabulary import Vocabulary

if TYPE_CHECKING:
    from samplers.problem import Problem
    from samplers.samples import Samples
    from samplers.tape import Source

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.uint32]
Contexts = Sequence[Ints]

DEAD = -1
NO_TOKENS: Ints = np.zeros(0, np.int64)
NO_TOKENS.flags.writeable = False


@runtime_checkable
class Constraint(Protocol):
    """A language over the tokens of a vocabulary. `TokenAutomaton` is one."""

    vocabulary: Vocabulary
    start: int

    def advance_many(self, states: ArrayLike, tokens: ArrayLike) -> Ints:
        """The states after one token each; -1 where the token is not allowed."""
        ...

    def fill_masks(self, states: ArrayLike, out: Mask) -> None:
        """Write the mask of each state to a row of `out`, uint32 of shape (n, vocabulary.words)."""
        ...

    def allows(self, state: int, token: int) -> bool:
        """Whether one token may follow."""
        ...

    def accepts(self, state: int) -> bool:
        """Whether the text so far is complete."""
        ...


@runtime_checkable
class Potential(Protocol):
    """A score ψ on text: the target is proportional to P(x)·1[x ∈ L]·ψ(x).

    `log_complete` is log ψ of finished texts. `log_prefix` guides the way there: any value may stand for a text that
    is not finished, but -inf promises that no completion has ψ > 0. Contexts are arrays of tokens.
    """

    def log_prefix(self, contexts: Contexts) -> Floats: ...

    def log_complete(self, contexts: Contexts) -> Floats: ...


@runtime_checkable
class LanguageModel(Protocol):
    """Log-probabilities of the next token.

    `contexts` are the tokens generated so far: the model knows its prompt. Rows are normalised. `parents[i]` is the
    row of the previous call that context i extends by one token, or -1: a model may reuse its keys and values.
    """

    @property
    def vocabulary(self) -> Vocabulary: ...

    def log_probs(self, contexts: Contexts, parents: Ints | None = None) -> Floats: ...


class State(Protocol):
    """What a sampler carries from step to step."""

    @property
    def contexts(self) -> Contexts:
        """The prefixes for which the next step needs log-probabilities, each once; none when all is done."""
        ...

    @property
    def demand(self) -> int:
        """How many sequences wait for them: the logical calls that the contexts stand for."""
        ...


@dataclass(frozen=True, slots=True)
class Info:
    """What one step tells about itself, for diagnostics and pictures; a row for each particle.

    `log_mass` is the log of the allowed mass that each saw (its estimate, if the sampler does not make masks), NaN for
    those that did not move; `ancestors` says whom each descends from if the step resampled.
    """

    log_mass: Floats
    ess: float = float("nan")
    ancestors: Ints | None = None
    notes: dict[str, Any] = field(default_factory=dict[str, Any])


@runtime_checkable
class Sampler(Protocol):
    """An algorithm. Its class attribute `law` says what its rows are: "exact", "weighted" (properly weighted) or
    "approximate"."""

    def init(self, problem: Problem, n: int, rng: Source) -> Any: ...

    def step(self, problem: Problem, state: Any, log_probs: Floats, rng: Source) -> tuple[Any, Info]: ...

    def finish(self, problem: Problem, state: Any) -> Samples: ...
