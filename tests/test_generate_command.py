"""`scansion generate` and `scansion bench`: what they write, how they fail, and what an interrupt leaves."""

from __future__ import annotations

import io
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import samplers
from decoding.sampler_names import names, options_of, sampler_of
from samplers import InvalidOption
from tests.command import scansion

__all__ = ["scansion"]

ASK = "How old is Ada? 36.\nAnswer: "
AGE = "1[89]|2[0-9]|30"


def lines(out: str) -> list[dict]:
    return [json.loads(line) for line in out.splitlines()]


def test_one_answer_is_printed_as_it_is(scansion):
    outcome = scansion("generate", ASK, "--regex", AGE, "--seed", "1")
    assert outcome.code == 0
    assert re.fullmatch(f"({AGE})\n", outcome.out)
    assert outcome.err == ""


def test_a_seed_makes_a_run_repeatable(scansion):
    given = ("generate", ASK, "--regex", "[0-9]{6}", "-n", "3", "--seed", "5", "--jsonl")
    first, second = scansion(*given), scansion(*given)
    assert first.out == second.out
    assert len({line["text"] for line in lines(first.out)}) > 1


@pytest.mark.parametrize(
    ("form", "fits"),
    [
        (["--regex", "a{3}"], lambda value: value == "aaa"),
        (["--choice", "x", "--choice", "y"], lambda value: value in ("x", "y")),
        (["--lark", 'start: "p" | "q"'], lambda value: value in ("p", "q")),
        (["--gbnf", 'root ::= "m" "n"'], lambda value: value == "mn"),
        (
            ["--schema", '{"type": "integer", "minimum": 3, "maximum": 4}', "-o", "numbers=decimal"],
            lambda v: 3 <= v <= 4,
        ),
    ],
)
def test_every_form_is_kept_and_parsed(scansion, form, fits):
    outcome = scansion("generate", "1 + 2 = ", *form, "--jsonl", "--seed", "0")
    assert outcome.code == 0
    (line,) = lines(outcome.out)
    assert line["finish"] == "end"
    assert fits(line["value"])


def test_a_pydantic_model_is_found_in_the_working_directory(scansion, tmp_path, monkeypatch):
    pytest.importorskip("pydantic")
    (tmp_path / "mymodels.py").write_text("import pydantic\nclass Person(pydantic.BaseModel):\n    age: int\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    outcome = scansion("generate", "{'age': 36}\nJSON: ", "--pydantic", "mymodels:Person", "--jsonl", "--seed", "0")
    assert outcome.code == 0
    assert set(lines(outcome.out)[0]["value"]) >= {"age"}


@pytest.mark.parametrize("name", ["nothing", "json:", ":Model", "no_such_module:Model", "json:NoSuchName"])
def test_a_type_that_cannot_be_imported_is_a_wrong_call(scansion, name):
    outcome = scansion("generate", ASK, "--pydantic", name)
    assert (outcome.code, outcome.out) == (2, "")
    assert "--pydantic" in outcome.err


def test_weights_are_shown_with_log_z_and_the_effective_size(scansion):
    outcome = scansion("generate", ASK, "--regex", AGE, "-n", "4", "--show-weights", "--seed", "0")
    rows = [line.split() for line in outcome.out.splitlines()[1:5]]
    assert sum(float(row[0]) for row in rows) == pytest.approx(1, abs=0.01)
    assert "log Z = " in outcome.out
    assert "of 4" in outcome.out


def test_the_weights_of_lines_are_those_of_the_law(scansion):
    """exp(log_weight) estimates Z without bias: for a form that masking does not skew, each is exactly P(x)/q(x)."""
    outcome = scansion("generate", ASK, "--regex", AGE, "-n", "20", "--jsonl", "--seed", "0")
    for line in lines(outcome.out):
        assert line["log_weight"] >= line["log_prob"]  # q ≤ 1
        assert len(line["tokens"]) >= 1


@pytest.mark.parametrize("sampler", ["masking", "smc:n=8,ess=0.9", "adaptive-rejection:variant=recursive", "CARS"])
def test_a_sampler_is_chosen_by_name_with_options(scansion, sampler):
    outcome = scansion("generate", ASK, "--regex", AGE, "--sampler", sampler, "-n", "3", "--jsonl", "--seed", "2")
    assert outcome.code == 0
    assert len(lines(outcome.out)) == 3


@pytest.mark.parametrize(
    "sampler", ["cms", "smc:m=3", "smc:n=three", "smc:ess=2", "masking:x=1", "smc:proposal=nobody"]
)
def test_a_wrong_sampler_is_a_wrong_call_that_says_what_there_is(scansion, sampler):
    outcome = scansion("generate", ASK, "--regex", "a", "--sampler", sampler)
    assert (outcome.code, outcome.out) == (2, "")
    assert "--sampler" in outcome.err


@pytest.mark.parametrize("name", names())
def test_every_sampler_is_found_by_its_name_in_any_case(name):
    made = getattr(samplers, name)
    assert type(sampler_of(name.lower())) is made
    for option in [option for option, kind in options_of(made).items() if kind != "str"]:
        with pytest.raises(InvalidOption):
            sampler_of(f"{name}:{option}=what")


def test_several_prompts_and_standard_input(scansion, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("Grüße: ".encode())))
    outcome = scansion("generate", "one", "-", "--choice", "x", "--jsonl")
    assert [line["prompt"] for line in lines(outcome.out)] == ["one", "Grüße: "]


