"""Doctor: is this installation sound, and if not, what to do?

Each check is a generator of findings, in the order in which things depend on each other. Nothing here changes anything,
except that the last check runs the engine, which may leave compiled kernels in numba's cache.

>>> {finding.verdict for finding in interpreter()} <= set(Verdict)
True
"""

from __future__ import annotations

import csv
import os
import platform
import re
import sys
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256
from importlib import import_module
from importlib.metadata import Distribution, PackageNotFoundError, distribution, version
from itertools import chain
from pathlib import Path

from grammars.provenance import DISTRIBUTION, VERSION, claimants, whereabouts

PACKAGES = ("grammars", "samplers", "decoding")
HOME = Path(__file__).parents[1]
REINSTALL = f"pip install --force-reinstall --no-deps {DISTRIBUTION}"
SLOW_SWITCHES = ("NUMBA_DISABLE_JIT", "NUMBA_BOUNDSCHECK", "NUMBA_DEBUG")


class Verdict(Enum):
    GOOD = "good"
    NOTE = "note"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found; `remedy` is the command or step that mends it."""

    subject: str
    verdict: Verdict
    detail: str
    remedy: str = ""


def examine() -> Iterator[Finding]:
    """All checks, lazily: the first ones are known while the last still runs."""
    parts = [ownership(package) for package in PACKAGES]
    sound = True
    for finding in chain(interpreter(), installation(), *parts, dependencies(), extras(), processors(), kernels()):
        sound = sound and finding.verdict is not Verdict.BROKEN
        yield finding
    if sound:  # else the engine would only fail for the reasons already known
        yield from engine()


def interpreter() -> Iterator[Finding]:
    """The Python that runs this."""
    detail = (
        f"{platform.python_implementation()} {platform.python_version()} on {platform.system()} {platform.machine()}"
    )
    known = (3, 11) <= sys.version_info < (3, 15) and sys.implementation.name == "cpython"
    remedy = "" if known else "scansion is tested with CPython 3.11 to 3.14"
    yield Finding("Python", Verdict.GOOD if known else Verdict.NOTE, detail, remedy)


def installation() -> Iterator[Finding]:
    """What pip knows of this distribution."""
    installed = _installed()
    if installed is None:
        yield Finding(
            DISTRIBUTION, Verdict.NOTE, f"{VERSION}, not installed: source tree in {HOME}", "pip install -e ."
        )
    elif installed.version != VERSION:
        detail = f"pip knows version {installed.version}, but {HOME} holds {VERSION}"
        yield Finding(DISTRIBUTION, Verdict.BROKEN, detail, REINSTALL)
    else:
        yield Finding(DISTRIBUTION, Verdict.GOOD, f"{VERSION} in {HOME}")


def ownership(package: str) -> Iterator[Finding]:
    """Whether the files of `package` are ours and unaltered, and whether anyone else claims them."""
    subject = f"package {package}"
    others = claimants(package)
    if others:
        names = " ".join(other.split()[0] for other in others)
        detail = f"also installed by {', '.join(others)}, which overwrites it"
        yield Finding(subject, Verdict.BROKEN, detail, f"pip uninstall {names}, then {REINSTALL}")
    if not Path(whereabouts(package)).is_relative_to(HOME / package):
        yield Finding(subject, Verdict.BROKEN, f"hidden by {whereabouts(package)}", "rename that, or change sys.path")
    recorded = _recorded(package)
    altered = [path for path, digest in recorded.items() if _digest(HOME / path) != digest]
    if altered:
        yield Finding(subject, Verdict.BROKEN, f"missing or altered: {_some(altered)}", REINSTALL)
    elif not others:
        yield Finding(subject, Verdict.GOOD, f"{len(recorded)} files as installed" if recorded else "source tree")


def dependencies() -> Iterator[Finding]:
    """The libraries without which nothing works: each is imported, since a version number proves little."""
    for name in _required(extra=None):
        try:
            import_module(name)
            yield Finding(name, Verdict.GOOD, version(name))
        except Exception as error:  # noqa: BLE001 - a broken library may raise anything, and that is the finding
            yield Finding(name, Verdict.BROKEN, f"cannot be imported: {error}", f"pip install --upgrade {name}")


def extras() -> Iterator[Finding]:
    """Which optional parts are installed. Nothing is imported: that would take seconds."""
    installed = _installed()
    names = (installed.metadata.get_all("Provides-Extra") if installed else None) or []
    for extra in sorted(set(names) - {"all", "dev"}):
        required = list(_required(extra))
        missing = [name for name in required if not _present(name)]
        if missing:
            remedy = f"pip install '{DISTRIBUTION}[{extra}]' if you need it"
            yield Finding(f"extra [{extra}]", Verdict.NOTE, f"without {_some(missing)}", remedy)
        else:
            yield Finding(f"extra [{extra}]", Verdict.GOOD, _some([f"{name} {version(name)}" for name in required]))


def processors() -> Iterator[Finding]:
    """The processors this process may use. Kernels start no threads: the threads are the caller's."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Finding("processors", Verdict.GOOD, f"{usable} usable of {os.cpu_count()}")


