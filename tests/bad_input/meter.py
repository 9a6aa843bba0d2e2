"""The meter: what a case costs, counted, not timed.

Everything that takes long in scansion is charged to a budget before it is done. The meter stands beside the budgets
and adds up what is charged, in units of about 30 ns, the time of one item moved by a kernel. The sum is the same on
every machine, under every version of Python, compiled or not: time that a test may rely on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from grammars.kernels.layout import WORK
from grammars.limits import Budget
from grammars.machine import Machine

_PRICES = {"compile_work": 1000, "states": 60}  # as `Limits` says: 30 µs and 2 µs


class Meter:
    """The units of work counted so far."""

    def __init__(self) -> None:
        self._charged = 0
        self._moving: Machine | None = None

    @property
    def work(self) -> int:
        """All that was charged, with what the latest machine moved since it was granted work."""
        return self._charged + (0 if self._moving is None else _moved(self._moving))

    def charge(self, name: str, amount: int) -> None:
        """Count what a budget is charged."""
        self._charged += amount * _PRICES.get(name, 0)

    def grant(self, machine: Machine) -> None:
        """Settle what was moved under the grant before this one."""
        self._charged, self._moving = self.work, machine


def _moved(machine: Machine) -> int:
    """Items moved under the current grant; a kernel that stops for want of work has used up all of it."""
    granted = machine.limits.mask_work
    return granted - max(0, min(granted, int(machine.store[WORK])))


@contextmanager
def metered() -> Iterator[Meter]:
    """Count the work of this block."""
    meter, charge, grant = Meter(), Budget.charge, Machine.begin_work

    def counted_charge(budget: Budget, amount: int = 1) -> None:
        meter.charge(budget.name, amount)
        charge(budget, amount)

    def counted_grant(machine: Machine) -> None:
        meter.grant(machine)
        grant(machine)

    with patch.object(Budget, "charge", counted_charge), patch.object(Machine, "begin_work", counted_grant):
        yield meter
