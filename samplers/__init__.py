"""How to choose the next tokens under a constraint, for any model.

Masking the forbidden tokens and drawing from what is left is fast, and wrong: it does not draw from the model's
distribution conditioned on the constraint. This package is the place of the algorithms that do, or that say by how much
they do not. They know nothing of torch or of any model: log-probabilities come in, tokens and weights go out.

The layer stands on `grammars` and below `decoding`. Version 0.1 has the layer and its import-time check, and no
algorithm yet.

>>> import samplers
>>> samplers.__distribution__
'scansion'
"""

from pathlib import Path
from runpy import run_path

__distribution__ = "scansion"

# By path: the name `grammars` may lead to somebody else's package, which is the question asked here.
run_path(str(Path(__file__).parents[1] / "grammars" / "provenance.py"))["require"]("grammars")
