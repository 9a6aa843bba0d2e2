"""Many prompts × many constraints, offline, into a file that grows line by line.

    run(load("MODEL"), product(prompts, constraints), "answers.jsonl", progress=True)

Every pair is a job with a name of its own, made of what it asks for. An answer is written as a JSON line as soon as it
is finished and flushed to the disk, so a run that was killed has lost only what was being generated: the next run with
the same file reads which jobs are there, drops a last line that was cut, and does the rest. vLLM batches the jobs as
they come; at most `at_once` of them are known to it.

A line has the job's name, prompt and constraint, and the text, its tokens, log_prob (the model's own), log_weight
(what makes up for masking, see `decoding.vllm.weights`; null for a text that was cut) and finish. A job that cannot be
served has an error instead, which is its answer; the others go on.

    python -m decoding.vllm.batches MODEL prompts.jsonl constraints.jsonl answers.jsonl

reads prompts as `scansion generate --file` does, and of each line of constraints an object such as {"regex": "[0-9]+"}.
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import blake2b
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

from decoding.prompts import gathered
from decoding.sources import read_file
from decoding.terminal import messages, with_progress
from decoding.vllm.interfaces import refusals, the_vllm
from decoding.vllm.models import fetched, fresh_names, load
from decoding.vllm.tokens import vocabulary_of
from decoding.vllm.weights import ids_of, shared_options, stretch
from decoding.vllm.wishes import constrained
from grammars import RequestError, ScansionError
from samplers.samples import END

_AT_ONCE = 256


@dataclass(frozen=True)
class Job:
    """One prompt under one constraint; `seed` tells several draws of the same apart.

    >>> job = Job("Name a number:", {"regex": " [0-9]+"})
    >>> job.name == Job("Name a number:", {"regex": " [0-9]+"}).name, job.name == Job("Name a number:", {}).name
    (True, False)
    """

    prompt: str
    form: Mapping[str, Any] = field(default_factory=dict[str, Any])
    seed: int = 0
    max_tokens: int = 256

    @property
    def name(self) -> str:
        """What the job is found again by: all that it asks for."""
        asked = json.dumps([self.prompt, self.form, self.seed, self.max_tokens], sort_keys=True)
        return blake2b(asked.encode(), digest_size=12).hexdigest()


def product(
    prompts: Iterable[str], forms: Sequence[Mapping[str, Any]], n: int = 1, max_tokens: int = 256
) -> Iterator[Job]:
    """Every prompt under every constraint, `n` draws each.

    >>> len(list(product(["a", "b"], [{"regex": "x"}, {"choice": ["y"]}], n=3)))
    12
    """
    for prompt in prompts:
        for form in forms:
            yield from (Job(prompt, form, seed, max_tokens) for seed in range(n))


def finished(file: str | os.PathLike[str]) -> set[str]:
    """The names of the jobs in a file; a last line that was cut is removed from it.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "answers.jsonl"
    >>> _ = path.write_text('{"job": "a"}\\n{"job": "b", "te')
    >>> finished(path), path.read_text()
    ({'a'}, '{"job": "a"}\\n')
    """
    path = Path(file)
    if not path.exists():
        return set()
    names: set[str] = set()
    with path.open("r+b") as lines:
        whole = 0
        for line in lines:
            if not line.endswith(b"\n"):
                break
            names.add(_name_in(line, path))
            whole += len(line)
        lines.truncate(whole)
    return names


def _name_in(line: bytes, path: Path) -> str:
    try:
        return str(json.loads(line)["job"])
    except (ValueError, KeyError, TypeError) as error:
        raise RequestError(
            f"{path} holds a line that is no answer of a batch: {line[:60]!r}", hint="give another file for the answers"
        ) from error


def run(
    llm: Any, jobs: Iterable[Job], file: str | os.PathLike[str], *, at_once: int = _AT_ONCE, progress: bool = False
) -> int:
    """Do all jobs that the file does not have yet; how many were done."""
    known = finished(file)
    waiting = [job for name, job in {job.name: job for job in jobs}.items() if name not in known]
    answers = _answers(llm, waiting, at_once)
    done = 0
    with Path(file).open("a", encoding="utf-8") as out, closing(answers):
        for line in with_progress(answers, len(waiting), "answers") if progress else answers:
            out.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
            out.flush()
            os.fsync(out.fileno())
            done += 1
    return done


def _answers(llm: Any, jobs: Sequence[Job], at_once: int) -> Generator[dict[str, Any]]:
    """The answers as they are finished; new jobs begin as others end."""
    left, running = iter(jobs), dict[str, Job]()
    try:
        while True:
            for job in islice(left, max(1, at_once) - len(running)):
                name = fresh_names(1)[0]
                try:
                    _begin(llm, job, name)
                except (ScansionError, *refusals()) as error:
                    yield _line(job) | {"error": str(error)}
                else:
                    running[name] = job
            if not running:
                return
            outputs = {output.request_id: output for output in llm.llm_engine.step() if output.finished}
            records = fetched(llm, list(outputs)) if outputs else {}
            for name, output in outputs.items():
                yield _answer(llm, running.pop(name), output.outputs[0], records[name])
    finally:
        if running:
            llm.llm_engine.abort_request(list(running))


def _begin(llm: Any, job: Job, name: str) -> None:
    options = shared_options(job.max_tokens + 1) | {"output_kind": _final(), "seed": job.seed}
    params = the_vllm().SamplingParams(**options, extra_args=constrained(record=name, **job.form))
    llm.llm_engine.add_request(name, {"prompt_token_ids": ids_of(llm, job.prompt)}, params)


def _final() -> Any:
    return import_module("vllm.sampling_params").RequestOutputKind.FINAL_ONLY


def _line(job: Job) -> dict[str, Any]:
    return {"job": job.name, "prompt": job.prompt, "constraint": dict(job.form), "seed": job.seed}


def _answer(llm: Any, job: Job, output: Any, record: dict[str, Any]) -> dict[str, Any]:
    vocabulary = vocabulary_of(llm.llm_engine.model_config)
    try:
        row = stretch(output, record, vocabulary)
    except ScansionError as error:
        return _line(job) | {"error": str(error)}
    tokens: list[int] = row.tokens.tolist()
    return _line(job) | {
        "text": b"".join(vocabulary.tokens[token] for token in tokens).decode("utf-8", "replace"),
        "tokens": tokens,
        "finish": row.finish,
        "log_prob": row.log_prob,
        "log_weight": row.log_weight if row.finish == END else None,
    }


def main(model: str, prompts: str, constraints: str, answers: Path, n: int = 1, max_tokens: int = 256) -> None:
    """Every prompt of a file under every constraint of another, n draws each, into a file of answers."""
    forms = [json.loads(line) for line in read_file(constraints).splitlines() if line.strip()]
    jobs = list(product(gathered([], prompts), forms, n, max_tokens))
    done = run(load(model), jobs, answers, progress=True)
    messages.print(f"{done} of {len(jobs)} answers were new; all are in {answers}")


if __name__ == "__main__":
    import typer

    typer.run(main)
