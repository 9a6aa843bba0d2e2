"""The regex front end denotes the languages that Python's `re` and ECMA-262 say.

Languages are compared through `tests.naive.regex_matcher`, which interprets expressions directly: with `re` itself,
with the `regex` package where `re` lacks the syntax, with node's engine where there is one.
"""

from __future__ import annotations

import itertools
import json
import random
import re
import shutil
import subprocess
import sys
import threading
import time
import unicodedata
import warnings
from collections.abc import Callable, Iterator
from importlib.resources import files

import pytest
import regex

from grammars.errors import GrammarError, GrammarSyntaxError, LimitExceeded, ScansionError, UnsupportedFeature
from grammars.expression import ANY_TEXT, Chars, Look, Named, Repeat, Text, chars, sequence, subexpressions, text
from grammars.limits import Limits
from grammars.regex import parse
from grammars.regex.escapes import category
from grammars.regex.folding import variants
from grammars.regex.mode import Mode
from grammars.regex.properties import UNICODE_VERSION, property_ranges
from tests.naive.regex_matcher import match


def texts(alphabet: str, longest: int) -> list[str]:
    """Every string over an alphabet up to a length."""
    return ["".join(t) for n in range(longest + 1) for t in itertools.product(alphabet, repeat=n)]


def is_assigned(point: int) -> bool:
    """Whether the interpreter's Unicode, too, knows the character."""
    return unicodedata.category(chr(point)) not in ("Cn", "Cs")


def disagreements(
    pattern: str, samples: list[str], engine: Callable[[str, int], object], flags: str = "", dialect: str = "python"
) -> list[tuple[str, str, bool]]:
    """Samples where our reading of a pattern and a compiled pattern of `engine` differ, by way of matching."""
    bits = sum(getattr(re, flag.upper()) for flag in flags)
    theirs = engine(pattern, bits)
    found: list[tuple[str, str, bool]] = []
    for search in (False, True):
        node = parse(pattern, flags=flags, dialect=dialect, search=search)
        ask = theirs.search if search else theirs.fullmatch
        found += [(pattern, sample, search) for sample in samples if match(node, sample) != (ask(sample) is not None)]
    return found


# Python: written cases

SHORT = texts("ab\n", 4)
MIXED = [*texts("aB_é \n1-", 3), "aa bb", "foo", "Foo bar", "x-1", "ab12", "\u2028", "a\r\n", "٣", "ſ", "K", "İ", "😀"]

