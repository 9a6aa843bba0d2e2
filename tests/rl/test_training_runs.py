"""Whole runs: what the command does, runs that are killed and resumed, several processes, and files that are wrong."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("accelerate")  # in the extra [rl]

from decoding.rl.checkpoints import latest_checkpoint, write_checkpoint  # noqa: E402
from decoding.rl.configuration import parse_configuration, read_configuration  # noqa: E402
from decoding.rl.errors import BadCheckpoint, BadConfiguration  # noqa: E402
from decoding.rl.metrics import Metrics  # noqa: E402
from decoding.rl.training import train  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
METHODS = ["matching", "grpo"]
STEPS = 5
REWARD = """
import re

def near(prompt, text):
    a, b = map(int, re.findall(r"[0-9]+", prompt))
    return 1.0 - abs(int(text) - a - b) / 100
"""
pytestmark = pytest.mark.filterwarnings("ignore")


def written(folder: Path, method: str, output: str = "out", **more: str) -> Path:
    """A small run: sums whose answer has two digits."""
    if method == "grpo":
        pytest.importorskip("trl")
    folder.mkdir(exist_ok=True)
    (folder / "nearness.py").write_text(REWARD, "utf-8")
    reward = '[[reward]]\nkind = "python"\nfunction = "nearness:near"\n' if method == "grpo" else ""
    prompts = json.dumps([f"User: What is {a} + 4?\nAssistant:" for a in range(1, 6)])
    file = folder / f"{output}.toml"
    file.write_text(
        f'method = "{method}"\noutput = "{output}"\nsteps = {STEPS}\nseed = 3\n'
        f"tensorboard = {more.get('events', 'false')}\n"
        f"[prompts]\nlist = {prompts}\n"
        '[form]\nregex = "[0-9]{2}"\nprefix = " "\n'
        f"{reward}[rollouts]\nn = 4\nprompts = 2\nmax_tokens = 6\n[optimizer]\nrate = 3e-4\n[checkpoints]\nevery = 1\n",
        "utf-8",
    )
    return file


def tensors(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return load_file(folder / "model" / "model.safetensors")


def process(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python in a process of its own, on one thread as the tests are."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TRL_EXPERIMENTAL_SILENCE": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], env=environment, capture_output=True, text=True, check=False
    )


def launched(port: int, *what: str) -> subprocess.CompletedProcess[str]:
    """A module or a program in two processes."""
    code = (
        "import sys; from torch.distributed.run import main; "
        "main(['--nproc_per_node', '2', '--master_port', *sys.argv[1:]])"
    )
    return process(code, str(port), *what)


KILLED = """
import os, signal, sys, torch
from pathlib import Path
from decoding.rl.configuration import read_configuration
from decoding.rl.training import train
torch.set_num_threads(1)
at = int(sys.argv[2])
watch = lambda step, figures: os.kill(os.getpid(), signal.SIGKILL) if step == at else None
train(read_configuration(Path(sys.argv[1])), watch)
"""


@pytest.mark.parametrize("method", METHODS)
def test_a_run_that_was_killed_goes_on_as_if_it_had_not_been(tmp_path: Path, method: str):
    torch.set_num_threads(1)
    whole = train(read_configuration(written(tmp_path / "whole", method)))
    cut = written(tmp_path / "cut", method)
    step = random.Random(8).randint(2, STEPS - 1)
    done = process(KILLED, str(cut), str(step))
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    resumed = train(read_configuration(cut))
    assert 0 < resumed.began_at <= step
    assert (whole.began_at, resumed.steps) == (0, STEPS)
    one, other = tensors(whole.folder), tensors(resumed.folder)
    assert all(torch.equal(one[name], other[name]) for name in one)
    lines = [(run.folder / "metrics.jsonl").read_text("utf-8") for run in (whole, resumed)]
    assert lines[0] == lines[1]
    assert [json.loads(line)["step"] for line in lines[0].splitlines()] == list(range(1, STEPS + 1))


@pytest.mark.parametrize("method", METHODS)
def test_several_processes_draw_for_themselves_and_learn_together(tmp_path: Path, method: str):
    """Each draws for its own prompts, gradients are averaged: the run is another than that of a single process."""
    file = written(tmp_path, method)
    file.write_text(file.read_text("utf-8").replace(f"steps = {STEPS}", "steps = 2"), "utf-8")
    done = launched(29517, "-m", "decoding.rl", str(file))
    assert done.returncode == 0, done.stderr[-3000:]
    rows = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").read_text("utf-8").splitlines()]
    assert [row["step"] for row in rows] == [1, 2]
    if method == "matching":
        step, content = latest_checkpoint(tmp_path / "out" / "checkpoints")
        assert (step, len(content["evidence"])) == (2, 2)
        assert content["evidence"][0] != content["evidence"][1]


def test_several_processes_that_were_killed_go_on_as_if_they_had_not_been(tmp_path: Path):
    """The first one is killed at a random step, and the launcher ends the other."""
    whole, cut = written(tmp_path / "whole", "grpo"), written(tmp_path / "cut", "grpo")
    done = launched(29518, "-m", "decoding.rl", str(whole))
    assert done.returncode == 0, done.stderr[-3000:]
    program = tmp_path / "killed.py"
    program.write_text(KILLED, "utf-8")
    step = random.Random(9).randint(2, STEPS - 1)
    assert launched(29519, str(program), str(cut), str(step)).returncode != 0
    figures = [folder / "out" / "metrics.jsonl" for folder in (whole.parent, cut.parent)]
    assert len(figures[1].read_text("utf-8").splitlines()) == step
    done = launched(29520, "-m", "decoding.rl", str(cut))
    assert done.returncode == 0, done.stderr[-3000:]
    one, other = tensors(whole.parent / "out"), tensors(cut.parent / "out")
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert figures[0].read_text("utf-8") == figures[1].read_text("utf-8")


def test_the_number_of_processes_belongs_to_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from decoding.rl import training

    made = read_configuration(written(tmp_path, "matching"))
    made.out.mkdir()
    training._remember(made)
    training._remember(made)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(BadCheckpoint, match="another configuration"):
        training._remember(made)
    (made.out / "configuration.json").write_text('{"meth', "utf-8")
    with pytest.raises(BadCheckpoint, match="is damaged"):
        training._remember(made)


def test_the_command_trains_and_tells_where_everything_is(tmp_path: Path):
    from decoding.cli import app

    found = CliRunner().invoke(app, ["train", str(written(tmp_path, "matching", events="true"))])
    assert found.exit_code == 0, found.output
    assert "legal mass" in found.output
    there = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"metrics.jsonl", "speed.jsonl", "metrics.svg", "model", "checkpoints", "configuration.json"} <= there
    rows = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").read_text("utf-8").splitlines()]
    assert {"legal_mass", "ess", "entropy", "kl", "valid"} <= set(rows[0])
    assert all(row["valid"] == 1.0 for row in rows)


def test_what_was_trained_can_be_loaded_and_used(tmp_path: Path):
    from decoding.engine import Engine

    outcome = train(read_configuration(written(tmp_path, "matching")))
    answer = Engine.load(outcome.folder / "model").generate(
        "User: What is 9 + 4?\nAssistant:", regex=" [0-9]{2}", seed=0
    )
    assert answer.finish == "end"


# -- metrics and checkpoints ------------------------------------------------------------------------------------------


def test_lines_behind_the_checkpoint_are_written_again(tmp_path: Path):
    log = Metrics(tmp_path)
    for step in (1, 2, 3):
        log.write(step, {"reward": step / 10, "seconds": 1.0})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "rew')
    again = Metrics(tmp_path, after=2)
    assert [row["step"] for row in again.rows()] == [1, 2]
    assert "seconds" not in (tmp_path / "metrics.jsonl").read_text()


def test_events_are_there_for_tensorboard(tmp_path: Path):
    pytest.importorskip("tensorboard")
    log = Metrics(tmp_path, with_events=True)
    log.write(1, {"reward": 0.5})
    log.close()
    assert list((tmp_path / "events").glob("events.*"))


def test_a_checkpoint_is_there_as_a_whole_or_not_at_all(tmp_path: Path):
    write_checkpoint(tmp_path, 1, {"weights": {"a": torch.ones(2)}})
    (tmp_path / "step-00000002.part").write_bytes(b"half")
    assert latest_checkpoint(tmp_path)[0] == 1
    (tmp_path / "step-00000003.pt").write_bytes(b"damaged")
    with pytest.raises(BadCheckpoint, match="step-00000003"):
        latest_checkpoint(tmp_path)


def test_a_folder_of_another_run_is_not_gone_on_with(tmp_path: Path):
    file = written(tmp_path, "matching")
    train(read_configuration(file))
    file.write_text(file.read_text("utf-8").replace("seed = 3", "seed = 4"), "utf-8")
    with pytest.raises(BadCheckpoint, match="another configuration"):
        train(read_configuration(file))


# -- configurations ---------------------------------------------------------------------------------------------------

MINIMAL = 'output = "o"\nsteps = 3\n[[reward]]\nkind = "exact_length"\nwanted = 3\n'


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("output = ", "no TOML"),
        ("steps = 3", "does not say 'output'"),
        ('output = "o"\nsteps = "three"', "steps in the file is of type int"),
        ('output = "o"\nsteps = true', "of type int"),
        ('output = "o"\nsteps = 0', "steps is at least 1"),
        ('output = "o"\nsteps = 3', r"at least one \[\[reward\]\]"),
        ('output = "o"\nsteps = 3\nmethod = "ppo"', "no method 'ppo'"),
        ('output = "o"\nsteps = 3\nmethod = "matching"', r"needs a \[form\]"),
        ('output = "o"\nsteps = 3\nobjective = 3', r"\[objective\] is a table"),
        (MINIMAL + "[rollouts]\nn = 1", "n in .rollouts. is at least 2"),
        (MINIMAL + "[objectiv]\n", "no setting 'objectiv'"),
        (MINIMAL + "[optimizer]\nupdates = 3", "no multiple of updates"),
        (MINIMAL + "[optimizer]\nrate = nan", "rate in .optimizer. is a number above 0, not nan"),
        (MINIMAL + "[optimizer]\nrate = 0.0", "rate in .optimizer. is a number above 0"),
        (MINIMAL + "[optimizer]\nclip = -0.1", "clip in .optimizer. is a number of at least 0"),
        (MINIMAL + "[optimizer]\nclip_norm = inf", "clip_norm in .optimizer. is a number above 0"),
        (MINIMAL + "[objective]\ndivergence = nan", "divergence in .objective. is a number of at least 0"),
        (MINIMAL + '[rollouts]\nengine = "sglang"', "no engine 'sglang'"),
        (MINIMAL + "[rollouts]\nvllm = 3", "vllm in .rollouts. is of type"),
        (MINIMAL + '[prompts]\nlist = "one"', r"list in .prompts. is of type list\[str\]"),
        ('output = "o"\nsteps = 3\nreward = "near"', "reward is a list of tables"),
        ('output = "o"\nsteps = 3\n[reward]\nkind = "exact_length"', "reward is a list of tables"),
        (
            'output = "o"\nsteps = 3\nmethod = "matching"\nform.regex = "a"\nrollouts.engine = "vllm"',
            "rollouts by vllm are for grpo",
        ),
    ],
)
def test_a_configuration_is_refused_by_name(content: str, said: str):
    with pytest.raises(BadConfiguration, match=said):
        parse_configuration(content)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("", "a file or a list"),
        ("[prompts]\nlist = []", "a file or a list"),
        ('[prompts]\nlist = ["a", 3]', "holds no prompt"),
        ('[prompts]\nlist = ["a"]\n[form]\nregexp = "a"', r"\[form\] wants exactly one"),
        ('[prompts]\nlist = ["a"]\n[objective]\nname = "best"\n[form]\nregex = "a"', "no objective 'best'"),
        ('[prompts]\nlist = ["a"]\n[[reward]]\nkind = "magic"', "no kind 'magic'"),
        ('[prompts]\nlist = ["a"]\n[[reward]]\nkind = "exact_length"\nweight = nan', "the weight of reward 2"),
        ('[prompts]\nlist = ["a"]\n[[reward]]\nkind = "exact_length"\nlength = 3', "reward 2, exact_length"),
        ('[prompts]\nlist = ["a"]\n[[reward]]\nkind = "python"\nfunction = "nowhere:x"', "cannot be imported"),
    ],
)
def test_what_a_section_stands_for_is_refused_by_name(tmp_path: Path, more: str, said: str):
    made = parse_configuration(MINIMAL + more, tmp_path)
    with pytest.raises(BadConfiguration, match=said):
        train(made)


def test_a_file_that_is_not_there_is_told(tmp_path: Path):
    with pytest.raises(BadConfiguration, match=r"nothing\.toml cannot be read"):
        read_configuration(tmp_path / "nothing.toml")


def test_training_says_which_extra_is_missing(monkeypatch: pytest.MonkeyPatch):
    from decoding.rl import extras
    from grammars import BackendUnavailable

    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    with pytest.raises(BackendUnavailable, match=r"scansion\[rl\]"):
        extras.require("trl")
