"""A saved program is the same program; any other file is refused."""

from __future__ import annotations

import gzip
import os
import pickle
import random
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from io import BytesIO, StringIO
from pathlib import Path

import numpy as np
import pytest

from grammars import (
    DEAD,
    Grammar,
    LimitExceeded,
    Limits,
    SerializationError,
    TokenAutomaton,
    UnsatisfiableGrammar,
    Vocabulary,
    json_schema,
    lark,
    literal,
    regex,
)
from grammars.expression import EPSILON, Choice, Named, Node, Not, Sequence, Text, text
from grammars.serialization import container
from grammars.serialization.container import MAGIC, VERSION, pack, unpack
from grammars.serialization.nodes import read_nodes, write_nodes
from tests.naive.random_nodes import random_regular
from tests.random_languages import random_rules, random_vocabulary
from tests.saved_programs import GRAMMARS, SECTIONS, loaded, parts, saved, try_damaged, vocabulary

REPOSITORY = Path(__file__).resolve().parents[1]
INFORMATION, OPS, TARGETS, RULES, ROWS, EDGES, RECORDS, LINKS, DATA, ROOTS = range(SECTIONS)


@pytest.fixture(scope="module")
def tokens() -> Vocabulary:
    return vocabulary()


@pytest.fixture(params=GRAMMARS)
def automaton(request: pytest.FixtureRequest, tokens: Vocabulary) -> TokenAutomaton:
    return GRAMMARS[request.param]().compile(tokens)


def same_walks(one: TokenAutomaton, other: TokenAutomaton, rng: random.Random, steps: int) -> None:
    """Both automata allow the same tokens along random texts."""
    for _ in range(5):
        a, b = one.start, other.start
        for _ in range(steps):
            mask = one.mask(a)
            assert np.array_equal(mask, other.mask(b))
            assert one.accepts(a) == other.accepts(b)
            allowed = [t for t in range(one.vocabulary.size) if mask[t >> 5] >> (t & 31) & 1]
            if not allowed:
                break
            token = rng.choice(allowed)
            a, b = one.advance(a, token), other.advance(b, token)
            assert DEAD not in (a, b)


def same_programs(one: TokenAutomaton, other: TokenAutomaton) -> bool:
    return all(
        np.array_equal(ours, theirs) for ours, theirs in zip(one._lowered.program, other._lowered.program, strict=True)
    )


# -- round trips ------------------------------------------------------------------------------------------------------


@pytest.mark.jitless
def test_a_loaded_automaton_allows_the_same_tokens(automaton: TokenAutomaton):
    again = loaded(saved(automaton), automaton.vocabulary)
    same_walks(automaton, again, random.Random(1), steps=12)


def test_a_loaded_program_is_the_same_program(automaton: TokenAutomaton):
    again = loaded(saved(automaton), automaton.vocabulary)
    assert same_programs(automaton, again)
    assert again._lowered.rule_names == automaton._lowered.rule_names
    assert [r.node for r in again._lowered.residuals] == [r.node for r in automaton._lowered.residuals]


def test_what_was_loaded_is_saved_as_the_same_bytes(automaton: TokenAutomaton):
    data = saved(automaton)
    assert saved(loaded(data, automaton.vocabulary)) == data


def test_using_an_automaton_does_not_change_what_is_saved(automaton: TokenAutomaton):
    before = saved(automaton)
    same_walks(automaton, automaton, random.Random(2), steps=8)
    assert saved(automaton) == before


def test_random_grammars_survive():
    survived = 0
    for seed in range(200):
        rng = random.Random(seed)
        start, rules = random_rules(rng)
        try:
            automaton = Grammar(start, rules).compile(random_vocabulary(rng))
        except UnsatisfiableGrammar:
            continue
        again = loaded(saved(automaton), automaton.vocabulary)
        assert same_programs(automaton, again)
        same_walks(automaton, again, rng, steps=4)
        survived += 1
    assert survived > 100


