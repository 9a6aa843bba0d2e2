"""Saving a trie and going on with it: plain arrays in an npz file, no pickle.

Numbers of automaton states mean nothing in another process, so they are not trusted: they are computed again along the
saved tokens, which also shows whether the constraint still allows what it allowed. And the model is asked for the first
row: a trie rests on the probabilities that it was built with, so another model's would be silently wrong.
"""

from __future__ import annotations

import math
from os import PathLike
from typing import IO, Any, cast
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from grammars.errors import SerializationError
from samplers.evaluation import checked_rows
from samplers.problem import Problem
from samplers.protocols import NO_TOKENS
from samplers.trie.columns import Columns
from samplers.trie.tree import END_TOKEN, UNASKED, Trie

File = str | PathLike[str] | IO[bytes]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Arrays = dict[str, NDArray[Any]]

_VERSION = 1
_TOLERANCE = 1e-3  # log-probabilities of the same model, computed in another batch


def save_trie(trie: Trie, problem: Problem, file: File) -> None:
    """Write a trie.

    >>> from io import BytesIO
    >>> from grammars import Vocabulary, regex
    >>> from samplers import ASAp, sample
    >>> from samplers.models import Tabulated
    >>> v = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
    >>> problem = Problem(Tabulated(v, {}, otherwise=[2, 1, 1]), regex("[ab]{1,3}"))
    >>> before, file = ASAp(), BytesIO()
    >>> _ = sample(problem, before, n=4, seed=0)
    >>> before.tries.save(problem, file)
    >>> after = ASAp()
    >>> after.tries.load(problem, BytesIO(file.getvalue()))
    >>> after.tries.of(problem).log_root == before.tries.of(problem).log_root
    True
    """
    arrays = {f"{name}.{column}": a for name, part in _parts(trie) for column, a in part.arrays().items()}
    options = np.array([trie.masks, trie.stored, trie.max_bytes, trie.expansions, problem.max_tokens], np.int64)
    arrays |= {f"table.{name}": array for name, array in trie.table.arrays().items()}
    vocabulary = np.frombuffer(str(problem.vocabulary.fingerprint).encode(), np.uint8)
    header = {"version": np.array([_VERSION]), "options": options, "bound": np.array([trie.bound])}
    cast("Any", np.savez)(file, **header, vocabulary=vocabulary, **arrays)


def load_trie(problem: Problem, file: File) -> Trie:
    """Read a trie that `save_trie` wrote.

    >>> from io import BytesIO
    >>> from grammars import Vocabulary, regex
    >>> from samplers.models import Tabulated
    >>> v = Vocabulary([b"a", b"<end>"], eos=[1])
    >>> load_trie(Problem(Tabulated(v, {}, otherwise=[1, 1]), regex("a*")), BytesIO(b"?"))
    Traceback (most recent call last):
    grammars.errors.SerializationError: this is no saved trie, or a damaged one: ...
    """
    arrays = _read(file)
    try:
        _check_header(problem, arrays)
        masks, stored, max_bytes, expansions, _ = arrays["options"].tolist()
        trie = Trie(problem, masks=bool(masks), stored=stored, max_bytes=max_bytes)
        for name, part in _parts(trie):
            part.replace({column: arrays[f"{name}.{column}"] for column in part.names()})
        trie.expansions = expansions
        _check_shape(trie)
        table = {name[6:]: array for name, array in arrays.items() if name.startswith("table.")}
        trie.table.restore(table, _restate(problem, trie))
    except (KeyError, ValueError, IndexError, TypeError) as error:
        raise SerializationError(f"this is no saved trie, or a damaged one: {error}") from None
    _check_model(problem, trie)
    return trie


def _parts(trie: Trie) -> list[tuple[str, Columns]]:
    return [("nodes", trie.nodes), ("edges", trie.edges), ("found", trie.found)]


def _read(file: File) -> Arrays:
    try:
        with np.load(cast("Any", file), allow_pickle=False) as loaded:
            return {name: loaded[name] for name in loaded.files}
    except (ValueError, BadZipFile, EOFError, KeyError) as error:
        raise SerializationError(f"this is no saved trie, or a damaged one: {error}") from None


