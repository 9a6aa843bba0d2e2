"""What scansion does, in a few seconds and without a network: `make demo` runs this.

A model of two million weights reads a sentence into JSON; masking is shown beside samplers that keep the model's own
probabilities, and beside the exact truth; two pictures of it are drawn. Everything is computed here and now.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from decoding.comparison import Comparison, compared
from decoding.engine import Engine
from decoding.pictures import save
from decoding.pictures.distributions import distributions_picture
from decoding.pictures.particles import particles_picture
from decoding.pictures.trace import traced
from samplers import CARS, SMC, Rejection
from samplers.potentials import text_potential

FOLDER = Path("demo")
SENTENCE = "Ada Lovelace is 36 years old and lives in London."
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}, "city": {"type": "string"}},
    "required": ["name", "age", "city"],
    "additionalProperties": False,
}
AGE = "1[89]|2[0-9]|30"
COLORS = " [a-z]{3,8}, [a-z]{3,8}, [a-z]{3,8}"
RUNS = {"SMC(256)": (SMC(256), 256), "Rejection": (Rejection(), 256), "CARS": (CARS(), 256)}

out = Console(highlight=False)


def heading(text: str) -> None:
    out.print(f"\n[bold]{text}[/]")


def extract(engine: Engine) -> None:
    heading("1. A sentence becomes JSON that follows a schema")
    out.print(f"   {SENTENCE}", style="dim")
    prompt = f"Extract name, age, city as JSON: {SENTENCE}\nJSON:\n"
    answer = engine.generate(prompt, schema=SCHEMA, sampler=SMC(8), seed=0)
    out.print(f"   {json.dumps(answer.value)}", markup=False)
    out.print(f"   valid by construction; log P = {answer.log_prob:.2f}", style="dim")


def align(engine: Engine) -> Comparison:
    heading("2. Masking is not the model under a constraint")
    out.print(
        f"   {SENTENCE} How old is Ada Lovelace?\n"
        "   The form wants an age from 18 to 30. What would the model say instead of 36?",
        style="dim",
    )
    problem = engine.problem(f"{SENTENCE}\nHow old is Ada Lovelace?\nAnswer: ", regex=AGE)
    comparison = compared(problem, RUNS)
    out.print(_table(comparison))
    out.print(
        '   Masking takes "3", which is allowed and likely, and then only "30" is left.\n'
        "   Rejection and CARS draw from the model's own distribution over the form;\n"
        "   SMC weighs by it, and comes closer with every particle.\n"
        "   The truth is exact: all texts were enumerated. Last line: wrong answers.",
        style="dim",
    )
    return comparison


def _table(comparison: Comparison) -> Table:
    shown = Table(box=None, header_style="dim", pad_edge=False)
    shown.add_column("   age")
    for name in comparison.laws:
        shown.add_column(name, justify="right", style="bold" if name == "truth" else "")
    for text in comparison.texts(6):
        shown.add_row(f"   {text}", *(f"{law.get(text, 0.0):.1%}" for law in comparison.laws.values()))
    shown.add_row("   wrong", *(f"{comparison.distance(name):.1%}" for name in comparison.laws), style="yellow")
    return shown


def few_e(text: bytes) -> float:
    """A soft wish: each letter e costs a factor of e² = 7.4."""
    return -2.0 * text.count(b"e")


def draw(engine: Engine, comparison: Comparison) -> None:
    heading("3. Pictures")
    FOLDER.mkdir(exist_ok=True)
    title = "An age from 18 to 30 for somebody who is 36"
    save(distributions_picture(comparison, title, 6), FOLDER / "masking.svg")
    wish = text_potential(few_e, few_e)
    problem = engine.problem("User: Name three colors.\nAssistant:", regex=COLORS, potentials=[wish], max_tokens=30)
    trace = traced(problem, SMC(), 12, seed=3)
    title = "Twelve particles name three colors, and would rather have no letter e"
    save(particles_picture(trace, problem.vocabulary, title), FOLDER / "particles.svg")
    for name, told in (("masking", "the table above, as bars"), ("particles", "a run of SMC, token by token")):
        out.print(f"   {(FOLDER / f'{name}.svg').resolve()}  [dim]{told}[/]", soft_wrap=True)


def main() -> None:
    begin = time.perf_counter()
    with out.status("loading the model and the kernels (compiled once, in the first run)"):
        engine = Engine.load()
        engine.generate("", regex="a")
    extract(engine)
    draw(engine, align(engine))
    out.print(f"\n{time.perf_counter() - begin:.1f} s. More of this: examples/, scansion --help", style="dim")


if __name__ == "__main__":
    main()
