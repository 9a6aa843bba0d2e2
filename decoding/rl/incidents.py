"""What went wrong with single rollouts and was left out, by name and number.

Training goes on where a prompt is too long or a reward is NaN, but never silently: everything that is skipped is
counted under one of these names, and a run in which nothing is left is refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

from decoding.rl.errors import TrainingError

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
