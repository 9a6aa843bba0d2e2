"""What only training needs is looked for where it is used."""

from __future__ import annotations

from importlib.util import find_spec

from grammars import BackendUnavailable


def require(*modules: str) -> None:
    """Raise `BackendUnavailable` for the first of these modules that is not installed.

    >>> require("json")
    >>> require("a_module_that_nobody_has")
    Traceback (most recent call last):
    grammars.errors.BackendUnavailable: training needs a_module_that_nobody_has, which is not installed
    hint: pip install 'scansion[rl]'
    """
    for name in modules:
        if find_spec(name) is None:
            raise BackendUnavailable(
                f"training needs {name}, which is not installed", hint="pip install 'scansion[rl]'"
            )