def test_prompts_from_files(scansion, tmp_path):
    (tmp_path / "p.txt").write_text("one\n\ntwo\n")
    (tmp_path / "p.jsonl").write_text('"a\\nb"\n{"prompt": "c", "id": 7}\n')
    for name, wanted in (("p.txt", ["one", "two"]), ("p.jsonl", ["a\nb", "c"])):
        outcome = scansion("generate", "--prompts", str(tmp_path / name), "--choice", "x", "--jsonl")
        assert [line["prompt"] for line in lines(outcome.out)] == wanted


def test_the_same_prompt_twice_gets_draws_of_its_own(scansion):
    outcome = scansion("generate", "1", "1", "--regex", "[0-9]{9}", "--jsonl", "--seed", "0")
    first, second = lines(outcome.out)
    assert first["text"] != second["text"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["generate", ASK],
        ["generate", "--regex", "a"],
        ["generate", ASK, "--regex", "a", "--choice", "b"],
        ["generate", ASK, "--regex", "a", "-n", "-1"],
        ["generate", ASK, "--schema", "/nowhere/at/all.json"],
        ["generate", ASK, "--regex", "a", "--prompts", "/nowhere/at/all.txt"],
        ["bench", ASK],
        ["bench", ASK, "--regex", "a", "--sampler", "nobody"],
    ],
)
def test_a_wrong_call_is_told_with_exit_code_2(scansion, arguments):
    outcome = scansion(*arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err
    assert "Traceback" not in outcome.err


def test_a_wrong_grammar_is_told_with_a_caret(scansion):
    outcome = scansion("generate", ASK, "--regex", "a(b")
    assert (outcome.code, outcome.out) == (2, "")
    assert "\n  a(b\n   ^" in outcome.err


def test_a_broken_line_of_a_prompt_file_is_named(scansion, tmp_path):
    (tmp_path / "p.jsonl").write_text('"fine"\n{"question": 1}\n')
    outcome = scansion("generate", "--prompts", str(tmp_path / "p.jsonl"), "--choice", "x")
    assert outcome.code == 2
    assert "line 2" in outcome.err


def test_a_text_that_is_cut_is_a_no_and_the_rest_is_there(scansion):
    outcome = scansion("generate", ASK, "--regex", "a*b", "--max-tokens", "1", "-n", "40", "--jsonl", "--seed", "0")
    finishes = [line["finish"] for line in lines(outcome.out)]
    assert len(finishes) == 40
    assert outcome.code == (0 if set(finishes) == {"end"} else 1)
    assert all(line["log_weight"] is None for line in lines(outcome.out) if line["finish"] != "end")


def test_a_prompt_that_fails_does_not_stop_the_others(scansion, monkeypatch):
    from decoding.engine import Engine
    from grammars import DeadEnd

    answer = Engine.generate_many

    def sometimes(self, prompt, *rest, **more):
        if prompt == "bad":
            raise DeadEnd("nothing can follow")
        return answer(self, prompt, *rest, **more)

    monkeypatch.setattr(Engine, "generate_many", sometimes)
    outcome = scansion("generate", "good", "bad", "fine", "--choice", "x", "--jsonl")
    assert outcome.code == 1
    assert [line.get("text", line.get("error", {}).get("code")) for line in lines(outcome.out)] == [
        "x",
        "sampling.dead_end",
        "x",
    ]
    assert "prompt 2: nothing can follow" in outcome.err


def test_a_budget_too_small_for_the_form_is_a_no(scansion):
    outcome = scansion("generate", ASK, "--regex", "(xq){50}", "--max-tokens", "3")
    assert (outcome.code, outcome.out) == (1, "")
    assert "max_tokens" in outcome.err


INTERRUPTED = """
import signal, sys, time
import decoding.cli
from decoding.engine import Engine
signal.signal(signal.SIGINT, signal.default_int_handler)  # shells ignore it for what runs in the background
answer = Engine.generate_many
def slow(self, prompt, *rest, **more):
    if prompt == "last":
        print("waiting", file=sys.stderr, flush=True)
        time.sleep(60)
    return answer(self, prompt, *rest, **more)
Engine.generate_many = slow
sys.argv = ["scansion", "generate", "first", "last", "--choice", "kept", *sys.argv[1:]]
decoding.cli.main()
"""


def interrupted(*how: str) -> subprocess.Popen[str]:
    """A run that has answered its first prompt and is busy with the last."""
    command, root = [sys.executable, "-c", INTERRUPTED, *how], Path(__file__).resolve().parents[1]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=root)
    assert process.stderr is not None
    assert process.stderr.readline() == "waiting\n"
    return process


