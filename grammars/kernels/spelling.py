r"""From an automaton over characters to one over the bytes by which JSON writes them.

The automaton over characters has rows of ranges `(low, high, target)` of code points, sorted, without surrogates. Each
of its rows becomes a byte row, and between them stand the rows of a character that is half written:

* UTF-8: the lead byte says a block of 64, 4,096 or 262,144 code points, each further byte one in 64 of them;
* escapes: `\u` and four hexadecimal digits, each of which says one in 16; beyond the basic plane two such units, of
  which the first says a block of 1,024 code points; and letters, as in `\n`.

Both are trees over the code points. Where all of a block leads to one target, the rows below depend on that target
alone and are shared; so a character that matters costs a few rows, and all others together a few more. The result is
deterministic, and every row that can be reached leads to acceptance if every row over characters does.

An automaton over characters is one array, here `source`:

    rows, quoted, minimal, then for each row where its ranges begin and a last end, acceptance of each row, the ranges
"""

from __future__ import annotations

import numpy as np

from grammars.kernels.arrays import Words
from grammars.kernels.policy import kernel, part

DONE = -1  # target of an edge: the text is complete, and nothing follows

ROWS, QUOTED, MINIMAL, BEGINS = range(4)  # cells of `source`
_DEAD, _MIXED = -1, -2  # answers about a block of code points
_NOWHERE = -2  # in place of a row
_BEYOND = 0x110000
_ANYWHERE = 0x1000  # a block with room for every continuation byte

# What a row is for: the begin of a character; behind a backslash; the digits of a unit; its further digits if it began
# with D; continuation bytes; further digits; those of the first of two units; what stands between the two
_START, _ESCAPE, _UNIT, _SURROGATE, _TAIL, _HEX, _PAIR, _SECOND = range(8)
_KIND, _LEVEL, _BASE, _FROM, _TARGET = range(5)  # columns of `jobs`: all that decides the edges of a row
_MOST_EDGES, _MOST_JOBS = 160, 64  # of one row
_JOBS, _EDGES, _ROW_BEGIN, _SHARED = range(16, 20)  # cells of `found`: where digits lead, counters, the shared rows
_SLOTS = 32  # of each target

_SLASH, _UNIT_LETTER = 0x2F, 0x75
_LETTERS = ((0x22, 0x22), (_SLASH, _SLASH), (0x5C, 0x5C), (0x62, 8), (0x66, 12), (0x6E, 10), (0x72, 13), (0x74, 9))


@kernel
def spell(source: Words) -> tuple[Words, Words, Words]:
    """`row_edge`, acceptance and edges of the byte automaton; row 0 is its start.

    `quoted` puts quotation marks around the text; `minimal` escapes only what must be, and in one way.
    """
    rows, quoted = source[ROWS], source[QUOTED]
    jobs = np.empty((rows + quoted + 2 * _MOST_JOBS, 5), np.int64)
    row_edge = np.zeros(len(jobs) + 1, np.int64)
    edges = np.empty((16 * rows + 2 * _MOST_EDGES, 3), np.int64)
    found = np.zeros(_SHARED + rows * _SLOTS, np.int64)
    for row in range(rows):
        _add_row(jobs, found, _START, 0, 0, row, _MIXED)
    if quoted != 0:  # the mark is row 0, and source row 0 stands behind the others
        _add_row(jobs, found, _START, 0, 0, 0, _MIXED)
    row = 0
    while row < found[_JOBS]:
        if len(jobs) - found[_JOBS] < _MOST_JOBS:
            jobs = _longer(jobs)
            row_edge = np.concatenate((row_edge, np.zeros(len(jobs) + 1 - len(row_edge), np.int64)))
        if len(edges) - found[_EDGES] < _MOST_EDGES:
            edges = _longer(edges)
        found[_ROW_BEGIN] = found[_EDGES]
        if quoted != 0 and row == 0:
            _put(edges, found, 0x22, 0x22, rows)
        else:
            _write(source, jobs, edges, found, row)
        row += 1
        row_edge[row] = found[_EDGES]
    accepts = np.zeros(row, np.int64)
    if quoted == 0:
        accepts[:rows] = source[BEGINS + rows + 1 : BEGINS + 2 * rows + 1]
    return row_edge[: row + 1].copy(), accepts, edges[: found[_EDGES]].copy()


