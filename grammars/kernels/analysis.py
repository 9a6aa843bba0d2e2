"""Facts about a network that need a fixpoint: which states can finish, which can finish without reading."""

from __future__ import annotations

import numpy as np

from grammars.kernels.arrays import Words
from grammars.kernels.policy import kernel
from grammars.program import (
    ACCEPT,
    AGAIN,
    CALL,
    LEX,
    LOW,
    NULLABLE,
    RETURN,
    SPLIT,
    START,
)


@kernel
def solve(ops: Words, targets: Words, rules: Words, productive: Words, nullable: Words) -> None:
    """Fill `productive` and `nullable` for all states by propagating facts backwards; sets the NULLABLE column of
    `rules`.

    `nullable[q]`: the rule of q can return from q without reading. `productive[q]`: it can return at all.
    """
    first, waiting = _predecessors(ops, targets, rules)
    for fact in range(2):
        found = nullable if fact == 0 else productive
        stack = np.empty(len(ops) + len(waiting) + 1, np.int64)
        size = 0
        for state in range(len(ops)):
            kind = ops[state, 0]
            free = kind == RETURN or kind == AGAIN or kind == ACCEPT
            if kind == CALL:
                free = _holds(ops, targets, rules, found, state, fact)
            if free:
                found[state] = 1
                stack[size] = state
                size += 1
        while size > 0:
            size -= 1
            solved = stack[size]
            for i in range(first[solved], first[solved + 1]):
                state = waiting[i]
                if found[state] == 0 and _holds(ops, targets, rules, found, state, fact):
                    found[state] = 1
                    stack[size] = state
                    size += 1
        if fact == 0:
            for rule in range(len(rules)):
                body = found[rules[rule, START]]
                rules[rule, NULLABLE] = 1 if body != 0 or rules[rule, LOW] == 0 else 0


@kernel
def _holds(ops: Words, targets: Words, rules: Words, found: Words, state: int, fact: int) -> bool:
    kind, a, b = ops[state, 0], ops[state, 1], ops[state, 2]
    if kind == LEX:
        return fact == 1 and found[b] != 0
    if kind == SPLIT:
        for i in range(a, b):
            if found[targets[i]] != 0:
                return True
        return False
    if kind == CALL:
        rule_holds = found[rules[a, START]] != 0 or rules[a, LOW] == 0
        return rule_holds and found[b] != 0
    return True


@kernel
def _predecessors(ops: Words, targets: Words, rules: Words) -> tuple[Words, Words]:
    """For each state the states whose fact may follow from its own, as runs of one array."""
    first = np.zeros(len(ops) + 2, np.int64)
    waiting = np.empty(0, np.int64)
    for turn in range(2):
        if turn == 1:
            waiting = np.empty(first[len(ops) + 1], np.int64)
        for state in range(len(ops)):
            kind, a, b = ops[state, 0], ops[state, 1], ops[state, 2]
            begin, end = (a, b) if kind == SPLIT else (0, 1 if kind == LEX else 2 if kind == CALL else 0)
            for i in range(begin, end):
                target = b
                if kind == SPLIT:
                    target = targets[i]
                elif i == 1:
                    target = rules[a, START]
                if turn == 0:
                    first[target + 2] += 1
                else:
                    waiting[first[target + 1]] = state
                    first[target + 1] += 1
        if turn == 0:
            for i in range(2, len(first)):
                first[i] += first[i - 1]
    return first, waiting


@kernel
def prune(ops: Words, targets: Words, rules: Words, productive: Words) -> None:
    """Cut what can never finish: such operations become an empty SPLIT."""
    for state in range(len(ops)):
        kind = ops[state, 0]
        if kind == SPLIT:
            end = ops[state, 1]
            for i in range(ops[state, 1], ops[state, 2]):
                if productive[targets[i]] != 0:
                    targets[end] = targets[i]
                    end += 1
            ops[state, 2] = end
        elif productive[state] == 0:
            ops[state, 0], ops[state, 1], ops[state, 2] = SPLIT, 0, 0


@kernel
def corner_calls(ops: Words, targets: Words, rules: Words) -> Words:
    """The calls reachable at the start of each rule before anything is read: rows (rule, callee, state after)."""
    seen, stack = np.zeros(len(ops), np.int64), np.empty(len(ops) + 1, np.int64)
    out = np.empty((len(ops), 3), np.int64)
    found = 0
    for rule in range(len(rules)):
        stack[0] = rules[rule, START]
        seen[stack[0]] = rule + 1
        size = 1
        while size > 0:
            size -= 1
            state = stack[size]
            kind, a, b = ops[state, 0], ops[state, 1], ops[state, 2]
            begin, end = (a, b) if kind == SPLIT else (0, 0)
            if kind == CALL:
                if found == len(out):  # two rules share a body, as those of no compiler do
                    out = np.concatenate((out, np.empty_like(out)))
                out[found, 0], out[found, 1], out[found, 2] = rule, a, b
                found += 1
                end = 1 if rules[a, NULLABLE] != 0 else 0
            for i in range(begin, end):
                target = targets[i] if kind == SPLIT else b
                if seen[target] != rule + 1:
                    seen[target] = rule + 1
                    stack[size] = target
                    size += 1
    return out[:found]