@pytest.mark.skipif(sys.platform == "win32", reason="signals are different there")
def test_an_interrupt_keeps_what_is_finished():
    process = interrupted()
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (130, "")
    assert "kept" in out


@pytest.mark.skipif(sys.platform == "win32", reason="signals are different there")
def test_lines_are_flushed_as_they_come_and_an_interrupt_adds_nothing():
    process = interrupted("--jsonl")
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["text"] == "kept"  # while the last prompt is still being answered
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=30)
    assert (process.returncode, out, errors) == (130, "", "")


def test_a_model_of_hugging_face_without_transformers_names_the_extra(scansion, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    outcome = scansion("generate", ASK, "--regex", "a", "--model", "/nowhere/at/all")
    assert (outcome.code, outcome.out) == (2, "")
    assert "scansion[hf]" in outcome.err


def test_help_has_examples(scansion):
    for command in (["generate"], ["bench"], ["draw", "automaton"], ["draw", "particles"], ["draw", "mass"]):
        outcome = scansion(*command, "--help")
        assert outcome.code == 0
        assert f"scansion {' '.join(command)} " in outcome.out


def test_bench_measures_samplers_side_by_side(scansion):
    outcome = scansion("bench", ASK, "--regex", AGE, "-n", "4", "--sampler", "masking", "--sampler", "smc:n=8")
    assert outcome.code == 0
    rows = [line.split() for line in outcome.out.splitlines()[1:]]
    assert [row[:3] for row in rows] == [["masking", "weighted", "4/4"], ["smc:n=8", "weighted", "8/8"]]
    assert all(np.isfinite(float(row[4])) for row in rows)
