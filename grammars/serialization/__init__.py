"""Saved programs: a compiled grammar as a file.

What is saved is the network that lowering made (see `grammars.program`) and the expressions behind its lazy rows.
Nothing is pickled, and nothing in a file is ever executed. A file is read in three steps, and each makes the next one
safe:

1. *Container* (`container`). Magic bytes, version, length, and a checksum of everything: it is one of our files, whole
   and unchanged. A checksum is no signature, though: anybody can compute it.
2. *Indices* (`network`, `nodes`). Compiled kernels read without asking, so every number that is used as an index is
   checked against what it indexes, for any file, however malicious.
3. *Facts* (`grammars.completion`). What follows from the network (which rules may be empty, left recursion, byte
   classes, …) is not in the file. It is derived again by the code that the compiler runs.

So a file that is refused ends in `SerializationError`, one that needs more than the `Limits` of its reader in
`LimitExceeded`, and one that is accepted gives an automaton as sound as a freshly compiled one.

A file saved from an automaton names the fingerprint of its vocabulary and is refused with another one. A file saved
from a `Grammar` fits every vocabulary.

>>> from io import BytesIO
>>> from grammars import TokenAutomaton, Vocabulary, regex
>>> vocabulary = Vocabulary([b"a", b"b", b"<end>"], eos=[2])
>>> file = BytesIO()
>>> regex("a{2,}").compile(vocabulary).save(file)
>>> loaded = TokenAutomaton.load(BytesIO(file.getvalue()), vocabulary)
>>> loaded.matcher().accept_tokens([0, 0, 2])
3
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from grammars.bounded_residuals import residuals_of
from grammars.completion import completed
from grammars.errors import SerializationError, UnsatisfiableGrammar
from grammars.limits import Budget, Limits
from grammars.lowering import Lowered
from grammars.serialization.container import pack, unpack
from grammars.serialization.files import Destination, Source, read_file, write_file
from grammars.serialization.information import Information, read_information, write_information
from grammars.serialization.network import check_lexemes, check_states, is_same, read_network, write_network
from grammars.serialization.nodes import read_nodes, write_nodes

_NETWORK, _NODES = 5, 4  # sections of each
_SECTIONS = 1 + _NETWORK + _NODES


def save(file: Destination, lowered: Lowered, notes: Sequence[Any], fingerprint: str | None) -> None:
    """Write a program to a path or to a file that is open for writing bytes.

    `notes` is what `report()` will say; `fingerprint` is that of the only vocabulary it is for, None if any will do.

    >>> from io import BytesIO
    >>> from grammars import Limits, regex
    >>> file = BytesIO()
    >>> save(file, regex("a|b").lowered(Limits()), notes=(), fingerprint=None)
    >>> file.getvalue()[1:9]
    b'scansion'
    """
    information = write_information(Information(fingerprint, lowered.rule_names, tuple(notes)))
    nodes = write_nodes([residuals.node for residuals in lowered.residuals])
    write_file(file, pack([information, *write_network(lowered.program), *nodes]))


def load(file: Source, fingerprint: str, limits: Limits) -> tuple[Lowered, tuple[Any, ...]]:
    """The program and the notes of a file, for the vocabulary with this fingerprint.

    >>> from io import BytesIO
    >>> load(BytesIO(b"PK"), "", Limits())
    Traceback (most recent call last):
    ...
    grammars.errors.SerializationError: this is no saved program: it does not begin like one
    hint: save one with TokenAutomaton.save or Grammar.save
    """
    sections = unpack(read_file(file, limits), _SECTIONS)
    information = read_information(sections[0])
    if information.fingerprint not in (None, fingerprint):
        raise SerializationError(
            f"the program was saved for the vocabulary {information.fingerprint}, not for {fingerprint or 'this one'}",
            hint="load it with the vocabulary it was compiled for, or save the grammar instead of the automaton",
        )
    return _lowered(sections, information, limits), information.notes


def _lowered(sections: Sequence[memoryview], information: Information, limits: Limits) -> Lowered:
    network = read_network(sections[1 : 1 + _NETWORK])
    roots = read_nodes(sections[1 + _NETWORK :], limits)
    check_lexemes(network, limits)
    check_states(network, len(roots), limits)
    if len(information.rules) != len(network.rules):
        raise SerializationError(f"{len(information.rules)} rules have names, but there are {len(network.rules)}")
    work = Budget("compile_work", limits.compile_work)
    residuals = tuple(residuals_of(root, work) for root in roots)
    if any(automaton.start < 0 for automaton in residuals):
        raise SerializationError("a lexeme of the program has no strings")
    try:
        program = completed(network, [automaton.byte_classes for automaton in residuals])
    except UnsatisfiableGrammar:
        raise SerializationError("the program has no strings: no compiler wrote it") from None
    if not is_same(network, program):
        raise SerializationError("the program has states that can never finish: no compiler wrote it")
    return Lowered(program, residuals, information.rules)