def kernels() -> Iterator[Finding]:
    """Whether machine code can be kept on disk, and whether it is there already."""
    switches = [f"{name}={os.environ[name]}" for name in SLOW_SWITCHES if os.environ.get(name, "0") not in ("", "0")]
    if switches:
        yield Finding("numba switches", Verdict.NOTE, f"{', '.join(switches)}: much slower", "unset for production")
    compiled = list(_kernel_caches())
    folders = sorted({folder for folder, _ in compiled})
    for folder in folders:
        yield _cache_folder(Path(folder))
    if not folders:
        yield Finding("kernels", Verdict.NOTE, "no machine code is kept: every process compiles anew")
        return
    ready = sum(1 for folder, pattern in compiled if any(Path(folder).glob(pattern)))
    cold = ready < len(compiled)
    remedy = "scansion warm compiles the rest, else it happens on first use" if cold else ""
    yield Finding("kernels", Verdict.NOTE if cold else Verdict.GOOD, f"{ready} of {len(compiled)} compiled", remedy)


def engine() -> Iterator[Finding]:
    """One mask, computed and compared with the answer known beforehand."""
    begin = time.perf_counter()
    try:
        right = _knows_its_alphabet()
    except Exception as error:  # noqa: BLE001 - whatever it raises is the finding
        yield Finding("engine", Verdict.BROKEN, f"{type(error).__name__}: {error}", REINSTALL)
        return
    detail = f"compile and first mask in {time.perf_counter() - begin:.2f} s"
    if right:
        yield Finding("engine", Verdict.GOOD, detail)
    else:
        yield Finding("engine", Verdict.BROKEN, "a mask is wrong", "please report it with the output of this command")


def _knows_its_alphabet() -> bool:
    from grammars import Vocabulary, regex

    tokens = [b"a", b"b", b"ab", b"ba", b"<end>"]
    automaton = regex("(ab)+").compile(Vocabulary(tokens, eos=[4]))
    allowed = [automaton.allows(automaton.start, token) for token in range(len(tokens))]
    return allowed == [True, False, True, False, False]


def _installed() -> Distribution | None:
    try:
        return distribution(DISTRIBUTION)
    except PackageNotFoundError:
        return None


def _recorded(package: str) -> dict[str, str]:
    """The files of `package` and their digests in pip's record; an editable installation records none."""
    installed = _installed()
    record = (installed.read_text("RECORD") if installed else None) or ""
    rows = [row for row in csv.reader(record.splitlines()) if len(row) == 3]
    return {path: digest for path, digest, _ in rows if digest and path.startswith(f"{package}/")}


def _digest(path: Path) -> str:
    """What pip's record writes for a file; empty if there is none."""
    if not path.is_file():
        return ""
    return "sha256=" + urlsafe_b64encode(sha256(path.read_bytes()).digest()).rstrip(b"=").decode()


def _required(extra: str | None) -> Iterator[str]:
    """The distributions that `extra` asks for; None: those always needed."""
    installed = _installed()
    for requirement in (installed.requires if installed else None) or ():
        asked = re.search(r"extra == ['\"]([^'\"]+)", requirement)
        name = re.match(r"[\w.-]+", requirement)
        if name and (asked.group(1) if asked else None) == extra:
            yield name.group()


def _present(name: str) -> bool:
    try:
        return bool(version(name))
    except PackageNotFoundError:
        return False


def _kernel_caches() -> Iterator[tuple[str, str]]:
    """For each kernel the folder of its machine code, and the name of the index file that numba keeps there."""
    tag = f"py{sys.version_info.major}{sys.version_info.minor}"
    for kernel in _kernels():
        function, folder = kernel.py_func, kernel.stats.cache_path  # type: ignore[attr-defined]
        if folder:
            code = function.__code__
            yield folder, f"{Path(code.co_filename).stem}.{code.co_qualname}-{code.co_firstlineno}.{tag}*.nbi"


def _kernels() -> Iterator[Callable[..., object]]:
    for file in sorted((HOME / "grammars" / "kernels").glob("*.py")):
        module = import_module("grammars.kernels" if file.stem == "__init__" else f"grammars.kernels.{file.stem}")
        for value in vars(module).values():
            if hasattr(value, "py_func") and value.__module__ == module.__name__:
                yield value


def _cache_folder(folder: Path) -> Finding:
    present = next(path for path in (folder, *folder.parents) if path.exists())
    if os.access(present, os.W_OK):
        return Finding("kernel cache", Verdict.GOOD, str(folder))
    return Finding("kernel cache", Verdict.NOTE, f"{folder} is read-only", "set NUMBA_CACHE_DIR to a writable folder")


def _some(names: Iterable[str], limit: int = 4) -> str:
    listed = list(names)
    more = f" and {len(listed) - limit} more" if len(listed) > limit else ""
    return ", ".join(listed[:limit]) + more
