"""Predicates: any Python function on text as a constraint.

A function can only be asked, not analysed. So there is no mask that is cheaper than asking about every token, and
`AdaptiveRejection`, which asks about a handful, is the sampler for it. Answers are kept.

Two kinds. *Prefix-monotone* (the default): asked about every prefix, each candidate token included; no to a prefix is
no to all that begins with it. *Final* (`final=True`): asked about finished texts only; nothing is known on the way.
Both at once: `predicate(prefix_check, final=check)`.
"""

from __future__ import annotations

from collections.abc import Callable

from grammars.errors import ScansionError
from grammars.vocabulary import Vocabulary
from samplers.constraints.products import Waiting
from samplers.constraints.stepwise import Stepwise
from samplers.errors import BrokenContract, InvalidOption

Check = Callable[[bytes], bool]


def predicate(check: Check, *, final: bool | Check = False) -> Waiting:
    """The texts (bytes) that satisfy `check`.

    >>> v = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    >>> calm = predicate(lambda text: b"bb" not in text).over(v)
    >>> after_b = calm.advance_many([calm.start], [1])[0]
    >>> calm.allows(after_b, 0), calm.allows(after_b, 1)
    (True, False)

    A check that only makes sense of finished texts:

    >>> even = predicate(lambda text: len(text) % 2 == 0, final=True).over(v)
    >>> even.accepts(even.advance_many([even.start], [0])[0])
    False
    """
    if not callable(check):
        raise InvalidOption(f"predicate needs a function of bytes, not {type(check).__name__}")
    on_prefix = None if final is True else check
    at_end = check if final is True else (final or None)
    return Waiting((lambda vocabulary: _constraint(vocabulary, on_prefix, at_end),))


def _constraint(vocabulary: Vocabulary, on_prefix: Check | None, at_end: Check | None) -> Stepwise[bytes]:
    tokens = vocabulary.tokens

    def after(text: bytes, token: int) -> bytes | None:
        longer = text + tokens[token]
        return longer if on_prefix is None or _asked(on_prefix, longer) else None

    def complete(text: bytes) -> bool:
        return at_end is None or _asked(at_end, text)

    if on_prefix is not None and not _asked(on_prefix, b""):
        raise InvalidOption(
            "the predicate refuses the empty text, and with it every text that begins with it",
            hint="a check of finished texts: predicate(check, final=True)",
        )
    return Stepwise(vocabulary, b"", after, complete, black_box=True)


def _asked(check: Check, text: bytes) -> bool:
    try:
        return bool(check(text))
    except ScansionError:
        raise
    except Exception as error:
        raise BrokenContract(
            f"the predicate failed on {text[:60]!r}: {type(error).__name__}: {error}",
            hint="a predicate takes the bytes of a text and returns True or False",
        ) from error
