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
_KIND, _LEVEL, _BASE, _FROM, _TARGET = range(5)  # words of a job: all that decides the edges of a row
_MOST_EDGES, _MOST_JOBS = 160, 64  # of one row
_JOB, _EDGE = 5, 3  # words of each
# Cells of `work`, in which all is kept that is being made: where the 16 digits lead, how many jobs and edges there are,
# where the edges of the row at hand begin, where jobs and edges are kept; then shared rows, jobs, edges
_JOBS, _EDGES, _ROW_BEGIN, _FIRST_JOB, _FIRST_EDGE, _SHARED = range(16, 22)
_SLOTS = 32  # of each target

_SLASH, _UNIT_LETTER = 0x2F, 0x75
_LETTERS = ((0x22, 0x22), (_SLASH, _SLASH), (0x5C, 0x5C), (0x62, 8), (0x66, 12), (0x6E, 10), (0x72, 13), (0x74, 9))


@kernel
def spell(source: Words) -> tuple[Words, Words, Words]:
    """`row_edge`, acceptance and edges of the byte automaton; row 0 is its start.

    `quoted` puts quotation marks around the text; `minimal` escapes only what must be, and in one way.
    """
    rows, quoted = source[ROWS], source[QUOTED]
    work = _with_room(np.zeros(_SHARED + rows * _SLOTS, np.int64), rows, rows + 2 * _MOST_JOBS, 16 * rows + 320)
    row_edge = np.zeros(rows + 2 * _MOST_JOBS + 1, np.int64)
    for row in range(rows):
        _add_row(work, _START, 0, 0, row, _MIXED)
    if quoted != 0:  # the mark is row 0, and source row 0 stands behind the others
        _add_row(work, _START, 0, 0, 0, _MIXED)
    row = 0
    while row < work[_JOBS]:
        jobs = (work[_FIRST_EDGE] - work[_FIRST_JOB]) // _JOB
        edges = (len(work) - work[_FIRST_EDGE]) // _EDGE
        if jobs - work[_JOBS] < _MOST_JOBS or edges - work[_EDGES] < _MOST_EDGES:
            work = _with_room(work, rows, 2 * jobs, 2 * edges)
            row_edge = _copied(row_edge, 0, len(row_edge), 2 * jobs + 1)
        work[_ROW_BEGIN] = work[_EDGES]
        if quoted != 0 and row == 0:
            _put(work, 0x22, 0x22, rows)
        else:
            _write(source, work, row)
        row += 1
        row_edge[row] = work[_EDGES]
    accepts = _copied(source, BEGINS + rows + 1, rows if quoted == 0 else 0, row)
    edges = np.empty((work[_EDGES], _EDGE), np.int64)
    for i in range(len(edges)):
        for column in range(_EDGE):
            edges[i, column] = work[work[_FIRST_EDGE] + _EDGE * i + column]
    return _copied(row_edge, 0, row + 1, row + 1), accepts, edges


@part
def _copied(words: Words, begin: int, length: int, room: int) -> Words:
    """Some words at the beginning of a new array of zeros."""
    copy = np.zeros(room, np.int64)
    for i in range(length):
        copy[i] = words[begin + i]
    return copy


@part
def _with_room(work: Words, rows: int, jobs: int, edges: int) -> Words:
    """The same with room for so many jobs and edges."""
    first = _SHARED + rows * _SLOTS
    wider = _copied(work, 0, first, first + _JOB * jobs + _EDGE * edges)
    wider[_FIRST_JOB], wider[_FIRST_EDGE] = first, first + _JOB * jobs
    for i in range(_JOB * work[_JOBS]):
        wider[wider[_FIRST_JOB] + i] = work[work[_FIRST_JOB] + i]
    for i in range(_EDGE * work[_EDGES]):
        wider[wider[_FIRST_EDGE] + i] = work[work[_FIRST_EDGE] + i]
    return wider


