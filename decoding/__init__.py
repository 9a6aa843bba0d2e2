"""The outside world: the `scansion` command, and the adapters of models, servers and trainers.

Everything heavy is an extra that is imported only where it is used, so `import decoding` costs no more than the layers
below it, `grammars` and `samplers`. Version 0.1 has the command line.

>>> import decoding
>>> decoding.__distribution__
'scansion'
"""

import sys
from pathlib import Path
from runpy import run_path

__distribution__ = "scansion"

# By path: the names may lead to somebody else's packages, which is the question asked here.
_require = run_path(str(Path(__file__).parents[1] / "grammars" / "provenance.py"))["require"]
try:
    _require("grammars")
    _require("samplers")
except ImportError as error:
    if Path(sys.argv[0]).stem != "scansion":
        raise
    raise SystemExit(f"scansion: {error}") from None  # the command, `scansion doctor` too: nobody there to catch it
