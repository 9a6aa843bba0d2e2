"""Language models over arrays, for tests, demonstrations and tables of truth: no network, no torch.

>>> from grammars import Vocabulary
>>> from samplers.models import Tabulated
>>> model = Tabulated(Vocabulary([b"a", b"<end>"], eos=[1]), {}, otherwise=[0.5, 0.5])
>>> model.vocabulary.size
2
"""

from samplers.models.callables import Callable
from samplers.models.ngram import NGram
from samplers.models.tabulated import Tabulated

__all__ = ["Callable", "NGram", "Tabulated"]
