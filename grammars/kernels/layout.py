"""How configurations are packed into words, and the one array they live in.

The parser's situation after a prefix is a *configuration*: a set of items. An item says: inside a lexeme at byte row
`row`, after the lexeme go on at state `next`, and when that rule returns, return into context `ctx`. A *context* is a
set of frames `(next, ctx)`: the places to return to; or, inside a counted repetition, the triple `(loop, count,
context of the loop)`.

Items and frames are single words, so sets are sorted runs of words, and equal sets are equal runs:

    item  = row << 41 | next << 21 | ctx          frame = next << 21 | ctx

Sets are interned: the same set gets the same number. That is what makes a state an integer, a fork a copy of an
integer and a mask computed once for every situation that looks alike.

All of it lives in one int64 array, the *store*, whose first cells say where each section begins and how much room it
has. One array rather than fifteen: numba passes an array as seven values, and a kernel that hands fifteen of them
from function to function takes a minute to compile and is slower too. Only `moves`, the transition table, stands
apart, in int32.
"""

from __future__ import annotations

CTX_BITS = 21
NEXT_BITS = 20
CTX_MASK = (1 << CTX_BITS) - 1
NEXT_MASK = (1 << NEXT_BITS) - 1
FRAME_MASK = (1 << (CTX_BITS + NEXT_BITS)) - 1
ROW_SHIFT = CTX_BITS + NEXT_BITS
MAX_ROWS = (1 << 22) - 1
POINT_ROW = MAX_ROWS  # in a seed: no item, but a lexeme that is complete

ROOT = 0  # the context that returns to acceptance
FINISHED = 0  # the configuration behind an end token

# Results of kernels that normally return a configuration
DEAD = -1
GROW = -3  # a section is full: store[NEED] says which
FILL = -4  # what a lazy row does is missing: store[LAZY_ROW], store[LAZY_CLASS], or -1 for its far count
EXHAUSTED = -5  # store[WORK] ran out
LOST = -6  # a state that no longer exists
BROAD = -7  # a walk visits many nodes: worth looking for regions
INSIDE = -8  # a region was found: see `walk.walk`

# The first cells of the store: counters
CONFIGS, CONTEXTS, USED, POINTS, ITEMS, WAITING, ACTIVE, NEED, WORK, LAZY_ROW, LAZY_CLASS, FREE, EPOCH, SEEDS = range(
    14
)

# then, for each section, the cell that holds its offset; the cell behind it holds its room, in entries of its width
(
    CONFIG,  # offset, length, flags, age
    LOOPS,  # ASCII bytes that lead back, two words; KNOWN, EXACT, ... below; first bytes of other characters that do
    FAR,  # the configuration with far counts + 1, and from how many bytes on a token can tell the difference
    CONFIG_SLOTS,  # hash table of configurations, number + 1
    CONTEXT,  # offset, length, loop, count, outer
    CONTEXT_SLOTS,
    HEAP,  # the runs of items and frames
    POINT,  # scratch: the work list of one closure
    POINT_SLOTS,
    ITEM,  # scratch: the items gathered so far
    PENDING,  # scratch: next entry + 1, member << 41 | frame
    HEADS,  # scratch, per component: first pending entry + 1
    WAKE,  # scratch: heap of components with pending entries
    LAZY_MOVES,  # per lazy row and byte class: 0 unknown, 1 dead, else row + 2
    LAZY_ACCEPTS,
    UNUSED,  # numbers of configurations that may be used again
    GENERATION,  # per configuration: how many others had its number before
    SEED,  # offset, length, configuration + 2 or 0 (see `step.advance_byte`)
    SEED_SLOTS,
    LAZY_FAR,  # per lazy row: the one with a far count + 1, and from how many bytes on a token can tell the difference
    STEP,  # ASCII bytes that lead to one configuration, two words; its number + 1; such first bytes (see `steps`)
) = range(16, 58, 2)
HEADER = 58
WIDTH = {
    CONFIG: 4,
    LOOPS: 4,
    STEP: 4,
    FAR: 2,
    CONTEXT: 5,
    PENDING: 2,
    SEED: 3,
    LAZY_FAR: 2,
}  # entries of others are one word

# Columns of CONFIG and CONTEXT
OFFSET, LENGTH, FLAGS, AGE = range(4)
LOOP, COUNT, OUTER = 2, 3, 4
FRAMES = -1  # in column LOOP of a context: it is a set of frames
KEY = -2  # in column LOOP: the key of a left-recursive component's contexts is -2 - component
ABANDONED = -(1 << 30)  # in column LOOP: such a key whose contexts were not finished

ACCEPTING = 1  # bit of FLAGS

# The third word of LOOPS, 0 if nothing is known. Not KNOWN: they do not lead back, but to the one next configuration
# whose number + 1 stands in the higher bits, or, if END, anywhere.
KNOWN, EXACT, END_OF_STEPS = 1, 2, 4
NEXT_SHIFT = 3
KIND, LEADS = 2, 3  # columns of LOOPS

# Users hold *states*: a configuration's number and above it its generation. So numbers are used again without a state
# that was dropped ever meaning something else.
CONFIG_BITS = 24
CONFIG_MASK = (1 << CONFIG_BITS) - 1

# Special counts of a repetition, used only while masks are computed (see `walk.learn_far`)
MAX_COUNT = (1 << 30) - 1
FREE_COUNT = (1 << 30) + 1  # may go on for longer than any token, may stop
LOCKED_COUNT = (1 << 30) + 2  # must go on for longer than any token
