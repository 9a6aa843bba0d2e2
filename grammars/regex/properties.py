r"""Unicode properties: what `\p{...}` and the Unicode meaning of `\w` and `\d` stand for.

The data is `unicode.txt`, made by `bench/unicode_table.py` from Unicode 18.0: one line per property with all its
names. It is read when the first property is asked for, and each property is decoded once. Python's `re` uses the
Unicode version of its interpreter, which is older (14.0 in Python 3.11): the two agree on the characters both know.

>>> property_ranges("Script=Lao", bare_scripts=False)[0]
(3713, 3714)
"""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache, lru_cache
from importlib.resources import files

from grammars.expression import LAST_CODE_POINT, Ranges
from grammars.regex.rangesets import invert, union

UNICODE_VERSION = "18.0.0"

_KINDS = {
    "gc": "gc",
    "generalcategory": "gc",
    "sc": "sc",
    "script": "sc",
    "scx": "scx",
    "scriptextensions": "scx",
}
_GROUPS = {  # general categories that are unions of others
    "l letter": "lu ll lt lm lo",
    "lc casedletter": "lu ll lt",
    "m mark combiningmark": "mn mc me",
    "n number": "nd nl no",
    "p punctuation punct": "pc pd ps pe pi pf po",
    "s symbol": "sm sc sk so",
    "z separator": "zs zl zp",
    "c other": "cc cf cs co cn",
}
_MEMBERS = {name: members.split() for names, members in _GROUPS.items() for name in names.split()}


@cache
def _lines() -> dict[tuple[str, str], str]:
    """(kind, name) -> encoded ranges, for every name of every property."""
    text = files("grammars.regex").joinpath("unicode.txt").read_text(encoding="ascii")
    table: dict[tuple[str, str], str] = {}
    for line in text.splitlines()[1:]:
        head, _, data = line.partition(":")
        kind, *names = head.split(" ")
        for name in names or [""]:
            table[kind, name] = data
    return table


@lru_cache(maxsize=1024)
def table_ranges(kind: str, name: str) -> Ranges | None:
    """The ranges of a line of the table; `None` if there is no such line."""
    data = _lines().get((kind, name))
    if data is None:
        return None
    ranges: list[tuple[int, int]] = []
    numbers = iter(data.split())
    begin = 0
    for skipped, further in zip(numbers, numbers, strict=True):
        begin += int(skipped, 36)
        end = begin + int(further, 36)
        ranges.append((begin, end))
        begin = end + 1
    return tuple(ranges)


def case_groups() -> list[list[int]]:
    """Classes of code points that are one letter in different cases."""
    return [[int(point, 36) for point in group.split()] for group in _lines()["fold", ""].split(",")]


@lru_cache(maxsize=1024)
def property_ranges(expression: str, bare_scripts: bool) -> Ranges | None:
    """The code points of the property between the braces of `\\p{...}`; `None` if it is unknown.

    Names are compared loosely: case, blanks, `-` and `_` do not count. `bare_scripts`: whether a script may be named
    without `Script=`, as Perl and the `regex` package allow and ECMA-262 does not.
    """
    key, equals, value = (_loose(part) for part in expression.partition("="))
    if equals:
        kind = _KINDS.get(key)
        return None if kind is None else _of_kind(kind, value)
    for kind in ("gc", "is", "sc") if bare_scripts else ("gc", "is"):
        if (ranges := _of_kind(kind, key)) is not None:
            return ranges
    return None


def _loose(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")


def _of_kind(kind: str, name: str) -> Ranges | None:
    if kind == "gc" and name in _MEMBERS:
        return union(*(table_ranges("gc", member) or () for member in _MEMBERS[name]))
    if kind == "scx":
        return table_ranges("scx", name) or table_ranges("sc", name)
    if kind == "is" and name in ("any", "ascii", "assigned"):
        return _special(name)
    return table_ranges(kind, name)


def _special(name: str) -> Ranges:
    if name == "assigned":
        return invert(table_ranges("gc", "cn") or ())
    return ((0, LAST_CODE_POINT if name == "any" else 0x7F),)


def similar_properties(expression: str) -> list[str]:
    """Names that look like an unknown one, for the hint of its error."""
    key, _, value = (_loose(part) for part in expression.partition("="))
    kind = _KINDS.get(key)
    if value and kind is None:
        return [f"{name}={value}" for name in ("Script", "General_Category")]
    if len(expression) > 64:
        return []
    names = {name for line_kind, name in _lines() if line_kind not in ("python", "fold")}
    found = get_close_matches(value or key, sorted(names), n=3)
    return [_suggestion(name, kind) for name in found]


def _suggestion(name: str, kind: str | None) -> str:
    if kind is not None:
        return f"{kind}={name}"
    return name if _of_kind("gc", name) or _of_kind("is", name) else f"Script={name}"
