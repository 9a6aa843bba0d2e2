"""Numbers while they are read: digits without zeros at their ends, and how far the point has moved.

>>> numeral = START
>>> for byte in b"-1200.50e1":
...     numeral = numeral.read(byte)
>>> numeral.value().parts
(True, b'12005', 0)
"""

from __future__ import annotations

from typing import NamedTuple

from grammars.schema.registers.values import Value, number

BYTES = frozenset(b"+-.0123456789eE")
_MOST_ZEROS_APART = 64


class Numeral(NamedTuple):
    """The part of a number that was read."""

    negative: bool = False
    digits: bytes = b""  # without zeros at either end
    zeros: int = 0  # zeros behind them that were read
    shift: int = 0  # how many digits were read behind the point
    stage: str = ""  # "": before the point, ".": behind it, "e": in the exponent
    smaller: bool = False  # whether the exponent is negative
    exponent: int = 0

    def read(self, byte: int) -> Numeral:
        """The number with one more byte."""
        if byte == 0x2D:
            return self._replace(smaller=True) if self.stage == "e" else self._replace(negative=True)
        if byte == 0x2E:
            return self._replace(stage=".")
        if byte in b"eE":
            return self._replace(stage="e")
        return self if byte == 0x2B else self._digit(byte - 0x30)

    def _digit(self, digit: int) -> Numeral:
        if self.stage == "e":
            return self._replace(exponent=self.exponent * 10 + digit)
        shift = self.shift + (self.stage == ".")
        if digit == 0:
            return self._replace(zeros=self.zeros + bool(self.digits), shift=shift)
        return self._replace(digits=self.digits + b"0" * self.zeros + b"%d" % digit, zeros=0, shift=shift)

    def value(self) -> Value:
        """The number if it ends here."""
        exponent = -self.exponent if self.smaller else self.exponent
        return number(self.negative, self.digits, self.zeros - self.shift + exponent)

    def could_be(self, value: Value) -> bool:
        """Whether more bytes could make it this number; yes in case of doubt."""
        negative, digits, _ = value.parts
        if not digits:
            return not self.digits
        if self.digits and negative != self.negative:
            return False
        if self.stage == "e":
            return self.digits == digits
        return digits == self.digits or digits.startswith(self.digits + b"0" * self.zeros)

    def blurred(self) -> Numeral:
        """The same for all that could follow, unless a used number has very many digits: long runs of zeros are all
        alike."""
        if not self.digits:
            return Numeral(self.negative, stage=self.stage)
        excess = max(0, self.zeros - _MOST_ZEROS_APART)
        return self._replace(zeros=self.zeros - excess, shift=self.shift - excess) if self.stage == "." else self


START = Numeral()
