"""The longest-match reading (being written)."""

from __future__ import annotations

from grammars.errors import UnsupportedFeature
from grammars.expression import Node
from grammars.limits import Limits


def read_longest(text: str, start: str = "start", *, limits: Limits = Limits()) -> tuple[Node, dict[str, Node]]:  # noqa: B008
    raise UnsupportedFeature("lexing='longest' is not available yet")
