r"""Lark's grammar language, read without a lexer.

Ambiguity is no obstacle, priorities decide nothing, and ignored terminals may stand between any two terminals of the
rules, before the first and after the last, any number of times.

A terminal matches a text if Python's `re.match`, given that text alone, takes all of it: `/".*?"/` is a string without
quotes inside, because the lazy match of `"a"b"` ends at the second quote. That is what Lark's Earley parser with
`lexer="dynamic_complete"` accepts. Two differences remain, both on the side of the grammar as written: assertions see
the text of their terminal only, and ignored text need not be the longest stretch that could be ignored.

>>> start, rules = read_lark('start: "(" start ")" | NAME\nNAME: /[a-z]+/')
>>> start.rule, sorted(rules)
('start', ['NAME', 'start'])
"""

from __future__ import annotations

from grammars.expression import Node
from grammars.lark_front.definitions import load
from grammars.lark_front.rules import Translation
from grammars.lark_front.source import read_source
from grammars.limits import Budget, Limits

_DEFAULT_LIMITS = Limits()


def read_lark(text: str, start: str = "start", *, limits: Limits = _DEFAULT_LIMITS) -> tuple[Node, dict[str, Node]]:
    """The start expression and the rules of a Lark grammar.

    >>> read_lark('start: "a"*')[1]["start"].low
    0
    """
    budget = Budget("compile_work", limits.compile_work)
    module = load(read_source(text, limits, budget))
    translation = Translation(module, limits, budget)
    return translation.run(module.start(start)), translation.rules