@part
def _add_row(work: Words, kind: int, level: int, base: int, row: int, target: int) -> int:
    """A new row, to be written later; its number."""
    n = work[_JOBS]
    at = work[_FIRST_JOB] + _JOB * n
    work[at], work[at + _LEVEL], work[at + _BASE], work[at + _FROM], work[at + _TARGET] = kind, level, base, row, target
    work[_JOBS] = n + 1
    return n


@part
def _put(work: Words, low: int, high: int, to: int) -> None:
    """An edge of the row that is being written, joined to the one before it where that is possible."""
    n = work[_EDGES]
    at = work[_FIRST_EDGE] + _EDGE * n
    if n > work[_ROW_BEGIN] and work[at - 2] + 1 == low and work[at - 1] == to:
        work[at - 2] = high
        return
    work[at], work[at + 1], work[at + 2] = low, high, to
    work[_EDGES] = n + 1


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
def _inside(work: Words, kind: int, level: int, base: int, row: int, answer: int) -> int:
    """A row for the rest of a character out of a block: shared if the block has one target, else one of its own."""
    if answer < 0:
        return _add_row(work, kind, level, base, row, _MIXED)
    slot = 4 * (kind - _TAIL) + level
    if kind == _TAIL and level > 1:  # lead bytes after which not every continuation byte may stand
        if base == 0:
            slot = 16 + level
        elif base == 0xD000 or base == 0x100000:
            slot = 20 + level
    elif kind == _SURROGATE:
        slot = 24
    place = _SHARED + answer * _SLOTS + slot
    if work[place] == 0:
        work[place] = _add_row(work, kind, level, base, row, answer) + 1
    return work[place] - 1


@part
def _write(source: Words, work: Words, number: int) -> None:
    at = work[_FIRST_JOB] + _JOB * number
    kind, level, base, row, target = work[at], work[at + _LEVEL], work[at + _BASE], work[at + _FROM], work[at + _TARGET]
    if kind == _START:
        _begin(source, work, row)
    elif kind == _ESCAPE:
        _escape(source, work, row)
    elif kind == _UNIT or kind == _SURROGATE:
        _unit(source, work, kind, row, target)
    elif kind == _SECOND and level < 3:
        byte = 0x5C if level == 0 else _UNIT_LETTER if level == 1 else 0x44
        after = _inside(work, _SECOND, level + 1, base, row, target)
        _put(work, byte, byte, after)
        if level == 2:
            _put(work, 0x64, 0x64, after)
    elif kind == _TAIL:
        _tail(source, work, level, base, row, target)
    else:
        _digits(source, work, kind, level, base, row, target)


@part
def _begin(source: Words, work: Words, row: int) -> None:
    """A character as itself, a lead byte, a backslash, or the quotation mark behind the last."""
    ranges = BEGINS + 2 * source[ROWS] + 1
    at, end = ranges + 3 * source[BEGINS + row], ranges + 3 * source[BEGINS + row + 1]
    code = 0x20
    while code < 0x80:
        while at < end and source[at + 1] < code:
            at += 3
        if code == 0x22 or code == 0x5C:
            _special(source, work, row, code)
            code += 1
            continue
        stop = 0x22 if code < 0x22 else 0x5C if code < 0x5C else 0x80
        if at < end and source[at] <= code:
            stop = min(stop, source[at + 1] + 1)
            _put(work, code, stop - 1, _after(source, source[at + 2]))
        elif at < end:
            stop = min(stop, source[at])
        code = stop
    while at < end and source[at + 1] < 0x80:
        at += 3
    if at < end:
        _leads(source, work, row)


@part
def _special(source: Words, work: Words, row: int, code: int) -> None:
    """The two characters that mean something else than themselves."""
    if code == 0x5C:
        if _has_escapes(source, row):
            _put(work, code, code, _add_row(work, _ESCAPE, 0, 0, row, _MIXED))
    elif source[QUOTED] != 0 and source[BEGINS + source[ROWS] + 1 + row] != 0:
        _put(work, code, code, DONE)


@part
def _leads(source: Words, work: Words, row: int) -> None:
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
            _put(work, lead, last, _inside(work, _TAIL, level, base, row, answer))
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
def _tail(source: Words, work: Words, level: int, base: int, row: int, target: int) -> None:
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
            to = _inside(work, _TAIL, level - 1, low if answer < 0 else _ANYWHERE, row, answer)
        _put(work, byte, byte, to)