@part
def _longer(table: Words) -> Words:
    longer = np.empty((2 * len(table), table.shape[1]), np.int64)
    longer[: len(table)] = table
    return longer


@part
def _add_row(jobs: Words, found: Words, kind: int, level: int, base: int, row: int, target: int) -> int:
    """A new row, to be written later; its number."""
    n = found[_JOBS]
    jobs[n, _KIND], jobs[n, _LEVEL], jobs[n, _BASE], jobs[n, _FROM], jobs[n, _TARGET] = kind, level, base, row, target
    found[_JOBS] = n + 1
    return n


@part
def _put(edges: Words, found: Words, low: int, high: int, to: int) -> None:
    """An edge of the row that is being written, joined to the one before it where that is possible."""
    n = found[_EDGES]
    if n > found[_ROW_BEGIN] and edges[n - 1, 1] + 1 == low and edges[n - 1, 2] == to:
        edges[n - 1, 1] = high
        return
    edges[n, 0], edges[n, 1], edges[n, 2] = low, high, to
    found[_EDGES] = n + 1


@part
def _range_from(source: Words, row: int, low: int) -> int:
    """Where the first range stands that does not end before `low`, or -1."""
    begin, end = source[BEGINS + row], source[BEGINS + row + 1]
    ranges = BEGINS + 2 * source[ROWS] + 1
    last = end
    while begin < end:
        middle = (begin + end) >> 1
        if source[ranges + 3 * middle + 1] < low:
            begin = middle + 1
        else:
            end = middle
    return ranges + 3 * begin if begin < last else -1


@part
def _ask(source: Words, row: int, low: int, high: int) -> int:
    """The target that all code points of a block lead to, _DEAD if none leads anywhere, else _MIXED."""
    at = _range_from(source, row, low)
    if at < 0 or source[at] > high:
        return _DEAD
    return source[at + 2] if source[at] <= low and high <= source[at + 1] else _MIXED


@part
def _next(source: Words, row: int, low: int) -> int:
    """The first code point from `low` on that leads anywhere."""
    at = _range_from(source, row, low)
    return _BEYOND if at < 0 else max(low, source[at])


@part
def _ask_escaped(source: Words, row: int, low: int, high: int) -> int:
    """The same for code points that are written as numbers: with MINIMAL control characters without a letter."""
    if source[MINIMAL] == 0:
        return _ask(source, row, low, high)
    for code in range(low, min(high, 0x1F) + 1):
        if code < 8 or code == 11 or code > 13:
            answer = _ask(source, row, code, code)
            if answer >= 0:
                return answer if low == high else _MIXED
    return _DEAD


@part
def _after(source: Words, target: int) -> int:
    """The row at which a character ends that leads to `target`."""
    rows = source[ROWS]
    if source[QUOTED] != 0:
        return target if target > 0 else rows
    accepts = source[BEGINS + rows + 1 + target] != 0
    return DONE if accepts and source[BEGINS + target] == source[BEGINS + target + 1] else target


@part
def _inside(jobs: Words, found: Words, kind: int, level: int, base: int, row: int, answer: int) -> int:
    """A row for the rest of a character out of a block: shared if the block has one target, else one of its own."""
    if answer < 0:
        return _add_row(jobs, found, kind, level, base, row, _MIXED)
    slot = 4 * (kind - _TAIL) + level
    if kind == _TAIL and level > 1:  # lead bytes after which not every continuation byte may stand
        if base == 0:
            slot = 16 + level
        elif base == 0xD000 or base == 0x100000:
            slot = 20 + level
    elif kind == _SURROGATE:
        slot = 24
    place = _SHARED + answer * _SLOTS + slot
    if found[place] == 0:
        found[place] = _add_row(jobs, found, kind, level, base, row, answer) + 1
    return found[place] - 1


