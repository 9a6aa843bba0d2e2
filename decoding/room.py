"""The room behind a prompt: models were made for so many positions, and what lies beyond them is noise or an error."""

from __future__ import annotations

from grammars import BudgetExhausted


def room_behind(prompt: int, positions: int | None, wanted: int) -> int:
    """How many tokens there may be behind a prompt of so many; raises `BudgetExhausted` if there is no place.

    >>> room_behind(1000, 1024, 256)
    24
    """
    room = wanted if positions is None else min(wanted, positions - prompt)
    if room < min(wanted, 1):
        raise BudgetExhausted(
            f"the prompt has {prompt} tokens, and the model was made for {positions}: there is no room behind it",
            hint="shorten the prompt",
        )
    return room