@part
def _has_escapes(source: Words, row: int) -> bool:
    if source[MINIMAL] == 0:
        return source[BEGINS + row] < source[BEGINS + row + 1]
    answer = _ask(source, row, 0, 0x1F) != _DEAD or _ask(source, row, 0x22, 0x22) != _DEAD
    return answer or _ask(source, row, 0x5C, 0x5C) != _DEAD


@part
def _escape(source: Words, work: Words, row: int) -> None:
    """Behind a backslash: a letter, or the number of a character."""
    for letter, code in _LETTERS:
        answer = _DEAD if source[MINIMAL] != 0 and code == _SLASH else _ask(source, row, code, code)
        if answer >= 0:
            _put(work, letter, letter, _after(source, answer))
    answer = _ask_escaped(source, row, 0, 0x10FFFF)
    if answer != _DEAD:
        _put(work, _UNIT_LETTER, _UNIT_LETTER, _add_row(work, _UNIT, 0, 0, row, _MIXED))


@part
def _unit(source: Words, work: Words, kind: int, row: int, target: int) -> None:
    """The first digit of a unit, and the second behind D: there it may be the first unit of two."""
    if kind == _SURROGATE:
        _blocks(source, work, _HEX, 2, 0xD000, 0, 8, row, target)
        _blocks(source, work, _PAIR, 2, 0x10000, 8, 12, row, target)
        _lead(work, 12, 16, _NOWHERE)
    else:
        _blocks(source, work, _HEX, 3, 0, 0, 13, row, target)
        _blocks(source, work, _HEX, 3, 0xE000, 14, 16, row, target)
        basic = _ask_escaped(source, row, 0xD000, 0xD7FF)
        beyond = _ask_escaped(source, row, 0x10000, 0x10FFFF)
        work[13] = _NOWHERE
        if basic != _DEAD or beyond != _DEAD:
            work[13] = _inside(work, _SURROGATE, 0, 0, row, basic if basic == beyond else _MIXED)
    _put_digits(work)


@part
def _digits(source: Words, work: Words, kind: int, level: int, base: int, row: int, target: int) -> None:
    """Further digits, `level` of them are left; or the digit behind D in a second unit."""
    if kind == _SECOND:
        _lead(work, 0, 12, _NOWHERE)
        _blocks(source, work, _HEX, 2, base, 12, 16, row, target)
    elif level > 1:
        _blocks(source, work, kind, level - 1, base, 0, 16, row, target)
    else:
        _blocks(source, work, _SECOND if kind == _PAIR else _START, 0, base, 0, 16, row, target)
    _put_digits(work)


@part
def _blocks(
    source: Words,
    work: Words,
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
    _lead(work, first, end, _NOWHERE)
    if target >= 0:
        _lead(work, first, end, _inside(work, kind, level, base, row, target) if kind else _after(source, target))
        return
    digit = first
    while digit < end:
        low = base + (digit - first) * size
        answer = _ask_escaped(source, row, low, low + size - 1)
        if answer == _DEAD:  # on to the block of the next range
            after = _next(source, row, low)
            digit = max(digit + 1, min(end, first + (after - base) // size))
            continue
        work[digit] = _inside(work, kind, level, low, row, answer) if kind else _after(source, answer)
        digit += 1


@part
def _lead(work: Words, first: int, end: int, to: int) -> None:
    """Note where the digits from `first` to `end` lead."""
    for digit in range(first, end):
        work[digit] = to


@part
def _put_digits(work: Words) -> None:
    """The edges of hexadecimal digits, whose letters may be large or small."""
    for begin in (0x30, 0x41, 0x61):
        for digit in range(0 if begin == 0x30 else 10, 10 if begin == 0x30 else 16):
            if work[digit] != _NOWHERE:
                byte = begin + (digit if begin == 0x30 else digit - 10)
                _put(work, byte, byte, work[digit])
