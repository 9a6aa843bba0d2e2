"""What went wrong with single rollouts and was left out, by name and number.

Training goes on where a prompt is too long or a reward is NaN, but never silently: everything that is skipped is
counted under one of these names. A step to which nothing is left is not taken; a run to which nothing is left is
refused (`Drought`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from decoding.rl.errors import NothingToLearn, TrainingError

NAMES: Final[Mapping[str, str]] = {
    "prompt_too_long": "prompts that leave no room for an answer in the model's context",
    "unfinishable": "prompts to which no text of the constraint fits into the token budget, or has any probability",
    "unfinished": "rollouts that ran out of tokens, or could not go on; they carry weight 0",
    "weightless": "groups in which no rollout has weight",
    "bad_reward": "rewards that are NaN, infinite or missing; their rollouts are left out",
    "rewardless": "groups in which fewer than two rollouts have a reward and weight",
    "non_finite": "steps that were not taken, since loss or gradient was not finite",
}


class Incidents(Counter[str]):
    """How often each of `NAMES` happened.

    >>> incidents = Incidents()
    >>> incidents.note("bad_reward", 2)
    >>> dict(incidents), incidents.told()
    ({'bad_reward': 2}, 'bad_reward 2')
    """

    def note(self, name: str, times: int = 1) -> None:
        """Count `times` more of something that has a name."""
        if name not in NAMES:
            raise TrainingError(f"there is no incident {name!r}", hint=f"there are {', '.join(NAMES)}")
        if times:
            self[name] += times

    def told(self) -> str:
        """In one line."""
        return ", ".join(f"{name} {self[name]}" for name in NAMES if self[name])


_PATIENCE = 64


class Drought:
    """Prompts in a row that could not be answered: a step without any is no reason to stop, a run is.

    >>> drought = Drought(prompts=3)
    >>> drought.goes_on(["a", "b"], NothingToLearn("none fits"))
    >>> drought.goes_on(["b", "c"], NothingToLearn("none fits"))
    Traceback (most recent call last):
    decoding.rl.errors.NothingToLearn: of 3 prompts in a row not one could be answered: none fits
    """

    def __init__(self, prompts: int):
        self._most = min(prompts, _PATIENCE)
        self._failed: set[str] = set()

    def goes_on(self, prompts: Sequence[str], error: NothingToLearn) -> None:
        """These have failed, too. Raise `NothingToLearn` if it has gone on for too long."""
        self._failed.update(prompts)
        if len(self._failed) >= self._most:
            raise NothingToLearn(
                f"of {len(self._failed)} prompts in a row not one could be answered: {error.message}", hint=error.hint
            ) from error

    def ends(self) -> None:
        """Some prompt was answered."""
        self._failed.clear()