def _check_header(problem: Problem, arrays: Arrays) -> None:
    if int(arrays["version"][0]) != _VERSION:
        raise SerializationError(f"a trie of version {int(arrays['version'][0])}; this reads version {_VERSION}")
    if arrays["vocabulary"].tobytes() != str(problem.vocabulary.fingerprint).encode():
        raise SerializationError("the trie was saved with another vocabulary")
    if int(arrays["options"][4]) != problem.max_tokens:
        raise SerializationError(
            f"the trie was saved with max_tokens={int(arrays['options'][4])}, not {problem.max_tokens}"
        )
    bound = float(sum(getattr(potential, "log_bound", 0.0) for potential in problem.potentials))
    if float(arrays["bound"][0]) != bound:
        raise SerializationError("the trie was saved with other potentials")


def _check_shape(trie: Trie) -> None:
    """Whether all numbers of rows lead to rows, and parents come before their children."""
    nodes, edges = trie.nodes, trie.edges
    ids = np.arange(nodes.size)
    parent, begin, count = nodes.parent[: nodes.size], nodes.begin[: nodes.size], nodes.count[: nodes.size]
    sound = bool(((parent < ids) & (parent >= -1) & (count >= 0) & (begin >= 0)).all())
    sound &= bool((begin + count <= edges.size).all()) and bool((parent[1:] >= 0).all())
    below = ids[parent >= 0]
    slots = nodes.slot[below]
    sound = sound and bool(((slots >= 0) & (slots < count[parent[below]])).all())
    sound = sound and bool((edges.child[trie.edge(parent[below], slots)] == below).all())
    sound = sound and bool(((edges.child >= -1) & (edges.child < max(nodes.size, 1))).all())
    found = trie.found.node[: trie.found.size]
    if not (sound and bool(((found >= 0) & (found < max(nodes.size, 1))).all())):
        raise SerializationError("the saved trie is damaged: its nodes and edges do not fit together")


def _restate(problem: Problem, trie: Trie) -> dict[int, int]:
    """The states of the constraint, computed anew; from each old number to the new one."""
    nodes, edges, renamed = trie.nodes, trie.edges, {int(UNASKED): int(UNASKED), -1: -1}
    owner = np.full(edges.size, -1)
    for node in range(nodes.size):
        owner[nodes.begin[node] : nodes.begin[node] + nodes.count[node]] = node
    old_nodes, old_edges = nodes.state.copy(), edges.state.copy()
    if nodes.size:
        nodes.state[0] = problem.constraint.start
        renamed[int(old_nodes[0])] = problem.constraint.start
    for level in reversed(trie.levels(np.arange(nodes.size))):
        at = np.flatnonzero(np.isin(owner, level) & (old_edges != UNASKED) & (edges.token >= 0))
        edges.state[at] = problem.advanced(nodes.state[owner[at]], edges.token[at])
        inner = at[edges.child[at] >= 0]
        nodes.state[edges.child[inner]] = edges.state[inner]
    if ((edges.state < 0) != (old_edges < 0)).any() or (nodes.state[: nodes.size] < 0).any():
        raise SerializationError("the trie was saved with another constraint")
    renamed.update(zip(old_edges.tolist(), edges.state.tolist(), strict=True))
    trie.pin(problem, np.concatenate([nodes.state[: nodes.size], edges.state]))
    return renamed


def _check_model(problem: Problem, trie: Trie) -> None:
    if not trie.nodes.size:
        return
    row = checked_rows(problem.model, problem.model.log_probs([NO_TOKENS]), 1)
    tokens, begin = trie.tokens_at(0), int(trie.nodes.begin[0])
    saved = trie.edges.log_p[begin : begin + len(tokens)]
    found: Floats = row[0, np.maximum(tokens, 0)]
    found[tokens == END_TOKEN] = problem.log_end(row)[0]
    off = float(np.abs(np.exp(saved) - np.exp(found)).max(initial=0.0))
    if not off <= _TOLERANCE or math.isnan(off):
        raise SerializationError(
            f"the trie was saved with another model: the first probabilities differ by {off:.3g}",
            hint="begin a new trie for a new model or prompt",
        )