def test_the_report_is_kept():
    notes = ("exact: maxLength", {"keyword": "format", "enforced": False, "where": ["properties", "é"]})
    automaton = Grammar(text("a"), notes=notes).compile(vocabulary())
    assert loaded(saved(automaton), vocabulary()).report() == list(notes)


def test_the_report_of_a_schema_is_kept(tokens: Vocabulary):
    automaton = GRAMMARS["schema"]().compile(tokens)
    again = loaded(saved(automaton), tokens)
    assert again.report() == automaton.report()
    assert [str(line) for line in again.report() if line.keyword == "maxLength"] == [
        "#/properties/b maxLength: a counter"
    ]


def test_a_schema_whose_texts_are_counted_and_intersected_says_how_to_save_it(tokens: Vocabulary):
    both = json_schema({"type": "string", "pattern": "^[ab]*$", "not": {"pattern": "aa"}})
    with pytest.raises(SerializationError, match="is saved as the schema"):
        both.compile(tokens).save(BytesIO())


def test_a_path_is_written_in_one_piece(tmp_path: Path, tokens: Vocabulary):
    path = tmp_path / "program"
    literal("a").compile(tokens).save(path)
    literal("b").compile(tokens).save(str(path))
    automaton = TokenAutomaton.load(path, tokens)
    assert automaton.allows(automaton.start, tokens.tokens.index(b"b"))
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_while_writing_leaves_the_old_file(
    tmp_path: Path, tokens: Vocabulary, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "program"
    literal("a").compile(tokens).save(path)
    before = path.read_bytes()

    def full_disk(self: Path, data: bytes) -> int:
        with open(self, "wb") as file:
            file.write(data[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(OSError, match="No space"):
        literal("b").compile(tokens).save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


# -- vocabularies -----------------------------------------------------------------------------------------------------


def test_another_vocabulary_is_refused(tokens: Vocabulary):
    data = saved(literal("a").compile(tokens))
    for other in (
        Vocabulary(tokens.tokens, eos=tokens.eos),
        Vocabulary(tokens.tokens, eos=tokens.special, special=tokens.special),
        Vocabulary([*tokens.tokens, b"x"], eos=tokens.eos, special=tokens.special),
    ):
        with pytest.raises(SerializationError, match="was saved for the vocabulary"):
            loaded(data, other)
    loaded(data, Vocabulary(list(tokens.tokens), eos=list(tokens.eos), special=list(tokens.special)))


def test_a_saved_grammar_fits_every_vocabulary(tokens: Vocabulary):
    file = BytesIO()
    regex("[ab]+").save(file)
    for chosen in (tokens, Vocabulary([b"a", b"b", b"<end>"], eos=[2])):
        automaton = loaded(file.getvalue(), chosen)
        same_walks(automaton, regex("[ab]+").compile(chosen), random.Random(3), steps=5)


# -- corrupt files ----------------------------------------------------------------------------------------------------

SMALL = ("look-ahead", "no upper bound")


@pytest.mark.parametrize("name", SMALL)
def test_every_truncation_is_noticed(name: str, tokens: Vocabulary):
    data = saved(GRAMMARS[name]().compile(tokens))
    for length in range(len(data)):
        with pytest.raises(SerializationError, match=r"truncated|empty"):
            loaded(data[:length], tokens)


@pytest.mark.parametrize("name", SMALL)
def test_every_flipped_bit_is_noticed(name: str, tokens: Vocabulary):
    data = saved(GRAMMARS[name]().compile(tokens))
    for at in range(len(data)):
        for bit in range(8):
            flipped = bytearray(data)
            flipped[at] ^= 1 << bit
            with pytest.raises(SerializationError):
                loaded(bytes(flipped), tokens)


def test_bytes_behind_the_end_are_noticed(tokens: Vocabulary):
    with pytest.raises(SerializationError, match="followed by something else"):
        loaded(saved(literal("a").compile(tokens)) + b"\0", tokens)


def foreign_files() -> dict[str, bytes]:
    ours = saved(literal("a").compile(vocabulary()))
    array = BytesIO()
    np.save(array, np.arange(10))
    return {
        "nothing": b"",
        "text": b'root ::= "a"\n',
        "a pickle": pickle.dumps({"ops": [1, 2, 3]}),
        "an array": array.getvalue(),
        "an image": b"\x89PNG\r\n\x1a\n" + bytes(100),
        "zeros": bytes(4096),
        "our file, compressed": gzip.compress(ours),
        "our file, line ends converted": ours.replace(b"\r\n", b"\n"),
        "our file, high bits stripped": bytes(byte & 127 for byte in ours),
        "our file, as UTF-8": ours.decode("latin-1").encode(),
        "our file, twice": ours + ours,
    }


@pytest.mark.parametrize("name", foreign_files())
def test_a_foreign_file_is_refused(name: str, tokens: Vocabulary):
    with pytest.raises(SerializationError):
        loaded(foreign_files()[name], tokens)


def test_a_pickle_is_never_loaded(tokens: Vocabulary):
    class Trap:
        def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
            return pytest.fail, ("a file was executed",)

    for data in (pickle.dumps(Trap()), MAGIC + pickle.dumps(Trap())):
        with pytest.raises(SerializationError):
            loaded(data, tokens)


@pytest.mark.parametrize("version", [0, VERSION + 1, 2**32 - 1])
def test_another_version_is_refused_by_name(version: int, tokens: Vocabulary):
    data = bytearray(saved(literal("a").compile(tokens)))
    data[16:20] = struct.pack("<I", version)
    with pytest.raises(SerializationError, match=f"has version {version} of the format.*reads version {VERSION}"):
        loaded(bytes(data), tokens)


def test_a_file_opened_as_text_is_refused(tokens: Vocabulary):
    with pytest.raises(SerializationError, match="does not give bytes"):
        TokenAutomaton.load(StringIO("text"), tokens)  # pyright: ignore[reportArgumentType]


def test_a_missing_file_is_an_error_of_the_system(tmp_path: Path, tokens: Vocabulary):
    with pytest.raises(FileNotFoundError):
        TokenAutomaton.load(tmp_path / "missing", tokens)


# -- files with the right checksum and wrong content ------------------------------------------------------------------


def numbers(section: bytearray, columns: int, kind: str = "<i4") -> np.ndarray:
    """A section as an array that can be written to."""
    return np.frombuffer(section, kind).reshape(-1, columns)


def refusal(data: bytes, change: Callable[[list[bytearray]], object], tokens: Vocabulary) -> str:
    """What is said about a file whose sections were changed."""
    sections = parts(data)
    change(sections)
    with pytest.raises(SerializationError) as caught:
        loaded(pack([bytes(section) for section in sections]), tokens)
    return str(caught.value)


def put(section: int, columns: int, row: int, column: int, value: int, kind: str = "<i4"):
    def change(sections: list[bytearray]) -> None:
        numbers(sections[section], columns, kind)[row, column] = value

    return change


def replace(section: int, old: bytes, new: bytes):
    def change(sections: list[bytearray]) -> None:
        assert old in sections[section]
        sections[section][:] = sections[section].replace(old, new, 1)

    return change


def state_of_kind(kind: int, column: int, value: int):
    """Change the last state with an operation of this kind."""

    def change(sections: list[bytearray]) -> None:
        ops = numbers(sections[OPS], 3)
        ops[np.flatnonzero(ops[:, 0] == kind)[-1], column] = value

    return change


def cut(section: int, size: int):
    return lambda sections: sections[section].__delitem__(slice(len(sections[section]) - size, None))


def share_a_body(sections: list[bytearray]) -> None:
    rules = numbers(sections[RULES], 3)
    rules[2, 0] = rules[1, 0]


def never_end(sections: list[bytearray]) -> None:
    """The last word of the start rule leads back to its beginning."""
    ops, rules = numbers(sections[OPS], 3), numbers(sections[RULES], 3)
    ops[rules[0, 0], 2] = rules[0, 0]


def nothing_to_read(sections: list[bytearray]) -> None:
    """All rules return at once, and no state is left but those in front of the first."""
    del sections[OPS][48:]
    sections[TARGETS].clear()
    numbers(sections[RULES], 3)[:, 0] = 1


def swap_ends(sections: list[bytearray]) -> None:
    """Ordinary rules end as repetitions do."""
    ops = numbers(sections[OPS], 3)
    ops[5:, 2][(ops[5:, 0] != 1) & (ops[5:, 2] == 1)] = 2


def swap_edges(sections: list[bytearray]) -> None:
    """The edges of a row with two of them change places."""
    rows, edges = numbers(sections[ROWS], 2), numbers(sections[EDGES], 3)
    row = int(np.flatnonzero(rows[:, 0] >= 2)[0])
    at = int(rows[:row, 0].sum())
    edges[[at, at + 1]] = edges[[at + 1, at]]


LEX, SPLIT, CALL = 0, 1, 2
BAD_NETWORKS: dict[str, tuple[Callable[[list[bytearray]], object], str]] = {
    "an unknown operation": (state_of_kind(LEX, 0, 9), "no known operation"),
    "a second acceptance": (state_of_kind(LEX, 0, 5), "no known operation"),
    "a negative operation": (state_of_kind(LEX, 0, -1), "no known operation"),
    "a row too many": (state_of_kind(LEX, 1, 10_000), "row 10000 is not between"),
    "a negative row": (state_of_kind(LEX, 1, -1), "row -1 is not between"),
    "a state too many": (state_of_kind(LEX, 2, 10_000), "state 10000 is not between"),
    "a negative state": (state_of_kind(CALL, 2, -1), "state -1 is not between"),
    "a rule too many": (state_of_kind(CALL, 1, 10_000), "rule 10000 is not between"),
    "a choice beyond the targets": (state_of_kind(SPLIT, 2, 10_000), "position among the targets 10000"),
    "a choice before the targets": (state_of_kind(SPLIT, 1, -1), "position among the targets -1"),
    "a choice that ends first": (state_of_kind(SPLIT, 2, 0), "ends before it begins"),
    "a choice of everything": (state_of_kind(SPLIT, 1, 0), "share their targets"),
    "a target too many": (put(TARGETS, 1, 0, 0, 10_000), "state 10000 is not between"),
    "a first state that is no acceptance": (put(OPS, 3, 0, 0, LEX), "does not begin with the states"),
    "too few states": (lambda sections: sections[OPS].__delitem__(slice(36, None)), "does not begin with the states"),
    "no first state": (nothing_to_read, "no first state"),
    "a first state elsewhere": (put(OPS, 3, 4, 2, 5), "no first state"),
    "a first state that reads on": (put(EDGES, 3, 0, 2, 1), "first state reads something else"),
    "a rule that starts nowhere": (put(RULES, 3, 0, 0, 10_000), "start of a rule 10000"),
    "a rule that accepts": (put(RULES, 3, 0, 0, 0), "state 0 is part of two rules or ends one"),
    "a rule that ends as a repetition": (put(RULES, 3, 0, 0, 2), "state 2 is part of two rules or ends one"),
    "a start rule with a count": (put(RULES, 3, 0, 1, 0), "no start rule"),
    "no rules": (lambda sections: sections[RULES].clear(), "is not between|no start rule"),
    "a lower bound of too much": (put(RULES, 3, -1, 1, 2**30 + 1), "lower bound 1073741825"),
    "an upper bound of too much": (put(RULES, 3, -1, 2, 2**30 + 1), "upper bound 1073741825"),
    "an upper bound of nothing": (put(RULES, 3, -1, 2, 0), "a repetition ends before it begins"),
    "a negative bound": (put(RULES, 3, -1, 1, -2), "lower bound -2"),
    "rules that share a body": (share_a_body, "is part of two rules"),
    "a rule that never ends": (never_end, "has no strings|never finish"),
    "rules that end wrongly": (swap_ends, "state 2 is part of two rules or ends one"),
    "a row with a negative number of edges": (put(ROWS, 2, 1, 0, -1), "number of edges -1"),
    "a row with too many edges": (put(ROWS, 2, 1, 0, 2), "more or fewer edges"),
    "a row that accepts twice": (put(ROWS, 2, 1, 1, 2), "acceptance 2"),
    "a final row that does not accept": (put(ROWS, 2, 0, 1, 0), "final row does not accept"),
    "a final row with edges": (put(ROWS, 2, 0, 0, 1), "final row|more or fewer edges"),
    "an edge of byte 256": (put(EDGES, 3, -1, 1, 256), "byte 256 is not between"),
    "an edge of no bytes": (put(EDGES, 3, -1, 0, 255), "an edge has no bytes"),
    "an edge to nowhere": (put(EDGES, 3, -1, 2, 10_000), "target row 10000"),
    "edges out of order": (swap_edges, "out of order"),
    "half an operation": (cut(OPS, 4), "rows of 12"),
    "half a number": (cut(TARGETS, 1), "rows of 4"),
    "names that are missing": (replace(INFORMATION, b'"start",', b""), "rules have names"),
    "names that are numbers": (replace(INFORMATION, b'"start"', b"7"), "no list of texts"),
    "names that are no JSON": (replace(INFORMATION, b"{", b"{{"), "no JSON"),
    "names that are no UTF-8": (replace(INFORMATION, b"start", b"\xff"), "no JSON"),
    "a report that is a number": (replace(INFORMATION, b'"notes":[]', b'"notes":0'), "no list"),
    "a report of a huge number": (replace(INFORMATION, b'"notes":[]', b'"notes":[' + b"1" * 9999 + b"]"), "no JSON"),
    "a line of the report without a place": (
        replace(INFORMATION, b'"notes":[]', b'"notes":[{"location":1,"keyword":"a","means":"b","enforced":true}]'),
        "a line of the report",
    ),
    "something more to say": (replace(INFORMATION, b'"notes"', b'"more":1,"notes"'), "not what they should be"),
    "a fingerprint that is a number": (replace(INFORMATION, b'"vocabulary":"', b'"vocabulary":1,"":"'), "not what"),
    "a fingerprint that is a list": (replace(INFORMATION, b'"rules":[', b'"vocabulary":[],"rules":['), "is no text"),
}

WORDS = """
start: (item ",")~20..30
item: "ab" item | number | word
number: ("12" | "1" | "345")~10..40
word: "x" | "yz" word
"""


@pytest.fixture(scope="module")
def network(tokens: Vocabulary) -> bytes:
    return saved(lark(WORDS).compile(tokens))


@pytest.mark.parametrize("name", BAD_NETWORKS)
def test_a_network_is_checked_before_kernels_read_it(name: str, network: bytes, tokens: Vocabulary):
    change, message = BAD_NETWORKS[name]
    said = refusal(network, change, tokens)
    assert any(part in said for part in message.split("|")), said


def without_strings(sections: list[bytearray]) -> None:
    """Put the empty choice in place of the expression behind the lazy rows."""
    for section, new in zip((RECORDS, LINKS, DATA, ROOTS), write_nodes([Choice(())]), strict=True):
        sections[section][:] = new


def record(kind: int, column: int, value: int):
    """Change the last record of this kind."""

    def change(sections: list[bytearray]) -> None:
        records = numbers(sections[RECORDS], 5, "<i8")
        records[np.flatnonzero(records[:, 0] == kind)[-1], column] = value

    return change


def put_bound(old: int, new: int):
    """Change the upper bound of the repetition that has this one."""

    def change(sections: list[bytearray]) -> None:
        records = numbers(sections[RECORDS], 5, "<i8")
        assert (records[:, 4] == old).sum() == 1
        records[records[:, 4] == old, 4] = new

    return change


def code_points(low: int, high: int):
    """Change the one set of characters."""

    def change(sections: list[bytearray]) -> None:
        records = numbers(sections[RECORDS], 5, "<i8")
        number = int(np.flatnonzero(records[:, 0] == CHARS)[0])
        at = int(records[:number, 2].sum())
        sections[DATA][at : at + 8] = struct.pack("<ii", low, high)

    return change


TEXT, CHARS, SEQUENCE, REPEAT, LOOK = 0, 2, 3, 5, 8
BAD_NODES: dict[str, tuple[Callable[[list[bytearray]], object], str]] = {
    "an unknown kind": (put(RECORDS, 5, 0, 0, 10, "<i8"), "kind of expression 10"),
    "a negative kind": (put(RECORDS, 5, 0, 0, -1, "<i8"), "kind of expression -1"),
    "too many parts": (record(REPEAT, 1, 2), "more or fewer parts"),
    "a negative number of parts": (record(REPEAT, 1, -1), "number of sub-expressions -1"),
    "parts of a literal": (record(REPEAT, 0, TEXT), "wrong number of parts"),
    "an expression inside itself": (put(LINKS, 1, 0, 0, 1), "part of itself"),
    "a part from nowhere": (put(LINKS, 1, -1, 0, 1_000), "sub-expression 1000"),
    "a negative part": (put(LINKS, 1, -1, 0, -1), "sub-expression -1"),
    "too few bytes": (lambda sections: sections[DATA].__delitem__(slice(0, 1)), "length of an|more or fewer bytes"),
    "bytes that mean nothing": (record(TEXT, 0, SEQUENCE), "bytes that mean nothing"),
    "a repetition that ends first": (put_bound(5, 1), "a repetition ends before it begins"),
    "a repetition of too much": (record(REPEAT, 3, 2**62 + 1), "a repetition ends before it begins"),
    "an assertion to the side": (record(LOOK, 3, 2), "neither ahead nor behind"),
    "characters in the wrong order": (code_points(9, 8), "a range of characters is none"),
    "characters beyond the last": (code_points(9, 0x110000), "a range of characters is none"),
    "characters that overlap": (code_points(0, 0x10FFFF), "out of order|surrogates"),
    "surrogates": (code_points(0xD800, 0xD800), "surrogates|out of order"),
    "an expression too many": (put(ROOTS, 1, 0, 0, 1_000), "expression 1000"),
    "the same expression twice": (lambda sections: sections[ROOTS].extend(sections[ROOTS]), "are the same expression"),
    "a lexeme without strings": (without_strings, "a lexeme of the program has no strings"),
    "a name that is no UTF-8": (replace(DATA, b"name", b"\xff\xff\xff\xff"), "no UTF-8"),
    "a name with a surrogate": (replace(DATA, b"name", b"x\xed\xa0\x80"), "no UTF-8"),
    "a set of bytes that is cut off": (record(TEXT, 0, 1), "256 bits"),
}


@pytest.mark.parametrize("name", BAD_NODES)
def test_expressions_are_checked_before_they_are_made(name: str, tokens: Vocabulary):
    change, message = BAD_NODES[name]
    data = saved(regex("(?!ab)(?P<name>[é-ü])(ab|c){2,5}(?!x)").compile(tokens))
    said = refusal(data, change, tokens)
    assert any(part in said for part in message.split("|")), said


def test_sections_are_counted_and_measured(tokens: Vocabulary):
    sections = [bytes(section) for section in parts(saved(literal("a").compile(tokens)))]
    with pytest.raises(SerializationError, match="sections and should have"):
        loaded(pack([*sections, b""]), tokens)
    with pytest.raises(SerializationError, match="do not add up"):
        unpack(with_body(struct.pack("<QQ", 5, 2**63) + b"abc"), 2)
    with pytest.raises(SerializationError, match="cut off"):
        unpack(with_body(b"abc"), 2)


def with_body(body: bytes) -> bytes:
    """A container of two sections whose table is not what it should be."""
    prefix = container._PREFIX.pack(MAGIC, VERSION, 2, container._HEADER_SIZE + len(body))
    return prefix + container._digest(prefix, body) + body


# -- limits and depth -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "limits",
    [Limits(states=5), Limits(cache_bytes=500), Limits(repeat=39)],
    ids=["states", "bytes", "repeat"],
)
def test_a_program_beyond_the_limits_of_its_reader_is_refused(limits: Limits, network: bytes, tokens: Vocabulary):
    with pytest.raises(LimitExceeded):
        loaded(network, tokens, limits)


def test_rules_beyond_the_limits_are_refused(network: bytes, tokens: Vocabulary):
    sections = parts(network)
    sections[RULES] += struct.pack("<iii", 1, -1, 0) * 1_000
    with pytest.raises(LimitExceeded, match="rules up to"):
        loaded(pack([bytes(section) for section in sections]), tokens, Limits(states=500))


def test_expressions_beyond_the_limits_are_refused(tokens: Vocabulary):
    data = saved(GRAMMARS["look-ahead"]().compile(tokens))
    with pytest.raises(LimitExceeded, match="expressions with"):
        loaded(data, tokens, Limits(source_bytes=1))


def test_the_work_of_expressions_counts(tokens: Vocabulary):
    data = saved(GRAMMARS["look-ahead"]().compile(tokens))
    with pytest.raises(LimitExceeded, match="compile_work"):
        loaded(data, tokens, Limits(compile_work=1))


def on_a_small_stack(function: Callable[[], object]) -> BaseException | None:
    """Run on a thread with a stack of 256 KiB; the exception, if there was one."""
    raised: list[BaseException] = []

    def call() -> None:
        try:
            function()
        except BaseException as error:  # noqa: BLE001
            raised.append(error)

    before = threading.stack_size(256 * 1024)
    try:
        thread = threading.Thread(target=call)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    return raised[0] if raised else None


def through_a_table(roots: list[Node]) -> list[Node]:
    return read_nodes([memoryview(section) for section in write_nodes(roots)], Limits())


def test_deep_expressions_need_no_stack():
    node: Node = text("a")
    for _ in range(100_000):
        node = Not(node)  # the functions that make nodes would cancel them

    def there_and_back() -> None:
        assert through_a_table([node]) == [node]

    assert on_a_small_stack(there_and_back) is None


def test_shared_expressions_stay_shared():
    node: Node = Named("é", Text(b"\x00\xff"))
    for _ in range(64):
        node = Sequence((node, EPSILON, node))
    assert through_a_table([node]) == [node]
    assert len(write_nodes([node])[0]) == 8 * 5 * (64 + 3)


def test_random_expressions_survive():
    rng = random.Random(7)
    nodes = list(dict.fromkeys(random_regular(rng, 4) for _ in range(300)))
    assert through_a_table(nodes) == nodes


def test_a_deep_report_needs_no_stack(network: bytes, tokens: Vocabulary):
    sections = parts(network)
    sections[INFORMATION][-2:] = b"[" * 100_000 + b"]" * 100_000 + b"]}"
    data = pack([bytes(section) for section in sections])
    error = on_a_small_stack(lambda: loaded(data, tokens))
    assert isinstance(error, SerializationError)
    assert "too deep" in str(error)


def test_a_report_that_cannot_be_read_back_is_not_written(tokens: Vocabulary):
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    mistaken = {"location": 1, "keyword": "a", "means": "b", "enforced": True}
    for notes in ([object()], [deep], [{"a": {1, 2}}], [mistaken]):
        with pytest.raises(SerializationError, match="an entry of the report"):
            saved(Grammar(text("a"), notes=notes).compile(tokens))


# -- damage with the right checksum -----------------------------------------------------------------------------------


@pytest.mark.jitless
@pytest.mark.parametrize("name", GRAMMARS)
def test_a_damaged_program_is_refused_or_works(name: str):
    refused, used = try_damaged(name, range(25))
    assert refused > 0
    assert refused + used == 25


def test_kernels_never_read_beyond_a_damaged_program(request: pytest.FixtureRequest):
    cache = request.config.cache
    assert cache is not None
    # Kernels that check every index need a cache of their own: numba's does not tell them apart.
    environment = os.environ | {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(cache.mkdir("checked-kernels"))}
    environment["PYTHONPATH"] = str(REPOSITORY)
    script = REPOSITORY / "tests" / "saved_programs.py"
    run = subprocess.run(
        [sys.executable, str(script), "60"], env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert run.returncode == 0, run.stderr
    assert len(run.stdout.splitlines()) == len(GRAMMARS)
