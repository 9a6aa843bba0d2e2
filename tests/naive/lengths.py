"""Least numbers of bytes, state by state in plain Python: the equations as they stand, iterated so many times."""

from __future__ import annotations

from grammars.program import CALL, LEX, LOW, NOT_A_LOOP, SPLIT, START, Program

STEPS, LONG = 16, 1 << 16


def lexemes(program: Program) -> list[int]:
    """Of each row: no byte, or one and what the nearest row behind it still needs."""
    least = [0] * len(program.row_accepts)
    for _ in range(STEPS):
        before = least
        least = []
        for row in range(len(before)):
            targets = program.edges[program.row_edge[row] : program.row_edge[row + 1], 2].tolist()
            least.append(min((1 + (0 if program.row_accepts[t] else before[t]) for t in targets), default=0))
    return least


def copies(program: Program) -> list[int]:
    """Of each rule: what its body takes, at least one byte."""
    rows, ops, rules = lexemes(program), program.ops.tolist(), program.rules.tolist()
    least = [0] * len(ops)
    for _ in range(STEPS):
        before = least

        def of(kind: int, a: int, b: int, before: list[int] = before) -> int:
            if kind == LEX:
                return (rows[a] if a < len(rows) else 1) + before[b]
            if kind == CALL:
                times = 1 if rules[a][LOW] == NOT_A_LOOP else min(rules[a][LOW], LONG)
                return times * before[rules[a][START]] + before[b]
            return min((before[t] for t in program.targets[a:b].tolist()), default=0) if kind == SPLIT else 0

        least = [min(of(*op), LONG) for op in ops]
    return [max(least[rule[START]], 1) for rule in rules]
