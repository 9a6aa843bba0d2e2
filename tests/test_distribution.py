"""The distribution is complete, says one version everywhere, and notices when another takes its place.

The scenes are played with a real wheel, unpacked into folders of their own, in processes of their own.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import grammars
from grammars.provenance import VERSION

REPOSITORY = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
PACKAGES = ("grammars", "samplers", "decoding")


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that a release would be, built from a copy of the source."""
    pytest.importorskip("hatchling")
    source = tmp_path_factory.mktemp("source")
    for package in PACKAGES:
        shutil.copytree(REPOSITORY / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / file, source / file)
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel"], cwd=source, check=True, capture_output=True
    )
    return next((source / "dist").glob("*.whl"))


@pytest.fixture
def site(wheel: Path, tmp_path: Path) -> Path:
    """A folder with scansion installed in it, as pip leaves it there."""
    folder = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def install(folder: Path, name: str, version: str, files: dict[str, str]) -> None:
    """Another distribution, written over whatever is there, as pip does."""
    info = folder / f"{name}-{version}.dist-info"
    files = files | {f"{info.name}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"}
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    (info / "RECORD").write_text("".join(f"{path},,\n" for path in files))


def python(code: str, *path: Path) -> subprocess.CompletedProcess[str]:
    """Run `code` in a fresh process that looks for packages in `path` first."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, path)), "NO_COLOR": "1", "COLUMNS": "300"}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=path[0], env=environment, capture_output=True, text=True, timeout=120)


def command(argument: str, *path: Path) -> subprocess.CompletedProcess[str]:
    """Run the `scansion` command as its installed script would."""
    return python(f"import sys; sys.argv = ['scansion', {argument!r}]; from decoding.cli import main; main()", *path)


def test_every_file_of_the_packages_is_in_the_wheel(wheel: Path):
    wanted = {
        str(file.relative_to(REPOSITORY))
        for package in PACKAGES
        for file in (REPOSITORY / package).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert held == wanted
    assert {f"{package}/py.typed" for package in PACKAGES} <= held


def test_the_version_is_the_same_everywhere():
    assert grammars.__version__ == VERSION
    assert f"\nversion: {VERSION}\n" in (REPOSITORY / "CITATION.cff").read_text("utf-8")
    assert f"\n## [{VERSION}]" in (REPOSITORY / "CHANGELOG.md").read_text("utf-8")


def test_everything_a_developer_installs_has_an_exact_version():
    lines = (REPOSITORY / "constraints.txt").read_text("utf-8").splitlines()
    exact = {canonical(line.split("==")[0]) for line in lines if re.fullmatch(r"[\w.-]+==[\w.]+", line)}
    wanted = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]
    assert {canonical(re.split(r"[^\w.-]", requirement)[0]) for requirement in wanted} <= exact
    assert "torch" in exact
    assert len(exact) == sum(1 for line in lines if line and not line.startswith("#"))


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_importing_the_engine_imports_nothing_heavy(site: Path):
    heavy = {"torch", "transformers", "vllm", "typer", "rich", "llguidance", "xgrammar", "matplotlib"}
    run = python(f"import grammars, samplers, sys; print(sorted({heavy!r} & set(sys.modules)))", site)
    assert run.stdout == "[]\n", run.stderr


def test_a_sound_installation_is_found_sound(site: Path):
    run = command("doctor", site)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "files as installed" in run.stdout
    assert "broken" not in run.stdout


@pytest.mark.parametrize(
    ("above", "below"), [("samplers", "grammars"), ("decoding", "samplers"), ("decoding", "grammars")]
)
def test_a_folder_that_hides_a_package_is_named(site: Path, tmp_path: Path, above: str, below: str):
    hiding = tmp_path / "mine" / below
    hiding.mkdir(parents=True)
    (hiding / "__init__.py").write_text("mine = True\n")
    run = python(f"import {above}", tmp_path / "mine", site)
    assert run.returncode == 1
    assert f"ForeignPackage: the package `{below}` ({hiding / '__init__.py'}) does not come from scansion" in run.stderr


@pytest.mark.parametrize(
    ("above", "below"), [("samplers", "grammars"), ("decoding", "samplers"), ("decoding", "grammars")]
)
def test_a_distribution_written_over_a_package_is_named(site: Path, above: str, below: str):
    install(site, "intruder", "2.5", {f"{below}/__init__.py": ""})
    run = python(f"import {above}", site)
    assert run.returncode == 1
    assert f"`{below}` ({site / below / '__init__.py'}) comes from intruder 2.5, not from scansion" in run.stderr
    assert "pip uninstall intruder" in run.stderr


def test_a_distribution_that_cannot_even_be_imported_is_named(site: Path):
    install(site, "intruder", "2.5", {"samplers/__init__.py": "import a_module_that_nobody_has\n"})
    assert "comes from intruder 2.5" in python("import decoding", site).stderr


def test_a_dependency_that_is_missing_is_not_blamed_on_anybody_else(site: Path):
    (site / "samplers" / "__init__.py").write_text("import a_module_that_nobody_has\n")
    run = python("import decoding", site)
    assert "ModuleNotFoundError: No module named 'a_module_that_nobody_has'" in run.stderr
    assert "ForeignPackage" not in run.stderr


def test_the_refusal_is_an_import_error_and_an_integration_error(site: Path):
    install(site, "intruder", "2.5", {"samplers/__init__.py": ""})
    code = """
        from grammars.errors import IntegrationError
        try:
            import decoding
        except ImportError as error:
            print(isinstance(error, IntegrationError), error.code, error.name, error.hint.split(",")[0])
    """
    run = python("\n".join(line[8:] for line in code.splitlines()), site)
    assert run.stdout == "True integration.foreign_package samplers pip uninstall intruder\n", run.stderr


def test_the_command_says_so_without_a_traceback(site: Path):
    install(site, "intruder", "2.5", {"grammars/__init__.py": ""})
    run = command("doctor", site)
    assert run.returncode == 1
    assert run.stderr.startswith("scansion: the package `grammars`")
    assert "Traceback" not in run.stderr


def test_doctor_names_who_overwrites_the_topmost_package(site: Path):
    install(site, "decoding", "0.1.4", {"decoding/__init__.py": ""})
    run = command("doctor", site)
    assert run.returncode == 1
    assert "also installed by decoding 0.1.4" in run.stdout
    assert "missing or altered: decoding/__init__.py" in run.stdout


@pytest.mark.parametrize("damage", ["altered", "missing"])
def test_doctor_names_a_damaged_file(site: Path, damage: str):
    file = site / "grammars" / "limits.py"
    if damage == "altered":
        file.write_text(file.read_text("utf-8") + "\n# changed\n")
    else:
        (site / "samplers" / "py.typed").unlink()
    run = command("doctor", site)
    assert run.returncode == 1
    assert "missing or altered: " + ("grammars/limits.py" if damage == "altered" else "samplers/py.typed") in run.stdout
