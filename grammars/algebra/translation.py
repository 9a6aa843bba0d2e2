"""From expression nodes to terms.

A tree is translated from its leaves upwards on an explicit stack. Both sides of an intersection and the body of a
complement become scopes: assertions inside see the text that is matched there, and nothing of what surrounds it.
"""

from __future__ import annotations

from grammars.algebra.booleans import complement, intersection, union
from grammars.algebra.byte_classes import range_mask
from grammars.algebra.scopes import closed, look_ahead, look_behind
from grammars.algebra.sequences import cat, repeat
from grammars.algebra.terms import ENDLESS, Term, Terms
from grammars.errors import UnsupportedFeature
from grammars.expression import Both, Bytes, Chars, Choice, Look, Named, Node, Not, Ranges, Repeat, Sequence, Text
from grammars.utf8 import DONE, byte_rows


def translate(terms: Terms, root: Node) -> Term:
    """The term of an expression without calls, as a language of whole texts."""
    known: dict[Node, Term] = {}
    stack: list[tuple[Node, bool]] = [(root, False)]
    while stack:
        node, ready = stack.pop()
        if node in known:
            continue
        children = node.children()
        if ready or not children:
            terms.tick(1 + len(children))
            known[node] = _term(terms, node, [known[child] for child in children])
        else:
            stack.append((node, True))
            stack.extend((child, False) for child in children)
    return closed(terms, known[root])


def _term(terms: Terms, node: Node, children: list[Term]) -> Term:
    if isinstance(node, Text):
        return terms.text(node.data)
    if isinstance(node, Bytes):
        return terms.set_of(terms.classes_of(node.mask))
    if isinstance(node, Chars):
        return _chars(terms, node.ranges)
    if isinstance(node, Sequence):
        term = terms.epsilon
        for child in reversed(children):
            term = cat(terms, child, term)
        return term
    if isinstance(node, Choice):
        return union(terms, children)
    if isinstance(node, Repeat):
        return repeat(terms, children[0], node.low, ENDLESS if node.high is None else node.high)
    return _boolean(terms, node, children)


def _boolean(terms: Terms, node: Node, children: list[Term]) -> Term:
    if isinstance(node, Both):
        return intersection(terms, [closed(terms, child) for child in children])
    if isinstance(node, Not):
        return complement(terms, closed(terms, children[0]))
    if isinstance(node, Look):
        look = look_ahead if node.ahead else look_behind
        return look(terms, children[0], node.negative)
    if isinstance(node, Named):
        return children[0]
    raise UnsupportedFeature(
        f"{type(node).__name__} stands inside a regular expression",
        hint="intersection, complement and assertions work on regular expressions only",
    )


def _chars(terms: Terms, ranges: Ranges) -> Term:
    key = ("chars", ranges)
    known = terms.memo.get(key)
    if known is None:
        rows = byte_rows(ranges)
        terms.tick(len(rows))
        known = terms.memo[key] = _row(terms, rows, 0)
    return known


def _row(terms: Terms, rows: tuple[tuple[tuple[int, int, int], ...], ...], number: int) -> Term:
    """The term of one row; a code point has four bytes, so the depth is at most four."""
    masks: dict[int, int] = {}
    for low, high, target in rows[number]:
        masks[target] = masks.get(target, 0) | range_mask(low, high)
    cases: list[tuple[int, Term]] = []
    for target, mask in masks.items():
        after = terms.epsilon if target == DONE else _row(terms, rows, target)
        cases.append((terms.classes_of(mask), after))
    return terms.switch(cases)