@part
def _write(source: Words, jobs: Words, edges: Words, found: Words, number: int) -> None:
    kind, level, base = jobs[number, _KIND], jobs[number, _LEVEL], jobs[number, _BASE]
    row, target = jobs[number, _FROM], jobs[number, _TARGET]
    if kind == _START:
        _begin(source, jobs, edges, found, row)
    elif kind == _ESCAPE:
        _escape(source, jobs, edges, found, row)
    elif kind == _UNIT or kind == _SURROGATE:
        _unit(source, jobs, edges, found, kind, row, target)
    elif kind == _SECOND and level < 3:
        byte = 0x5C if level == 0 else _UNIT_LETTER if level == 1 else 0x44
        after = _inside(jobs, found, _SECOND, level + 1, base, row, target)
        _put(edges, found, byte, byte, after)
        if level == 2:
            _put(edges, found, 0x64, 0x64, after)
    elif kind == _TAIL:
        _tail(source, jobs, edges, found, level, base, row, target)
    else:
        _digits(source, jobs, edges, found, kind, level, base, row, target)


@part
def _begin(source: Words, jobs: Words, edges: Words, found: Words, row: int) -> None:
    """A character as itself, a lead byte, a backslash, or the quotation mark behind the last."""
    ranges = BEGINS + 2 * source[ROWS] + 1
    at, end = ranges + 3 * source[BEGINS + row], ranges + 3 * source[BEGINS + row + 1]
    code = 0x20
    while code < 0x80:
        while at < end and source[at + 1] < code:
            at += 3
        if code == 0x22 or code == 0x5C:
            _special(source, jobs, edges, found, row, code)
            code += 1
            continue
        stop = 0x22 if code < 0x22 else 0x5C if code < 0x5C else 0x80
        if at < end and source[at] <= code:
            stop = min(stop, source[at + 1] + 1)
            _put(edges, found, code, stop - 1, _after(source, source[at + 2]))
        elif at < end:
            stop = min(stop, source[at])
        code = stop
    while at < end and source[at + 1] < 0x80:
        at += 3
    if at < end:
        _leads(source, jobs, edges, found, row)


@part
def _special(source: Words, jobs: Words, edges: Words, found: Words, row: int, code: int) -> None:
    """The two characters that mean something else than themselves."""
    if code == 0x5C:
        if _has_escapes(source, row):
            _put(edges, found, code, code, _add_row(jobs, found, _ESCAPE, 0, 0, row, _MIXED))
    elif source[QUOTED] != 0 and source[BEGINS + source[ROWS] + 1 + row] != 0:
        _put(edges, found, code, code, DONE)


@part
def _leads(source: Words, jobs: Words, edges: Words, found: Words, row: int) -> None:
    """Lead bytes of the characters beyond ASCII."""
    everything = _ask(source, row, 0x80, 0xD7FF)
    if everything < 0 or everything != _ask(source, row, 0xE000, 0x10FFFF):
        everything = _MIXED
    lead = 0xC2
    while lead < 0xF5:
        level = 1 if lead < 0xE0 else 2 if lead < 0xF0 else 3
        base = (lead & (0x3F >> level)) << (6 * level)
        last = lead
        answer = everything
        if everything >= 0:  # many lead bytes are alike
            last = 0xDF if lead < 0xE0 else 0xEC if lead == 0xE1 else 0xEF if lead == 0xEE else lead
            last = 0xF3 if lead == 0xF1 else last
        else:
            answer = _ask(source, row, max(base, _least(level)), min(base + (1 << 6 * level) - 1, _most(base)))
        if answer != _DEAD:
            _put(edges, found, lead, last, _inside(jobs, found, _TAIL, level, base, row, answer))
        lead = last + 1


@part
def _least(level: int) -> int:
    """The first code point that needs so many continuation bytes."""
    return 0x80 if level == 1 else 0x800 if level == 2 else 0x10000


@part
def _most(base: int) -> int:
    """The last code point before the surrogates, if the block contains them, or at all."""
    return 0xD7FF if base == 0xD000 else 0x10FFFF


@part
def _tail(source: Words, jobs: Words, edges: Words, found: Words, level: int, base: int, row: int, target: int) -> None:
    """Continuation bytes: `level` of them are left."""
    size = 1 << 6 * (level - 1)
    for byte in range(0x80, 0xC0):
        low = base + (byte - 0x80) * size
        if low + size <= _least(level) or low > _most(base):
            continue
        answer = target if target >= 0 else _ask(source, row, low, low + size - 1)
        if answer == _DEAD:
            continue
        if level == 1:
            to = _after(source, answer)
        else:
            to = _inside(jobs, found, _TAIL, level - 1, low if answer < 0 else _ANYWHERE, row, answer)
        _put(edges, found, byte, byte, to)


