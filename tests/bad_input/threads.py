"""Family 14: threads, forks and interrupts leave results as they are."""

from __future__ import annotations

import os
import random
import select
import signal
import threading
from collections.abc import Callable
from contextlib import suppress

from grammars import TokenAutomaton, gbnf, regex
from tests.bad_input.case import Case, WrongFactError, allowed_tokens
from tests.bad_input.vocabulary import VOCABULARY

_GRAMMAR = 'root ::= (object | [a-z]{1,9})*\nobject ::= "{" (pair ("," pair)*)? "}"\npair ::= [0-9]+ ":" root'
_THREADS = 32
_PATIENCE = 60


def _automaton() -> TokenAutomaton:
    return gbnf(_GRAMMAR).compile(VOCABULARY)


def _walk(automaton: TokenAutomaton, seed: int) -> list[int]:
    """Masks along a random walk, as the numbers of their tokens."""
    rng, matcher, found = random.Random(seed), automaton.matcher(), list[int]()
    for _ in range(8):
        allowed = [t for t in allowed_tokens(automaton, matcher.state) if t not in VOCABULARY.eos]
        found.append(len(allowed))
        matcher.accept_token(rng.choice(allowed))
    return found


def _threads() -> None:
    automaton, found = _automaton(), dict[int, list[int]]()
    crowd = [threading.Thread(target=lambda n=n: found.update({n: _walk(automaton, n % 8)})) for n in range(_THREADS)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    alone = _automaton()
    wanted = [_walk(alone, seed) for seed in range(8)]
    if [found.get(n) for n in range(_THREADS)] != [wanted[n % 8] for n in range(_THREADS)]:
        raise WrongFactError("threads find other masks than one thread alone")


def _compiling_threads() -> None:
    grammar, found = regex(r"(\w+ ){0,20}(?!end)\w+"), dict[int, list[int]]()

    def compile_and_walk(number: int) -> None:
        found[number] = _walk(grammar.compile(VOCABULARY), 1)

    crowd = [threading.Thread(target=compile_and_walk, args=(n,)) for n in range(8)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    if len({tuple(walk) for walk in found.values()}) != 1 or len(found) != 8:
        raise WrongFactError("threads that compile one grammar disagree")


def _fork() -> None:
    """A fork while another thread computes masks: the child must not wait for a lock that nobody will release."""
    automaton, stop = _automaton(), threading.Event()
    wanted = _walk(automaton, 3)

    def keep_busy() -> None:
        while not stop.is_set():
            _walk(_automaton(), 5)
            _walk(automaton, random.randrange(1000))

    busy = threading.Thread(target=keep_busy)
    busy.start()
    try:
        for _ in range(5):
            _check_in_child(lambda: _walk(automaton, 3) == wanted)
    finally:
        stop.set()
        busy.join()


def _check_in_child(check: Callable[[], bool]) -> None:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, b"yes" if check() else b"no")
        os._exit(0)
    os.close(writing)
    ready, _, _ = select.select([reading], [], [], _PATIENCE)
    answer = os.read(reading, 3) if ready else b"stuck"
    os.close(reading)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    if answer != b"yes":
        raise WrongFactError(f"the forked process answers {answer!r}")


def _interrupted(work: Callable[[], object]) -> None:
    """Do work and interrupt it, a little later each time."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGALRM, interrupt)
    for turn in range(25):
        with suppress(KeyboardInterrupt):
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.0003 * (turn + 1))
                work()
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)


def _interrupted_compilation() -> None:
    grammar = gbnf(_GRAMMAR)
    wanted = _walk(_automaton(), 2)
    _interrupted(lambda: grammar.compile(VOCABULARY))
    _interrupted(lambda: gbnf(_GRAMMAR).matches(b"{1:ab}"))
    if _walk(grammar.compile(VOCABULARY), 2) != wanted:
        raise WrongFactError("an interrupted compilation left traces")


def _interrupted_masks() -> None:
    automaton, turns = _automaton(), iter(range(10**6))
    _interrupted(lambda: [_walk(automaton, next(turns)) for _ in range(9)])
    for seed in range(9):
        if _walk(automaton, seed) != _walk(_automaton(), seed):
            raise WrongFactError("an interrupted mask left traces")


CASES = (
    Case("32 threads on one automaton", 14, "ok", act=_threads, address_space=8 << 30),
    Case("8 threads compile one grammar", 14, "ok", act=_compiling_threads, address_space=8 << 30),
    Case("fork while a thread computes", 14, "ok", act=_fork),
    Case("interrupts during compilation", 14, "ok", act=_interrupted_compilation, alone=True),
    Case("interrupts during masks", 14, "ok", act=_interrupted_masks, alone=True),
)
