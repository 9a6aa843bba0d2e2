"""Every example in the documentation runs and says what it shows."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import re
from pathlib import Path
from types import ModuleType

import pytest

import decoding
import grammars
import samplers

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
README = Path(__file__).resolve().parents[1] / "README.md"


def modules() -> list[str]:
    names: list[str] = []
    for package in (grammars, samplers, decoding):
        names.append(package.__name__)
        names += [found.name for found in pkgutil.walk_packages(package.__path__, package.__name__ + ".")]
    return names


def doctests(module: ModuleType) -> list[doctest.DocTest]:
    return [test for test in doctest.DocTestFinder().find(module) if test.examples]


def run(test: doctest.DocTest) -> list[str]:
    """The failures of `test`, as text."""
    report: list[str] = []
    doctest.DocTestRunner(optionflags=FLAGS, verbose=False).run(test, out=report.append)
    return report


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README.read_text("utf-8"), re.M | re.S)


@pytest.mark.parametrize("name", modules())
def test_the_examples_of_a_module_run(name: str):
    for test in doctests(importlib.import_module(name)):
        failures = run(test)
        assert not failures, "".join(failures)


def test_a_wrong_example_would_be_noticed():
    wrong = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "wrong", None, None)
    assert "Expected" in "".join(run(wrong))


@pytest.mark.parametrize("name", modules())
def test_a_module_says_what_it_is_about(name: str):
    assert importlib.import_module(name).__doc__, f"{name} has no docstring"


def test_every_public_name_of_grammars_has_an_example():
    public = [getattr(grammars, name) for name in grammars.__all__]
    without = [
        thing.__name__
        for thing in public
        if (inspect.isfunction(thing) or inspect.isclass(thing))
        and not (inspect.isclass(thing) and issubclass(thing, Exception))
        and not any(test.examples for test in doctest.DocTestFinder().find(thing, thing.__name__))
    ]
    assert not without


def test_the_python_of_the_readme_runs_and_says_what_it_shows():
    examples = blocks("python")
    assert examples
    together = doctest.DocTestParser().get_doctest("\n".join(examples), {}, "README", str(README), 0)
    assert together.examples
    failures = run(together)
    assert not failures, "".join(failures)


def test_the_make_targets_of_the_readme_exist():
    targets = set(re.findall(r"^([\w-]+):", (README.parent / "Makefile").read_text("utf-8"), re.M))
    mentioned = set(re.findall(r"^make ([\w-]+)", "\n".join(blocks("sh")), re.M))
    assert {"demo", "test"} <= mentioned <= targets
