"""Which states belong to which rule: the one property of a network that indices in range do not give."""

from __future__ import annotations

import numpy as np

from grammars.kernels.arrays import Words
from grammars.kernels.policy import kernel
from grammars.program import AGAIN, CALL, LEX, LOW, NOT_A_LOOP, RETURN, SPLIT, START


@kernel
def stray_state(ops: Words, targets: Words, rules: Words) -> int:
    """A state that stands where it must not, or -1.

    Every rule has states of its own. A counted repetition ends in AGAIN, which reads the count from its context; any
    other rule ends in RETURN; neither runs into ACCEPT.
    """
    owner = np.full(len(ops), -1, np.int64)
    stack = np.empty(len(ops) + len(targets) + 1, np.int64)  # a state is expanded once
    for rule in range(len(rules)):
        end = RETURN if rules[rule, LOW] == NOT_A_LOOP else AGAIN
        stack[0] = rules[rule, START]
        size = 1
        while size > 0:
            size -= 1
            state = stack[size]
            kind, a, b = ops[state, 0], ops[state, 1], ops[state, 2]
            if kind in (LEX, SPLIT, CALL):
                if owner[state] == rule:
                    continue
                if owner[state] >= 0:
                    return state
                owner[state] = rule
                if kind == SPLIT:
                    for i in range(a, b):
                        stack[size] = targets[i]
                        size += 1
                else:
                    stack[size] = b
                    size += 1
            elif kind != end:
                return state
    return -1