@part
def _has_escapes(source: Words, row: int) -> bool:
    if source[MINIMAL] == 0:
        return source[BEGINS + row] < source[BEGINS + row + 1]
    answer = _ask(source, row, 0, 0x1F) != _DEAD or _ask(source, row, 0x22, 0x22) != _DEAD
    return answer or _ask(source, row, 0x5C, 0x5C) != _DEAD


@part
def _escape(source: Words, jobs: Words, edges: Words, found: Words, row: int) -> None:
    """Behind a backslash: a letter, or the number of a character."""
    for letter, code in _LETTERS:
        answer = _DEAD if source[MINIMAL] != 0 and code == _SLASH else _ask(source, row, code, code)
        if answer >= 0:
            _put(edges, found, letter, letter, _after(source, answer))
    answer = _ask_escaped(source, row, 0, 0x10FFFF)
    if answer != _DEAD:
        _put(edges, found, _UNIT_LETTER, _UNIT_LETTER, _add_row(jobs, found, _UNIT, 0, 0, row, _MIXED))


@part
def _unit(source: Words, jobs: Words, edges: Words, found: Words, kind: int, row: int, target: int) -> None:
    """The first digit of a unit, and the second behind D: there it may be the first unit of two."""
    to = found[:16]
    if kind == _SURROGATE:
        _blocks(source, jobs, found, _HEX, 2, 0xD000, 0, 8, row, target)
        _blocks(source, jobs, found, _PAIR, 2, 0x10000, 8, 12, row, target)
        to[12:] = _NOWHERE
    else:
        _blocks(source, jobs, found, _HEX, 3, 0, 0, 13, row, target)
        _blocks(source, jobs, found, _HEX, 3, 0xE000, 14, 16, row, target)
        basic = _ask_escaped(source, row, 0xD000, 0xD7FF)
        beyond = _ask_escaped(source, row, 0x10000, 0x10FFFF)
        to[13] = _NOWHERE
        if basic != _DEAD or beyond != _DEAD:
            to[13] = _inside(jobs, found, _SURROGATE, 0, 0, row, basic if basic == beyond else _MIXED)
    _put_digits(edges, found)


@part
def _digits(
    source: Words, jobs: Words, edges: Words, found: Words, kind: int, level: int, base: int, row: int, target: int
) -> None:
    """Further digits, `level` of them are left; or the digit behind D in a second unit."""
    if kind == _SECOND:
        found[:12] = _NOWHERE
        _blocks(source, jobs, found, _HEX, 2, base, 12, 16, row, target)
    elif level > 1:
        _blocks(source, jobs, found, kind, level - 1, base, 0, 16, row, target)
    else:
        _blocks(source, jobs, found, _SECOND if kind == _PAIR else _START, 0, base, 0, 16, row, target)
    _put_digits(edges, found)


@part
def _blocks(
    source: Words,
    jobs: Words,
    found: Words,
    kind: int,
    level: int,
    base: int,
    first: int,
    end: int,
    row: int,
    target: int,
) -> None:
    """Where the digits from `first` to `end` lead: the first of them to the block of code points that begins at
    `base`, and so on."""
    size = 1 if kind == _START else 1 << 10 if kind == _SECOND else 1 << 4 * level
    if kind == _PAIR:
        size <<= 10
    found[first:end] = _NOWHERE
    if target >= 0:
        found[first:end] = _inside(jobs, found, kind, level, base, row, target) if kind else _after(source, target)
        return
    digit = first
    while digit < end:
        low = base + (digit - first) * size
        answer = _ask_escaped(source, row, low, low + size - 1)
        if answer == _DEAD:  # on to the block of the next range
            after = _next(source, row, low)
            digit = max(digit + 1, min(end, first + (after - base) // size))
            continue
        found[digit] = _inside(jobs, found, kind, level, low, row, answer) if kind else _after(source, answer)
        digit += 1


@part
def _put_digits(edges: Words, found: Words) -> None:
    """The edges of hexadecimal digits, whose letters may be large or small."""
    for begin in (0x30, 0x41, 0x61):
        for digit in range(0 if begin == 0x30 else 10, 10 if begin == 0x30 else 16):
            if found[digit] != _NOWHERE:
                byte = begin + (digit if begin == 0x30 else digit - 10)
                _put(edges, found, byte, byte, found[digit])
