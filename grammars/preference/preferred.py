r"""The language of a terminal: the texts that Python's `re.match`, given nothing else, takes as a whole.

Most patterns are *settled*: greedy, without assertions, and such that the next character always tells how to go on.
They never prefer a shorter match to a longer one, and the language is that of the regular expression itself, counters
and all. For the others the machine is run through all its states, and the automaton that comes out is turned back
into an expression by eliminating its states one by one.

>>> preferred("a|ab", Budget("compile_work", 1000))
Text(data=b'a')
"""

from __future__ import annotations

from grammars.expression import Node, choice
from grammars.limits import Budget, Limits
from grammars.preference.charsets import Alphabet
from grammars.preference.elimination import expression_of
from grammars.preference.program import AHEAD, BEHIND, CHAR, LOOP, MATCH, SPLIT, Program
from grammars.preference.threads import Machine, Threads
from grammars.regex import parse


def preferred(pattern: str, budget: Budget, limits: Limits | None = None) -> Node:
    """The texts that a pattern, matched by Python's `re`, takes as a whole."""
    if is_settled(pattern, budget):
        return parse(pattern, limits=limits or Limits())
    program = Program(budget)
    entry = program.add(pattern, 0)
    machine = Machine(program, budget)
    return expression_of(*_automaton(machine, entry), budget)


def is_settled(pattern: str, budget: Budget) -> bool:
    """Whether a greedy match of this pattern never has to give anything back.

    >>> [is_settled(p, Budget("compile_work", 1000)) for p in ("[a-z]+[0-9]{1,9}", "a|ab", "a*?")]
    [True, False, False]
    """
    program = Program(budget, counted=False)
    entry = program.add(pattern, 0)
    if not program.is_greedy or program.trackers or any(i.kind in (AHEAD, BEHIND) for i in program.code):
        return False
    alphabet = Alphabet(program.sets)
    return all(
        _is_decided(_branches(program, place), program, alphabet)
        for place in (entry, *(i.b for i in program.code if i.kind == CHAR))
    )


def _branches(program: Program, entry: int) -> list[int]:
    """Where a thread can stand after following branches, the preferred first."""
    out: list[int] = []
    seen: set[int] = set()
    stack = [entry]
    while stack:
        place = stack.pop()
        kind, a, b, _ = program.code[place]
        if kind == LOOP:
            stack.append(b if a in seen else a)
        elif place not in seen:
            seen.add(place)
            if kind == SPLIT:
                stack += (b, a)
            else:
                out.append(place)
    return out


def _is_decided(places: list[int], program: Program, alphabet: Alphabet) -> bool:
    letters: set[int] = set()
    for place in places:
        if program.code[place].kind == MATCH:
            return place == places[-1]
        for letter in alphabet.classes(program.code[place].a):
            if letter in letters:
                return False
            letters.add(letter)
    return True


State = tuple[Threads, int]


def _automaton(machine: Machine, entry: int) -> tuple[list[dict[int, Node]], set[int]]:
    """Every state of the machine on one pattern, with those in which the text may end."""
    first: State = (machine.started([entry], machine.first_context), machine.first_context)
    numbers: dict[State, int] = {first: 0}
    states = [first]
    edges: list[dict[int, Node]] = []
    for threads, context in states:
        row: dict[int, list[int]] = {}
        for letter in range(len(machine.alphabet.members)):
            after = machine.next_context(context, letter)
            state = (machine.step(threads, letter, after), after)
            if state[0]:
                number = numbers.setdefault(state, len(states))
                if number == len(states):
                    states.append(state)
                row.setdefault(number, []).append(letter)
        members = machine.alphabet.members
        edges.append({target: choice([members[letter] for letter in letters]) for target, letters in row.items()})
    accepting = {number for state, number in numbers.items() if _may_end(machine, state[0])}
    return edges, accepting


def _may_end(machine: Machine, threads: Threads) -> bool:
    return any(machine.code[place].kind == MATCH and machine.futures.at_end(demand) for place, demand in threads)
