"""Write `grammars/regex/unicode.txt`: every Unicode property the regex front end knows, as ranges of code points.

    python bench/unicode_table.py

needs the development package `regex`, which carries the Unicode database of its release (newer than any interpreter's
`unicodedata`, and with scripts and binary properties, which that lacks). Run it when Unicode has a new version.

One line per property: `kind name alias ...:ranges`. Ranges are pairs of base-36 numbers: how many code points are
skipped since the last range, how many follow the first one of this range. Names are in lower case without `_`, `-` and
blanks, as loose matching (UAX #44) compares them. The line `fold` lists the classes of code points that are the same
letter in another case; it has no ranges but groups.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from importlib.metadata import metadata
from pathlib import Path

import regex
import regex._regex as engine  # its tables: get_properties(), get_all_cases()

OUTPUT = Path(__file__).parent.parent / "grammars" / "regex" / "unicode.txt"
EVERYTHING = "".join(map(chr, range(0x110000)))
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
TURKIC = (0x49, 0x69, 0x130, 0x131)  # I i İ ı: one letter for `re.IGNORECASE`

CATEGORIES = """
    Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Cs Co Cn
"""
BINARY = """
    Alphabetic ASCII_Hex_Digit Bidi_Control Bidi_Mirrored Cased Case_Ignorable Changes_When_Casefolded
    Changes_When_Casemapped Changes_When_Lowercased Changes_When_Titlecased Changes_When_Uppercased Dash
    Default_Ignorable_Code_Point Deprecated Diacritic Emoji Emoji_Component Emoji_Modifier Emoji_Modifier_Base
    Emoji_Presentation Extended_Pictographic Extender Grapheme_Base Grapheme_Extend Hex_Digit IDS_Binary_Operator
    IDS_Trinary_Operator ID_Continue ID_Start Ideographic Join_Control Logical_Order_Exception Lowercase Math
    Noncharacter_Code_Point Pattern_Syntax Pattern_White_Space Quotation_Mark Radical Regional_Indicator
    Sentence_Terminal Soft_Dotted Terminal_Punctuation Unified_Ideograph Uppercase Variation_Selector White_Space
    XID_Continue XID_Start
"""
PYTHON_WORD = r"[_\p{L}\p{nt=Decimal}\p{nt=Digit}\p{nt=Numeric}]"  # str.isalnum(), which `re` calls a word character


def main() -> None:
    version = unicode_version()
    lines = [f"# Unicode {version}; made by bench/unicode_table.py", *property_lines(), f"fold:{fold_groups()}"]
    OUTPUT.write_text("\n".join(lines) + "\n", encoding="ascii")
    print(f"{OUTPUT}: Unicode {version}, {len(lines) - 2} properties")


def unicode_version() -> str:
    """The version that the description of the `regex` package names."""
    found = re.search(r"supports Unicode ([0-9.]+[0-9])", str(metadata("regex").get_payload()))
    return found[1] if found else "of unknown version"


def property_lines() -> Iterator[str]:
    """All the lines that name a set of code points."""
    yield f"python word:{encoded(PYTHON_WORD)}"
    categories, scripts = aliases("GENERALCATEGORY"), aliases("SCRIPT")
    for name in CATEGORIES.split():
        yield line("gc", categories[name.lower()], rf"\p{{gc={name}}}")
    for names in unique(scripts):
        yield line("sc", names, rf"\p{{sc={names[0]}}}")
        if encoded(rf"\p{{scx={names[0]}}}") != encoded(rf"\p{{sc={names[0]}}}"):
            yield line("scx", names, rf"\p{{scx={names[0]}}}")
    for name in BINARY.split():
        yield line("is", binary_names(name), rf"\p{{{name}}}")


def line(kind: str, names: list[str], pattern: str) -> str:
    return f"{kind} {' '.join(names)}:{encoded(pattern)}"


def aliases(key: str) -> dict[str, list[str]]:
    """Every name of a property value -> all names of the same value."""
    by_value: dict[int, list[str]] = defaultdict(list)
    for name, value in engine.get_properties()[key][1].items():
        if name.isalnum():
            by_value[value].append(name.lower())
    return {name: names for names in by_value.values() for name in names}


def unique(names: dict[str, list[str]]) -> list[list[str]]:
    return sorted({tuple(group): group for group in names.values()}.values())


def binary_names(name: str) -> list[str]:
    properties = engine.get_properties()
    wanted = properties[name.replace("_", "").upper()][0]
    return [key.lower() for key, (number, _) in properties.items() if number == wanted]


@cache
def encoded(pattern: str) -> str:
    """The ranges of code points that match `pattern`."""
    words: list[str] = []
    end = 0
    for match in regex.finditer(f"(?:{pattern})+", EVERYTHING):
        words += [base36(match.start() - end), base36(match.end() - match.start() - 1)]
        end = match.end()
    return " ".join(words)


def fold_groups() -> str:
    """Classes of characters that differ in case only: equal simple case mappings, or equal full upper case."""
    groups: dict[int, set[int]] = {}

    def join(members: set[int]) -> None:
        merged = members.union(*(groups.get(m, ()) for m in members))
        groups.update(dict.fromkeys(merged, merged))

    uppers: dict[str, set[int]] = defaultdict(set)
    for point in range(0x110000):
        join_cases = engine.get_all_cases(regex.UNICODE | regex.IGNORECASE, point)
        if len(join_cases) > 1:
            join(set(join_cases))
        if len(chr(point).upper()) > 1:
            uppers[chr(point).upper()].add(point)
    join(set(TURKIC))
    for same in uppers.values():
        if len(same) > 1 and len({chr(p).lower() for p in same}) == len(same):
            join(same)
    classes = {tuple(sorted(group)) for group in groups.values()}
    return ",".join(" ".join(map(base36, group)) for group in sorted(classes))


def base36(number: int) -> str:
    digits = ""
    while number >= 36:
        number, digit = divmod(number, 36)
        digits = DIGITS[digit] + digits
    return DIGITS[number] + digits


if __name__ == "__main__":
    main()