PYTHON_PATTERNS = r"""
a  ab  a|b  a|  |a  ||  ()  (|a)  (a|b)*  a*b*  a+?b??  (?:a|ab)(?:b|)  a{2}  a{1,2}  a{,2}  a{2,}  a{,}  a{  a{}
a{x  a{1
a{1,2  {  a{1,2}?  (a{1,2}){2}  (?:a{2}){1,2}  (?:a{2,3})*  (?:a+)*  (?:a*)+  (?:a?){3}  (?:a{0,2}){2}  (a*)*
(?:a{2}){3}
.  .*  a.b  .{2}  (?s).  (?s:.).  (?s).(?-s:.)  [ab]  [^a]  []a]  [^]a]  [a-b]  [b-]  [-b]  [\n]  [^\n]  [a\-b]
[\]]  [.]  [a^]
^  $  ^$  $^  ^a  a$  ^a$  a^b  a$b  a$\n  a$\nb  (^a)  (a$)  (^a|b)  (a|b$)  (?:^a|^b)  (?:^|b)a  a(?:$|b)  (^)*a
(a$)?
(^a)?b  a(b$)?  (?:^a)+  (?m)^  (?m)$  (?m)^a  (?m)a$  (?m)^a$  (?m)^$  (?m)a^b  (?m)\n^a  (?m)a$\n  (?m:^)a(?m:$)
(?m:a$)|b$
(?m:^)^a  $(?m:$)  (?m)(?:^a|b)  (?m)(?:^|b)a(?:$|b)  (?:^|(?m:^)|b)a  a(?:$|(?m:$)|\Z|b)  \Aa  a\Z  \Aa\Z
(?m)\Aa\Z  a\Z|b  \A\Z
(?P<x>^a)  (?P<x>^a|b)  (?P<x>a$|b)  (?P<x>a)|(?P<y>b)  ^a|b$  ^(?:a|b)$|^$  (?:(?:^a|b)a|b)b  a(?:b(?:a|b$)|a)
(?=a)  (?=a)a  (?=a)b  (?!a).  (?!a)  (?=.*b)a*.*  a(?=b)  a(?=b)b  a(?!b)  (?<=a)b  (?<!a)b  a(?<=a)b  a(?<!a)b
.(?<=a).  (?<=a)
(?<=^a)b  (?<!^)a  (?=a$)a  (?=.$).  (?!.*b$).*  (?=(?=a).)a  (?!(?!a).)a  (?!(?=b)).  (?:(?=a)|b)*a  (?=a)*b
(?=a)+a  (?!a)?b
(?=a|)  a(?=$)  ^(?=.*a)(?=.*b).{2,3}$  (?:(?=a)^|b)a  (?=a)(?:^a|b)  (?:a|b$)(?<=a)  (?<=\n)^a  (?<=a)$
(?<=(?=a).)b  (?=a(?<=a))a
\x61  \u0061  \U00000061  \141  \n  \012  \0  [\x61-b]  [\141]  \a|a  \.  \-  [\b]|a
(?x)a|b  (?#c)a(?#d)*  a(?#x)+  (?i)A  (?i:A)b  (?i)(?-i:A)b  (?i)[A]  (?i)[^A]  (?im)^A$  (?si)A.  (?i)B|A
\ba  a\b  \Ba  a\B  a\bb  a\Bb  \b  a\b\nb  \n\ba\b\n  \b.\b  (?:a\b|b)\n  (?:\ba|b)  \b(?:a|b)+\b
(?:a|\n)\b(?:b|\n)  \b\b  a*\bb*
(?:a|b|)\b  \b(?:|a)  (?=\b)a  (?<=\b)a  (?!\b)a  \b\B  (?:\b|a)b  ^\ba\b$  ^\B\n  (?P<w>a)\b  \ba\b|\bb\b
\w  \W  \d  \D  \s  \S  [\w]  [^\w]  [\W\n]  \w+\b  [\s\S]  \w\W\w
"""


@pytest.mark.parametrize("pattern", PYTHON_PATTERNS.split())
def test_a_python_pattern_means_what_re_says(pattern: str) -> None:
    samples = SHORT if sys.version_info >= (3, 14) or "\\B" not in pattern else SHORT[1:]  # \B in an empty text: 3.14
    assert not disagreements(pattern, samples, re.compile)


FLAGGED = [
    (r"\N{LATIN SMALL LETTER A}[\N{LATIN SMALL LETTER B}]", ""),
    (r"(?x:\ )|a", ""),
    ("a b # c\n | \\  [ #]  c {2}", "x"),
    ("(?-x: a)b c", "x"),
    ("a b", "x"),
    ("a \\\n b", "x"),
    ("a # comment *", "x"),
    ("(?x: a #b\n) b", ""),
    ("\\w\\W*", "a"),
    ("\\w", ""),
    ("[\\w-]+", ""),
    ("\\bé", "a"),
    ("é\\b", ""),
    ("(?a:\\w)\\w", ""),
    ("\\w?(?u:\\w)\\w", "a"),
    ("\\s\\d", ""),
    ("[^\\s\\d]", "a"),
    ("É", "i"),
    ("É", "ai"),
    ("[k-s]", "i"),
    ("[^k-s]", "i"),
    ("[k-s]", "ai"),
    ("i", "i"),
    ("ı", "i"),
    ("foo", "i"),
    ("\\w\\b|FOO", "i"),
    (".", "s"),
    (".", "m"),
    ("^.$", "ms"),
    ("[😀-😂é]", "i"),
]


@pytest.mark.parametrize(("pattern", "flags"), FLAGGED)
def test_flags_mean_what_re_says(pattern: str, flags: str) -> None:
    assert not disagreements(pattern, MIXED, re.compile, flags)


