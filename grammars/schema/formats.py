r"""The formats of the standard, as patterns.

Each is the grammar of the document that defines it: RFC 3339 (dates and times, with leap years, and with leap seconds
at the end of a UTC day only), RFC 5321 (email), RFC 1123 (hostname), RFC 2673 and 4291 (addresses), RFC 3986 and 3987
(URIs and IRIs), RFC 6570 (templates), RFC 4122 (uuid), RFC 6901 (pointers). All of these are regular.

Regular expressions (ECMA-262) and host names with internationalised labels (RFC 5890 to 5893) are not; they have
readers (`recognizers`). Up to draft 6 a host name is what RFC 1034 says, and regular. Unknown formats are annotations,
as the standard says.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from grammars.expression import Node, both, choice, sequence, text
from grammars.regex import parse
from grammars.schema.recognizers.ecma import EcmaPattern
from grammars.schema.recognizers.hosts import HostName
from grammars.schema.recognizers.recognizer import Recognizer

_LAST_WITHOUT_IDNA = 6
_MEMORY = "an automaton with a memory"
_NARROWED: Final = {
    "regex": f"{_MEMORY}; references with more than three digits, or to long names, and short ranges beyond ASCII are "
    "left out",
    "hostname": f"{_MEMORY}; of labels in Punycode, those in capitals and some that hardly fit are left out",
    "idn-hostname": f"{_MEMORY}; labels whose length in Punycode cannot be bounded by 63 octets from left to right, "
    "labels in Punycode in capitals and characters newer than Unicode 14 are left out",
}

_DAY_TO_30 = r"0[1-9]|[12][0-9]|30"
_MONTH_DAY = rf"(?:(?:0[13578]|1[02])-(?:{_DAY_TO_30}|31)|(?:0[469]|11)-(?:{_DAY_TO_30})|02-(?:0[1-9]|1[0-9]|2[0-8]))"
_LEAP_YEAR = r"(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)"
_DATE = rf"(?:[0-9]{{4}}-{_MONTH_DAY}|{_LEAP_YEAR}-02-29)"
_HOUR, _MINUTE = r"(?:[01][0-9]|2[0-3])", r"[0-5][0-9]"
_OFFSET = rf"(?:[zZ]|[+-]{_HOUR}:{_MINUTE})"
_TIME = rf"{_HOUR}:{_MINUTE}:{_MINUTE}(?:\.[0-9]+)?{_OFFSET}"
_TIME_OF_DAY = r"[0-9]+H(?:[0-9]+M(?:[0-9]+S)?)?|[0-9]+M(?:[0-9]+S)?|[0-9]+S"
_DAYS = r"[0-9]+Y(?:[0-9]+M(?:[0-9]+D)?)?|[0-9]+M(?:[0-9]+D)?|[0-9]+D"
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = rf"{_OCTET}(?:\.{_OCTET}){{3}}"
_GROUP = r"[0-9A-Fa-f]{1,4}"
_LAST_GROUPS = rf"(?:{_GROUP}:{_GROUP}|{_IPV4})"
_IPV6 = (
    "(?:"
    + "|".join(
        [
            rf"(?:{_GROUP}:){{6}}{_LAST_GROUPS}",
            rf"::(?:{_GROUP}:){{5}}{_LAST_GROUPS}",
            *(
                rf"(?:(?:{_GROUP}:){{0,{before}}}{_GROUP})?::(?:{_GROUP}:){{{4 - before}}}{_LAST_GROUPS}"
                for before in range(5)
            ),
            rf"(?:(?:{_GROUP}:){{0,5}}{_GROUP})?::{_GROUP}",
            rf"(?:(?:{_GROUP}:){{0,6}}{_GROUP})?::",
        ]
    )
    + ")"
)
_OLD_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_OLD_HOSTNAME = rf"(?=.{{1,253}}$){_OLD_LABEL}(?:\.{_OLD_LABEL})*"
_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]"
_MAIL_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"


def _email(extra: str) -> str:
    atext = _ATEXT[:-2] + extra + "-]"
    local = rf'(?:{atext}+(?:\.{atext}+)*|"(?:[ !#-\[\]-~{extra}]|\\[ -~])*")'
    label = rf"[A-Za-z0-9{extra}](?:[A-Za-z0-9{extra}-]*[A-Za-z0-9{extra}])?"
    return rf"{local}@(?:{label}(?:\.{label})*|\[(?:{_IPV4}|IPv6:{_IPV6})\])"


_BEYOND = r"\u00A0-\uD7FF\uF900-\uFDCF\uFDF0-\uFFEF" + "".join(
    rf"\U{plane:04X}{'1000' if plane == 14 else '0000'}-\U{plane:04X}FFFD" for plane in range(1, 15)
)
_PRIVATE = r"\uE000-\uF8FF\U000F0000-\U000FFFFD\U00100000-\U0010FFFD"


def _uri(reference: bool, beyond: str, private: str) -> str:
    """RFC 3986 with `beyond` among the unreserved characters, RFC 3987 then; `private` only in queries."""
    percent, plain = "%[0-9A-Fa-f]{2}", rf"A-Za-z0-9._~!$&'()*+,;={beyond}-"
    char = rf"(?:[:@{plain}]|{percent})"
    authority = (
        rf"(?:(?:[:{plain}]|{percent})*@)?"
        rf"(?:\[(?:{_IPV6}|[vV][0-9A-Fa-f]+\.[:A-Za-z0-9._~!$&'()*+,;=-]+)\]|(?:[{plain}]|{percent})*)(?::[0-9]*)?"
    )
    full = rf"(?://{authority}(?:/{char}*)*|/(?:{char}+(?:/{char}*)*)?|{char}+(?:/{char}*)*|)"
    tail = (
        rf"(?:\?(?:{char}|[/?{private}])*)?(?:#(?:{char}|[/?])*)?"
        if private
        else rf"(?:\?(?:{char}|[/?])*)?(?:#(?:{char}|[/?])*)?"
    )
    absolute = rf"[A-Za-z][A-Za-z0-9+.-]*:{full}"
    if not reference:
        return absolute + tail
    first = rf"(?:[@{plain}]|{percent})"
    relative = rf"(?://{authority}(?:/{char}*)*|/(?:{char}+(?:/{char}*)*)?|{first}+(?:/{char}*)*|)"
    return rf"(?:{absolute}|{relative}){tail}"


_VARCHAR = r"(?:[A-Za-z0-9_]|%[0-9A-Fa-f]{2})"
_VARIABLE = rf"{_VARCHAR}(?:\.?{_VARCHAR})*(?::[1-9][0-9]{{0,3}}|\*)?"
_LITERALS = rf"[!#$&-;=?-\[\]_a-z~{_BEYOND}{_PRIVATE}]"
_TEMPLATE = rf"(?:{_LITERALS}|%[0-9A-Fa-f]{{2}}|\{{[+#./;?&=,!@|]?{_VARIABLE}(?:,{_VARIABLE})*\}})*"
_POINTER = r"(?:/(?:[^~/]|~[01])*)*"

_PATTERNS: Final = {
    "date": _DATE,
    "duration": rf"P(?:[0-9]+W|(?:{_DAYS})(?:T(?:{_TIME_OF_DAY}))?|T(?:{_TIME_OF_DAY}))",
    "email": _email(""),
    "idn-email": _email(r"\u0080-\U0010FFFF"),
    "hostname": _OLD_HOSTNAME,
    "ipv4": _IPV4,
    "ipv6": _IPV6,
    "uri": _uri(False, "", ""),
    "uri-reference": _uri(True, "", ""),
    "iri": _uri(False, _BEYOND, _PRIVATE),
    "iri-reference": _uri(True, _BEYOND, _PRIVATE),
    "uri-template": _TEMPLATE,
    "uuid": r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}",
    "json-pointer": _POINTER,
    "relative-json-pointer": rf"(?:0|[1-9][0-9]*)(?:#|{_POINTER})",
}


_READERS: Final[dict[str, Recognizer]] = {
    "regex": EcmaPattern(),
    "hostname": HostName(international=False),
    "idn-hostname": HostName(international=True),
}


def format_reader(name: str, draft: int = 2020) -> Recognizer | None:
    """The reader of a format that is not regular, None if there is none.

    >>> format_reader("regex").name
    'regex'
    """
    return None if name == "hostname" and draft <= _LAST_WITHOUT_IDNA else _READERS.get(name)


def narrowed(name: str) -> str:
    """By what means the reader of a format enforces it, and where that is narrower than the definition."""
    return _NARROWED[name]


@cache
def format_node(name: str) -> Node | None:
    """The texts of a regular format as an expression over characters, None if the format is unknown.

    >>> from grammars import Grammar
    >>> Grammar(format_node("date")).matches(b"2023-02-29")
    False
    """
    if name == "time":
        return choice([parse(_TIME, flags="s"), _leap_second()])
    if name == "date-time":
        return sequence([parse(rf"{_DATE}[tT]"), choice([parse(_TIME, flags="s"), _leap_second()])])
    pattern = _PATTERNS.get(name)
    return None if pattern is None else parse(pattern, flags="s")


def _leap_second() -> Node:
    """Times with a leap second: 23:59:60 in UTC, whatever the offset makes of it on the clock.

    On the clock the minute is one before that of an offset ahead of UTC, or what is missing to the hour of one
    behind; the hour follows. Each relation is an expression of its own; the lowering reads both at once.
    """
    second, minutes, hours = r":60(?:\.[0-9]+)?", list[str](), list[str]()
    for minute in range(60):
        ahead, behind = (minute + 1) % 60, 59 - minute
        minutes.append(rf"[0-9]{{2}}:{minute:02}{second}(?:\+[0-9]{{2}}:{ahead:02}|-[0-9]{{2}}:{behind:02})")
    for hour in range(24):
        ahead, behind = (hour + 1) % 24, 23 - hour
        hours.append(rf"{hour:02}:59{second}\+{ahead:02}:00")
        hours.append(rf"{hour:02}:(?!59){_MINUTE}{second}\+{hour:02}:{_MINUTE}")
        hours.append(rf"{hour:02}:{_MINUTE}{second}-{behind:02}:{_MINUTE}")
    utc = sequence([text("23:59"), parse(rf"{second}[zZ]")])
    return choice([utc, both(parse("|".join(minutes)), parse("|".join(hours)))])
