"""Provenance: is the package beside us really ours?

`grammars`, `samplers` and `decoding` are words anybody may use. Another distribution can claim the same name, as
`decoding` 0.1.4 on PyPI does, and pip then writes one over the other without a word; a folder of that name nearer on
`sys.path` hides ours. Either ends in an error far from its cause, so each package asks at import whether the one
below it carries this distribution's mark, `__distribution__`.

The file is run by its path (`runpy.run_path`), because the name `grammars` may lead to somebody else. Hence it imports
nothing of ours at the top, and searches the installed distributions, which is slow, only once something is wrong.

>>> require("grammars")
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from runpy import run_path
from typing import cast

DISTRIBUTION = "scansion"
VERSION = "0.1.0"


def require(package: str) -> None:
    """Import `package`; an `IntegrationError` that is also an `ImportError` says whose it is when it is not ours."""
    try:
        found = import_module(package)
    except ImportError:
        if not claimants(package):
            raise  # ours, and one of its dependencies is missing: that error says it better
    else:
        if getattr(found, "__distribution__", None) == DISTRIBUTION:
            return
    raise foreign_package(package)


def claimants(package: str) -> list[str]:
    """The other installed distributions that own a top-level package of this name, as "name version".

    >>> claimants("grammars")
    []
    """
    from importlib.metadata import packages_distributions, version

    names = sorted(set(packages_distributions().get(package, ())) - {DISTRIBUTION})
    return [f"{name} {version(name)}" for name in names]


def foreign_package(package: str) -> ImportError:
    """The error that says what stands in the place of our `package`, and how to get rid of it."""
    place = whereabouts(package)
    owners = claimants(package)
    if owners:
        names = " and ".join(owners)
        message = f"the package `{package}` ({place}) comes from {names}, not from {DISTRIBUTION}"
        removed = " ".join(owner.split()[0] for owner in owners)
        hint = f"pip uninstall {removed}, then pip install --force-reinstall --no-deps {DISTRIBUTION}"
    else:
        message = f"the package `{package}` ({place}) does not come from {DISTRIBUTION}"
        hint = "rename it, or start Python where it is not on sys.path"
    error = _error_class()(message, hint=hint)
    error.name, error.path = package, place
    return error


def whereabouts(package: str) -> str:
    """The file or folder that `import package` leads to.

    >>> whereabouts("no_such_package")
    'not found'
    """
    spec = find_spec(package)
    if spec is None:
        return "not found"
    return spec.origin or ", ".join(spec.submodule_search_locations or ()) or "built in"


class _Refusal(ImportError):
    """What the type checker knows about the class that `_error_class` makes."""

    def __init__(self, message: str, *, hint: str):
        super().__init__(message, hint)


def _error_class() -> type[_Refusal]:
    """An `IntegrationError` that is an `ImportError`, made from our own errors even where their name is taken."""
    if getattr(sys.modules.get("grammars"), "__distribution__", None) == DISTRIBUTION:
        base = import_module("grammars.errors").IntegrationError
    else:
        base = run_path(str(Path(__file__).with_name("errors.py")))["IntegrationError"]
    made = type("ForeignPackage", (base, ImportError), {"code": "integration.foreign_package"})
    return cast("type[_Refusal]", made)
