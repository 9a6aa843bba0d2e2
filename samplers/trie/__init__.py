"""The trie engine: prefixes with sound upper bounds, and everything that can be drawn from them.

`tree` is the trie itself, `walks` a round of descents through it, `rounds` the loop over rounds, `twist` and `table`
the learned proposal, `tries` and `storage` what is kept between calls and between processes; `columns` and `segments`
are the arrays below. The samplers on it are small: `samplers.asap`, `samplers.cars`, `samplers.btw`, `samplers.mcmc`.

>>> from samplers.trie import Tries
>>> isinstance(Tries(), Tries)
True
"""

from samplers.trie.table import StateTable
from samplers.trie.tree import Trie
from samplers.trie.tries import Tries

__all__ = ["StateTable", "Trie", "Tries"]