# Python: every short pattern


TOKENS = ["a", "b", ".", "^", "$", r"\b", "*", "?", "{2}", "|", "(", ")", "(?m:$)", "(?=", "(?<=", "[^a]"]


def accepted_by_re(pattern: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            re.compile(pattern)
        except re.error as error:
            return "look-behind requires fixed-width" in str(error)
    return True


def accepted_by_us(pattern: str) -> bool | None:
    """`None`: refused as unsupported, whatever its syntax is like further on."""
    try:
        parse(pattern)
    except GrammarSyntaxError:
        return False
    except UnsupportedFeature:
        return None
    return True


def test_syntax_is_accepted_and_refused_as_re_does() -> None:
    tokens = [*"ab^$*?+|(){}[]-\\,:=!<>PiB1", "{2}", "{2,1}", "(?", "(?:", "(?P<a>", "[^"]
    generator = random.Random(1)
    patterns = ["".join(p) for n in range(3) for p in itertools.product(tokens, repeat=n)]
    patterns += ["".join(generator.choices(tokens, k=generator.randint(3, 7))) for _ in range(10_000)]
    wrong = [p for p in patterns if "(?<" not in p and accepted_by_us(p) == (not accepted_by_re(p))]
    assert not wrong


@pytest.mark.parametrize(("size", "longest"), [(1, 4), (2, 4), (3, 3), (4, 2)])
def test_every_small_pattern_means_what_re_says(size: int, longest: int) -> None:
    samples = texts("a\nb", longest)
    patterns = ["".join(p) for p in itertools.product(TOKENS, repeat=size)]
    if len(patterns) > 2_000:
        patterns = random.Random(size).sample(patterns, 2_000)
    wrong = [d for p in patterns if compiles(p) for d in disagreements(p, samples, re.compile)]
    assert not wrong


def compiles(pattern: str) -> bool:
    """Whether `re` accepts the pattern; variable-width look-behind, which we read, it does not."""
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True


# Python: random patterns, with look-behind of any width


def random_pattern(generator: random.Random, depth: int) -> str:
    def inner() -> str:
        return random_pattern(generator, depth - 1)

    if depth == 0:
        return generator.choice(["a", "b", "ab", ".", "[^a]", "[ab]", r"\n", r"\w", r"\b", r"\B", "^", "$", r"\Z", ""])
    kind = generator.randrange(10)
    if kind < 3:
        return inner() + inner()
    if kind < 5:
        return f"(?:{inner()}|{inner()})"
    if kind < 7:
        return f"(?:{inner()})" + generator.choice(["*", "+", "?", "{2}", "{1,2}", "*?", "{2,}"])
    opening = generator.choice(["(?=", "(?!", "(?<=", "(?<!", "(?m:", "(?i:", "("])
    return f"{opening}{inner()})"


def test_random_patterns_mean_what_the_regex_package_says() -> None:
    generator = random.Random(20)
    samples = texts("ab\n", 3)[1:]  # \B in an empty text: left to its own test
    compiled = 0
    for _ in range(300):
        pattern = random_pattern(generator, generator.randint(2, 4))
        assert not disagreements(pattern, samples, regex.compile)
        compiled += 1
    assert compiled == 300


def test_not_being_at_a_word_boundary_is_the_opposite_of_being_at_one() -> None:
    assert match(parse(r"\B"), "")
    assert not match(parse(r"\b"), "")


# Unicode


def test_the_table_is_of_the_version_it_says() -> None:
    first_line = files("grammars.regex").joinpath("unicode.txt").read_text().partition("\n")[0]
    assert f"Unicode {UNICODE_VERSION};" in first_line


def test_classes_agree_with_the_interpreter() -> None:
    everything = "".join(chr(p) for p in range(0x110000) if is_assigned(p))
    for letter in "dswDSW":
        for flags, mode in ((re.UNICODE, Mode()), (re.ASCII, Mode(ascii=True))):
            inside = "".join(rf"\U{low:08x}-\U{high:08x}" for low, high in category(letter, mode))
            ours, theirs = re.findall(f"[{inside}]+", everything), re.findall(rf"\{letter}+", everything, flags)
            assert ours == theirs, (letter, flags)


def test_general_categories_agree_with_the_interpreter() -> None:
    known: dict[str, set[int]] = {}
    for point in range(0x110000):
        if is_assigned(point):
            known.setdefault(unicodedata.category(chr(point)), set()).add(point)
    everything = set().union(*known.values())
    for name, expected in known.items():
        ours = {p for low, high in property_ranges(name, False) or () for p in range(low, high + 1)} & everything
        moved = ours ^ expected
        assert len(moved) <= 25, name  # Unicode has corrected the category of a few characters since


def test_ignoring_case_agrees_with_the_interpreter_on_every_character() -> None:
    cased = [c for c in map(chr, range(0x110000)) if is_assigned(ord(c)) and (c.lower(), c.upper()) != (c, c)]
    together = "".join(cased)
    for character in cased:
        theirs = set(re.findall(re.escape(character), together, re.IGNORECASE))
        assert theirs == {chr(p) for p in variants(ord(character), Mode())} & set(cased)


@pytest.mark.parametrize(
    ("expression", "inside", "outside"),
    [
        ("L", "aÉß字", "1 _"),
        ("Lu", "AÉ", "aé1"),
        ("Letter", "aA", "1"),
        ("gc=Uppercase_Letter", "AÉ", "a"),
        ("General_Category=Nd", "1٣", "½a"),
        ("LC", "aAǅ", "字1"),
        ("N", "1½Ⅷ", "a"),
        ("Script=Greek", "αΩ", "aа"),
        ("sc=Grek", "α", "a"),
        ("scx=Hira", "ーあ", "ア"),
        ("Script_Extensions=Thai", "ก", "a"),
        ("Alphabetic", "aé字", "1-"),
        ("White_Space", " \u3000", "a"),
        ("Emoji", "😀1", "a"),
        ("Extended_Pictographic", "😀", "1a"),
        ("ASCII", "a\x7f\x00", "é"),
        ("Any", "aé😀\n", ""),
        ("Assigned", "a", "\u0378"),
        ("Cn", "\u0378", "a"),
        ("ID_Start", "aé", "1_"),
    ],
)
@pytest.mark.parametrize("dialect", ["python", "ecma"])
def test_properties_hold_the_right_characters(expression: str, inside: str, outside: str, dialect: str) -> None:
    member, other = (parse(rf"\{p}{{{expression}}}", dialect=dialect) for p in "pP")
    assert all(match(member, c) and not match(other, c) for c in inside)
    assert all(match(other, c) and not match(member, c) for c in outside)
    assert match(parse(rf"[\p{{{expression}}}]", dialect=dialect), inside[0])
    assert not match(parse(rf"[^\p{{{expression}}}]", dialect=dialect), inside[0])


def test_scripts_without_their_key_and_loose_names_are_read_as_perl_does() -> None:
    assert parse(r"\p{greek}") == parse(r"\p{Script=Greek}") == parse(r"\p{sc = GREEK}")
    with pytest.raises(GrammarSyntaxError) as caught:
        parse(r"\p{Greek}", dialect="ecma")
    assert r"\p{Script=greek}" in (caught.value.hint or "")


def test_lone_surrogates_match_nothing_that_utf8_can_write() -> None:
    for dialect in ("python", "ecma"):
        assert not match(parse("a\\ud800", dialect=dialect), "a\ud800")
        assert not match(parse("a\ud800", dialect=dialect), "a\ud800")
        assert match(parse("[\\ud800-\\udfffx]", dialect=dialect), "x")
        assert match(parse("[^\\ud800-\\udfff]", dialect=dialect), "x")


# ECMA-262

ECMA: list[tuple[str, str, str]] = [  # pattern, texts it matches, texts it does not (each between blanks)
    (r"\d", "0 9", "٣ a"),
    (r"\w", "a Z 0 _", "é - ٣"),
    (r"\W", "é -", "a _"),
    (r"\s", "\ufeff \u00a0 \u2028 \u3000 \t", "a \u200b \x1c \x85"),
    (r"\S", "a \x85", "\ufeff"),
    (".", "a 😀 \x85", "\r \u2028 \u2029"),
    ("[^]", "a \r \u2028 😀", "ab"),
    ("[]|a", "a", "b"),
    ("[^a]", "b \u2028", "a"),
    (r"\u{61}\u{1F600}", "a😀", "a"),
    (r"\uD83D\uDE00", "😀", "a"),
    (r"[\uD83D\uDE00-\u{1F602}]", "😁", "a"),
    (r"\cJ|\cj|\x41|\0", "A \x00", "J"),
    (r"\/\.\-\_", "/.-_", "/"),
    (r"[\w-.]", "a - .", "b- ,"),
    (r"[\b]", "\b", "b"),
    (r"a{,2}", "a{,2}", "a aa"),
    (r"a{2}}]{x", "aa}]{x", "aa"),
    (r"(?<n>a)|(?<n>b)", "a b", "c"),
    (r"(?<$x>a)", "a", "b"),
    (r"(?i:a)b", "ab Ab", "aB"),
    (r"(?s:.)(?-s:.)", "aa \ra", "a\r"),
    (r"(?=a)*b", "b", "a"),
    (r"(?<=a+)b|ab(?<=ab)", "ab", "b"),
    (r"é\b", "", "é"),
    (r"_(?!\b)é|é\B", "é", "_é"),
]


@pytest.mark.parametrize(("pattern", "inside", "outside"), ECMA)
def test_an_ecma_pattern_means_what_the_standard_says(pattern: str, inside: str, outside: str) -> None:
    node = parse(pattern, dialect="ecma")
    assert [t for t in inside.split(" ") if t and not match(node, t)] == []
    assert [t for t in outside.split(" ") if t and match(node, t)] == []


def test_a_dollar_of_ecma_stands_at_the_very_end() -> None:
    assert not match(parse("a$", dialect="ecma", search=True), "a\n")
    assert match(parse("a$", dialect="ecma", search=True, flags="m"), "a\u2028")
    assert match(parse("a$", search=True), "a\n")


def test_case_is_folded_as_ecma_folds_it() -> None:
    def same(pattern: str) -> set[str]:
        node = parse(pattern, dialect="ecma", flags="i")
        return {c for c in "kKKsSſiIİıßẞåÅÅ-" if match(node, c)}

    assert same("k") == set("kKK")
    assert same("i") == set("iI")
    assert same("İ") == set("İ")
    assert same("ß") == set("ßẞ")
    assert same(r"\w") == set("kKKsSſiI")
    assert same(r"\W") == set("İıßẞåÅÅ-")
    assert same(r"\P{Lu}") == set("kKKsSſiIıßẞåÅÅ-") | ({"İ"} & same(r"\P{Lu}"))
    assert same("[^k]") == set("sSſiIİıßẞåÅÅ-")
    assert same(r"\b.") == set("kKKsSſiI")


ORACLE = """
const [patterns, samples] = JSON.parse(require('fs').readFileSync(0, 'utf8'));
console.log(JSON.stringify(patterns.map(([pattern, flags]) => {
  try { const r = new RegExp(pattern, 'u' + flags); return samples.map(s => r.test(s)) } catch (e) { return null }
})));
"""


def answers_of_node(patterns: list[tuple[str, str]], samples: list[str]) -> list[list[bool] | None]:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    done = subprocess.run([node, "-e", ORACLE], input=json.dumps([patterns, samples]), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def ecma_patterns() -> Iterator[tuple[str, str]]:
    yield from (("".join(p), "") for n in range(3) for p in itertools.product([*TOKENS[:11], "[^]"], repeat=n))
    generator = random.Random(3)
    for number in range(300):
        pattern = random_pattern(generator, 3).replace("(?m:", "(?:").replace("(?i:", "(").replace(r"\Z", "$")
        yield pattern, ["", "m", "i", "s", "mi"][number % 5]
    atoms = [r"\w", r"\W", r"\s", r"\S", r"[^\W]", r"\b.", ".", "[k-s]", "[^k-s]", r"\P{Lu}", r"\p{Ll}", "[^\\P{L}]"]
    yield from itertools.product(atoms, ["", "i", "s"])


def test_ecma_patterns_mean_what_node_says() -> None:
    samples = [*texts("ab\n", 3), *"_éK\u2028\ufeffſİıK\u01c5\r"]
    patterns = list(ecma_patterns())
    compared = 0
    for (pattern, flags), theirs in zip(patterns, answers_of_node(patterns, samples), strict=True):
        if theirs is not None:
            node = parse(pattern, dialect="ecma", flags=flags, search=True)
            assert [match(node, s) for s in samples] == theirs, (pattern, flags)
            compared += 1
    assert compared > 300


# Simplifications: what an automaton need not carry

WITHOUT_ASSERTIONS = r"""
^abc$  ^abc  abc$  ^(?:a|b)$  ^a|b$  (?:^|,)a(?:,|$)  ^(a|(b|c$))  (?P<n>^a$)  \Aa\Z  (?m)^a$  ^$  ^(?:(?:a|^b)c|d)$
^\w+$  (?:(?:^a)|(?:b$))  ^\b\w+\b$
"""


@pytest.mark.parametrize("pattern", WITHOUT_ASSERTIONS.split())
@pytest.mark.parametrize("search", [False, True])
def test_anchors_at_the_edges_leave_no_assertion_behind(pattern: str, search: bool) -> None:
    assert not any(isinstance(node, Look) for node in subexpressions(parse(pattern, search=search)))


def test_an_anchored_search_is_the_plain_expression() -> None:
    assert parse("^abc$", search=True, dialect="ecma") == Text(b"abc")
    assert parse("^abc", search=True) == sequence([text("abc"), ANY_TEXT])
    assert parse("abc", search=True) == sequence([ANY_TEXT, text("abc"), ANY_TEXT])
    assert parse("", search=True) == parse(".*", search=True) == ANY_TEXT
    assert parse("[a-z]{3,9}", search=True) == sequence([ANY_TEXT, parse("[a-z]{3}"), ANY_TEXT])


def test_a_word_boundary_with_a_known_side_is_one_look() -> None:
    assert parse(r"a\b-\bb") == text("a-b")
    looks = [node for node in subexpressions(parse(r"\bfoo\b", search=True)) if isinstance(node, Look)]
    assert len(looks) == 2


def test_counters_stay_numbers() -> None:
    assert parse("[ab]{2,1000000}") == Repeat(chars([(97, 98)]), 2, 1_000_000)
    assert parse("([ab]{1000}){1000}") == Repeat(chars([(97, 98)]), 1_000_000, 1_000_000)
    assert len(list(subexpressions(parse("(a{1000}b){1000}")))) <= 6


def test_names_are_kept() -> None:
    named = [n.name for n in subexpressions(parse("^(?P<year>[0-9]{4})-(?<month>[0-9]+)$")) if isinstance(n, Named)]
    assert sorted(named) == ["month", "year"]


def test_ignoring_case_leaves_characters_without_case_alone() -> None:
    assert parse("12-字", flags="i") == text("12-字")
    assert isinstance(parse("a", flags="i"), Chars)


# Errors

ERRORS = [  # pattern, where the caret stands
    ("a(b", 1),
    ("a)b", 1),
    ("(a))", 3),
    ("*a", 0),
    ("a|*", 2),
    ("a**", 2),
    ("a{2}{3}", 4),
    ("^*", 1),
    (r"\b+", 2),
    ("[ab", 0),
    ("x[]", 1),
    ("[b-a]", 1),
    (r"[\d-z]", 1),
    (r"ab\q", 2),
    ("ab\\", 2),
    (r"\xg0", 0),
    (r"\u12", 0),
    (r"\U00110000", 0),
    (r"\400", 0),
    (r"a\p{Nope}", 1),
    (r"\p{Script=Nope}", 0),
    (r"\pL", 0),
    (r"\N{NOPE}", 0),
    (r"\N{}", 0),
    ("a{3,2}", 1),
    ("(?P<1>a)", 0),
    ("(?P<a>a)(?P<a>b)", 8),
    ("(?P<a", 0),
    ("(?y)a", 0),
    ("a(?i)b", 1),
    ("(?i", 0),
    ("(?i-i:a)", 0),
    ("(?au:a)", 0),
    ("(?-i)a", 0),
    ("(?#a", 0),
    ("(?", 0),
    (r"a\2", 1),
    ("((((", 3),
]
ECMA_ERRORS = [
    (r"\a", 0),
    (r"\A", 0),
    (r"\Z", 0),
    (r"\00", 0),
    (r"\c1", 0),
    (r"\u{110000}", 0),
    (r"\u{}", 0),
    (r"\u{g}", 0),
    ("a*+", 2),
    ("{2}", 0),
    ("(?P<a>b)", 0),
    ("(?i)a", 0),
    ("(?x:a)", 0),
    ("(?>a)", 0),
    ("(?#a)", 0),
    ("(?<a>b)(?<a>c)", 7),
    ("((?<a>b)|c)(?<a>c)", 11),
    ("[^", 0),
    ("(?:a", 0),
]


@pytest.mark.parametrize(
    ("pattern", "place", "dialect"), [(*e, "python") for e in ERRORS] + [(*e, "ecma") for e in ECMA_ERRORS]
)
def test_a_syntax_error_shows_its_place(pattern: str, place: int, dialect: str) -> None:
    with pytest.raises(GrammarSyntaxError) as caught:
        parse(pattern, dialect=dialect)
    assert caught.value.span is not None
    assert caught.value.span.source == pattern
    assert caught.value.span.start == place


@pytest.mark.parametrize(
    ("pattern", "place", "dialect"),
    [
        (r"(a)\1", 3, "python"),
        (r"(?P<a>b)(?P=a)", 8, "python"),
        ("a(?>b)", 1, "python"),
        ("a*+", 1, "python"),
        ("a{2}+", 1, "python"),
        ("a(b)(?(1)c|d)", 4, "python"),
        (r"(a)\1", 3, "ecma"),
        (r"(?<a>b)\k<a>", 7, "ecma"),
        (r"\p{Changes_When_NFKC_Casefolded}", 0, "ecma"),
    ],
)
def test_what_no_automaton_can_do_is_refused_by_name(pattern: str, place: int, dialect: str) -> None:
    with pytest.raises(UnsupportedFeature) as caught:
        parse(pattern, dialect=dialect)
    assert caught.value.span is not None
    assert caught.value.span.start == place
    assert caught.value.hint


@pytest.mark.parametrize("flags", ["q", "L", "au", "I"])
def test_unknown_flags_are_errors(flags: str) -> None:
    with pytest.raises(GrammarSyntaxError):
        parse("a", flags=flags)
    with pytest.raises(GrammarSyntaxError):
        parse("a", flags="x", dialect="ecma")
    with pytest.raises(GrammarSyntaxError):
        parse("a", dialect="perl")


def test_random_bytes_are_patterns_or_errors_of_ours() -> None:
    generator = random.Random(11)
    pieces = [*"ab^$*?+|(){}[]-\\,:=!<>P#k1xuUNp\n é", "\ud800", "(?", r"\p{", "(?P<", "\\u{"]
    for _ in range(5_000):
        pattern = "".join(generator.choices(pieces, k=generator.randint(1, 12)))
        for dialect in ("python", "ecma"):
            message = outcome(pattern, dialect, generator.choice(["", "i", "m"]))
            assert message is None or message


def outcome(pattern: str, dialect: str, flags: str) -> str | None:
    """The message of the error, if there is one of ours; any other goes through."""
    try:
        parse(pattern, dialect=dialect, flags=flags, search=True)
    except ScansionError as error:
        return str(error)
    return None


# Limits

DEEP = 5_000
DEEPEST = 100_000
NESTED: dict[str, Callable[[int], str]] = {
    "plain": lambda n: "(" * n + "a" + ")" * n,
    "repeated": lambda n: "(" * n + "a" + "b)*" * n,
    "counted": lambda n: "(" * n + "a" + "){2}" * n,
    "left": lambda n: "(" * n + "a" + "[bc])" * n,
    "right": lambda n: "(a" * n + ")" * n,
    "choices to the left": lambda n: "(" * n + "a" + "|[bc])" * n,
    "choices to the right": lambda n: "(a|" * n + "b" + ")" * n,
    "alternating": lambda n: "(?:a|b" * n + ")" * n,
    "anchored": lambda n: "(?:^a|" * n + "b" + "c)" * n,
    "named": lambda n: "".join(f"(?P<n{i}>" for i in range(n)) + ")" * n,
    "ahead": lambda n: "(?=a" * n + ")" * n,
    "behind": lambda n: "(?<!a" * n + ")" * n,
    "flags": lambda n: "(?i:a" * n + ")" * n,
}


@pytest.mark.parametrize("shape", NESTED)
@pytest.mark.parametrize("search", [False, True])
def test_depth_is_limited_by_memory_alone(shape: str, search: bool) -> None:
    """On a stack of 256 KiB, which recursion would soon use up; and a limit says no before that."""
    pattern = NESTED[shape](DEEP)
    assert read_on_a_small_stack(pattern, search, Limits(nesting=DEEP))
    with pytest.raises(LimitExceeded) as caught:
        parse(pattern, search=search)
    assert caught.value.span is not None


def read_on_a_small_stack(pattern: str, search: bool, limits: Limits) -> bool:
    outcomes: list[bytes] = []
    before = threading.stack_size(256 << 10)
    try:
        thread = threading.Thread(target=lambda: outcomes.append(parse(pattern, search=search, limits=limits).key))
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    return len(outcomes) == 1


@pytest.mark.parametrize("shape", ["plain", "choices to the right"])
def test_a_hundred_thousand_levels_are_read_when_the_limits_allow(shape: str) -> None:
    assert read_on_a_small_stack(NESTED[shape](DEEPEST), True, Limits.trusted())


def test_sizes_and_counts_are_limited() -> None:
    with pytest.raises(LimitExceeded):
        parse("(?:){4294967296}")
    with pytest.raises(LimitExceeded):
        parse("a{" + "9" * 1_000_000 + "}")
    with pytest.raises(LimitExceeded):
        parse("é" * 60, limits=Limits(source_bytes=100))
    assert parse("é" * 50, limits=Limits(source_bytes=100)) == text("é" * 50)
    assert parse("a{" + "0" * 1_000 + "7}") == parse("a{7}")


@pytest.mark.parametrize("piece", ["a", "a|", "{", r"\(", "(?:a)", "[a-z]"])
def test_long_patterns_are_read_in_linear_time(piece: str) -> None:
    short = min(seconds(lambda: parse(piece * 2_000, search=True)) for _ in range(5))
    long = min(seconds(lambda: parse(piece * 32_000, search=True)) for _ in range(3))
    assert long < 16 * 5 * short


@pytest.mark.parametrize(
    "pattern",
    ["(" * 900, "[" + "a" * 1_000_000, "(?P<" + "a" * 1_000_000, r"\p{" + "a" * 1_000_000 + "}", "a" * 1_000_000 + "("],
)
def test_errors_in_long_patterns_are_found(pattern: str) -> None:
    with pytest.raises(GrammarError):
        parse(pattern)


def test_reading_a_pattern_takes_no_longer_than_compiling_it_twice_with_re() -> None:
    """Some 70 µs on a quiet machine; written as a ratio, because few machines are quiet."""
    pattern = r"^[a-zA-Z0-9._-]+@[a-z]+\.(?:com|org)\d*$"
    ours = min(seconds(lambda: parse(pattern, search=True)) for _ in range(200))
    theirs = min(seconds(lambda: recompiled(pattern)) for _ in range(200))
    assert ours < 2 * theirs


def recompiled(pattern: str) -> re.Pattern[str]:
    re.purge()
    return re.compile(pattern)


def seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin
