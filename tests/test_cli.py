"""The command: what it says, where it says it, and with which exit code it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from grammars.provenance import VERSION
from tests.command import scansion

__all__ = ["scansion"]


@pytest.fixture
def vocabulary(tmp_path: Path) -> str:
    """A file with the tokens a, b, ab, <end>."""
    path = tmp_path / "vocabulary.npz"
    np.savez(path, data=np.frombuffer(b"abab<end>", np.uint8), offsets=[0, 1, 2, 4, 9], eos_ids=[3])
    return str(path)


def ids(out: str) -> list[int]:
    return [
        int(line.split()[0])
        for line in out.splitlines()
        if line.split()[:1] and line.split()[0].isdigit() and "b'" in line
    ]


def test_it_knows_its_version(scansion):
    assert scansion("--version") == (0, f"scansion {VERSION}\n", "")


def test_mask_shows_exactly_the_tokens_that_may_follow(scansion, vocabulary):
    outcome = scansion("mask", "--regex", "a(ba)*", "--vocab", vocabulary)
    assert (outcome.code, ids(outcome.out)) == (0, [0, 2])
    assert "the text may not end here" in outcome.out
    outcome = scansion("mask", "a", "--regex", "a(ba)*", "--vocab", vocabulary)
    assert (outcome.code, ids(outcome.out)) == (0, [1, 3])
    assert "the text may end here" in outcome.out


def test_mask_shows_what_is_forced(scansion):
    outcome = scansion("mask", "ab", "--regex", "abcdef[0-9]")
    assert "forced: b'cdef'" in outcome.out


def test_mask_takes_bytes_that_are_no_text(scansion):
    outcome = scansion("mask", "\udcc3", "--regex", "é")
    assert outcome.code == 0
    assert ids(outcome.out) == [0xA9]


def test_a_prefix_outside_the_language_is_a_no_and_says_where(scansion):
    outcome = scansion("mask", "abx", "--regex", "abc")
    assert outcome.code == 1
    assert "after b'ab' no token leads on to b'x'" in outcome.out


def test_mask_shows_as_many_tokens_as_asked(scansion):
    outcome = scansion("mask", "--regex", "[a-z]", "--limit", "3")
    assert len(ids(outcome.out)) == 3
    assert "and 23 more" in outcome.out


@pytest.mark.parametrize("command", ["check", "mask"])
def test_a_wrong_grammar_is_told_with_a_caret_on_standard_error(scansion, command):
    outcome = scansion(command, "--regex", "a(b")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("error: ")
    assert "\n  a(b\n" in outcome.err
    assert "^" in outcome.err
    assert "Traceback" not in outcome.err


def test_mask_refuses_an_empty_language(scansion):
    outcome = scansion("mask", "--regex", r"a\bb")
    assert outcome.code == 2
    assert "the language is empty" in outcome.err


def test_mask_knows_schemas_and_their_options(scansion):
    outcome = scansion("mask", '{"a":', "--schema", '{"properties": {"a": {"const": 1}}}', "-o", "whitespace=compact")
    assert outcome.code == 0
    assert ids(outcome.out) == [ord("1")]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", b"\x80\x04."])
def test_a_file_that_is_no_vocabulary_is_an_error(scansion, tmp_path, content):
    (tmp_path / "wrong.npz").write_bytes(content)
    outcome = scansion("check", "--regex", "a", "--vocab", str(tmp_path / "wrong.npz"))
    assert outcome.code == 2
    assert "cannot be read as a vocabulary" in outcome.err


@pytest.mark.parametrize("offsets", [[], [1, 9], [0, 5], [0, 5, 3, 9], [[0, 9]], [0.0, 9.0]])
def test_offsets_that_do_not_cut_the_data_are_an_error(scansion, tmp_path, offsets):
    path = tmp_path / "wrong.npz"
    np.savez(path, data=np.frombuffer(b"abab<end>", np.uint8), offsets=np.array(offsets), eos_ids=[0])
    outcome = scansion("check", "--regex", "a", "--vocab", str(path))
    assert outcome.code == 2
    assert "offsets must rise" in outcome.err


def test_a_vocabulary_file_with_objects_is_not_unpickled(scansion, tmp_path):
    path = tmp_path / "pickled.npz"
    np.savez(path, data=np.array([object()], object), offsets=[0, 1], eos_ids=[0])
    outcome = scansion("check", "--regex", "a", "--vocab", str(path))
    assert outcome.code == 2
    assert "cannot be read as a vocabulary" in outcome.err


def test_a_grammar_file_that_is_no_text_is_an_error(scansion, tmp_path):
    (tmp_path / "grammar.lark").write_bytes(b"\xff\xfe")
    outcome = scansion("check", "--lark", str(tmp_path / "grammar.lark"))
    assert outcome.code == 2
    assert "cannot be read" in outcome.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["check"],
        ["check", "--regex", "a", "--gbnf", "b"],
        ["check", "true", "--schema", "true"],
        ["check", "true", "-o", "colour=red"],
        ["check", "true", "-o", "draft=5"],
        ["mask"],
        ["no-such-command"],
        ["--what"],
    ],
)
def test_a_wrong_call_is_told_with_exit_code_2(scansion, arguments):
    outcome = scansion(*arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert "Traceback" not in outcome.err


def test_warm_compiles_and_says_so(scansion):
    outcome = scansion("warm")
    assert outcome.code == 0
    assert "kernels ready" in outcome.out


@pytest.mark.skipif(sys.platform == "win32", reason="signals are different there")
def test_an_interrupt_ends_it_quietly_with_exit_code_130():
    code = """
        import signal, sys, decoding.cli, decoding.checking
        signal.signal(signal.SIGINT, signal.default_int_handler)  # shells ignore it for what runs in the background
        def endless(*_):
            print("running", flush=True)
            import time
            time.sleep(60)
        decoding.checking.check = endless
        sys.argv = ["scansion", "check", "true"]
        decoding.cli.main()
    """
    lines = "\n".join(line[8:] for line in code.splitlines())
    process = subprocess.Popen([sys.executable, "-c", lines], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (130, "")
