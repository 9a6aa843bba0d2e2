"""Write `grammars/schema/recognizers/idna.txt`: what IDNA 2008 says of each code point, as ranges.

    python3.11 bench/idna_table.py

needs the package `idna`, whose tables are derived from Unicode as RFC 5892 says, and a Python 3.11: only code points
of its Unicode 14.0 are taken, because their normal forms are the same in every later interpreter.

One line per set: its name, a colon, ranges as in `grammars/regex/unicode.txt`.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path

from idna import idnadata
from unicode_table import base36

OUTPUT = Path(__file__).parent.parent / "grammars" / "schema" / "recognizers" / "idna.txt"
ALL = range(0x110000)
VIRAMA = 9


def main() -> None:
    if unicodedata.unidata_version != "14.0.0":
        sys.exit("run this with Python 3.11: the table must not know more than the oldest interpreter")
    valid = {code for code in spans(idnadata.codepoint_classes["PVALID"]) if unicodedata.category(chr(code)) != "Cn"}
    composed = compositions()
    sets: dict[str, Iterable[int]] = {
        "valid": valid,
        "mark": where(valid, lambda char: unicodedata.category(char).startswith("M")),
        "virama": where(valid, lambda char: unicodedata.combining(char) == VIRAMA),
        "combining": where(valid, lambda char: unicodedata.combining(char) != 0),
        "composing": valid & {ord(part) for pair in composed.values() for part in pair[:1]} | valid & set(composed),
        "composed": valid & {ord(pair[1]) for pair in composed.values()},
    }
    for name, classes in {"L": "L", "R": "R AL", "AN": "AN", "EN": "EN", "NSM": "NSM"}.items():
        sets[f"bidi {name}"] = where(valid, lambda char, c=classes: unicodedata.bidirectional(char) in c.split())
    for name in "DLRT":
        sets[f"joining {name}"] = valid & set(spans(idnadata.joining_types[name])) if name in joining() else set()
    lines = [f"# IDNA 2008 for Unicode 14.0, from idna {idnadata.__version__}; made by bench/idna_table.py"]
    lines += [f"{name}:{encoded(sorted(codes))}" for name, codes in sets.items()]
    OUTPUT.write_text("\n".join(lines) + "\n", encoding="ascii")


def joining() -> set[str]:
    return {str(name) for name in idnadata.joining_types}


def spans(ranges: Iterable[int]) -> Iterable[int]:
    """The code points of ranges that are packed as the package `idna` does it."""
    for packed in ranges:
        yield from range(packed >> 32, packed & 0xFFFFFFFF)


def where(codes: set[int], holds: Callable[[str], bool]) -> set[int]:
    return {code for code in codes if holds(chr(code))}


def compositions() -> dict[int, str]:
    """Primary composites with the two characters that each is composed of."""
    found: dict[int, str] = {}
    for code in ALL:
        parts = unicodedata.decomposition(chr(code)).split()
        if len(parts) == 2 and not parts[0].startswith("<"):
            pair = "".join(chr(int(part, 16)) for part in parts)
            if unicodedata.normalize("NFC", pair) == chr(code):
                found[code] = pair
    return found


def encoded(codes: list[int]) -> str:
    words: list[str] = []
    end, at = 0, 0
    while at < len(codes):
        begin = last = codes[at]
        while at < len(codes) and codes[at] in (begin, last + 1):
            last = codes[at]
            at += 1
        words += [base36(begin - end), base36(last - begin)]
        end = last + 1
    return " ".join(words)


if __name__ == "__main__":
    main()
