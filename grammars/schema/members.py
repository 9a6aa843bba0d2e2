"""The grammar of an object: declared members in the order of the schema, then all others.

Every key that the schema names has a place of its own; what remains is divided into sets of keys by the patterns that
match them, each with the conjunction of what those patterns ask of the value. So overlapping patterns need no special
care.

Without counts an object is one sequence: what comes before the first required member ends in a comma, what comes
after it begins with one. Where nothing is required a rule for "nothing yet" and one for "something already" take
turns. With `minProperties`, `maxProperties`, a member that must exist somewhere, or in any order, a rule stands for
the members so far.

Members that are not declared may repeat a key: to forbid it takes a memory of the keys, which no grammar has. JSON
leaves the meaning of such a text open (most readers keep the last value), so nothing may depend on it: where a lower
bound could be met by one key written twice, or by a value that a later one replaces, the keys leave marks and the
automaton remembers them (`registers`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING

from grammars.errors import UnsupportedFeature
from grammars.expression import EPSILON, NOTHING, Call, Node, choice, optional, repeat, sequence, text
from grammars.schema.objects import ObjectSet, Rule
from grammars.schema.registers.marks import (
    BEGIN,
    CLOSE,
    END,
    FOUND,
    OPEN_KEYS,
    OPEN_TIGHT_KEYS,
    REQUIRE,
    ROOM,
    mark,
    mark_rules,
)
from grammars.schema.strings import listed
from grammars.schema.terms import FALSE, TRUE, Term, conj, disj, neg

if TYPE_CHECKING:
    from grammars.schema.assembly import Assembly

_MOST_OTHERS = 256
_MOST_IN_ANY_ORDER = 6  # with a rule for each set of them; with more, the automaton remembers the set
_MOST_IN_ONE_RULE = 64  # members none of which is required: the expression has the square of it

State = tuple[
    int, int, int
]  # members so far (the index of the next, or a set of bits), how many, which of `some` were found


@dataclass(frozen=True, slots=True)
class Member:
    """A declared key, what its value must be, and whether it must be there."""

    name: str
    value: Term
    required: bool


@dataclass(frozen=True, slots=True)
class Others:
    """A set of keys that are not declared, what their values must be, and which of `some` have such a key."""

    keys: Term
    value: Term
    found: int


class MemberRules:
    """Writes objects into the rules of an assembly."""

    def __init__(self, assembly: Assembly):
        self._assembly = assembly

    def object(self, name: str, objects: ObjectSet) -> Node:
        """The objects of a set."""
        members = self._members(objects)
        others = self._others(objects, [member.name for member in members])
        if any(member.required and member.value == FALSE for member in members):
            return NOTHING
        members = [member for member in members if member.value != FALSE]
        if self._keys_run_out(objects, len(members), others):
            return NOTHING
        writer = _Writer(self._assembly, name, objects, members, others)
        inner = writer.inner()
        if inner == NOTHING:
            return NOTHING
        opening, closing = text("{"), text("}")
        if writer.opens is not None:
            self._assembly.rules.update(mark_rules())
            opening, closing = sequence([opening, *map(mark, writer.opening)]), sequence([mark(CLOSE), closing])
        found = sequence([opening, self._assembly.space, inner, closing])
        return self._assembly.doubtful(name, found) if writer.opens == OPEN_TIGHT_KEYS else found

    def _keys_run_out(self, objects: ObjectSet, declared: int, others: list[Others]) -> bool:
        """Whether there are fewer keys than members must be there."""
        if objects.low <= declared:
            return False
        counts = [self._assembly.count_of_strings(cell.keys) for cell in others]
        return all(count.exact for count in counts) and declared + sum(count.least for count in counts) < objects.low

    def _members(self, objects: ObjectSet) -> list[Member]:
        properties, strings = dict(objects.properties), self._assembly.strings
        names = dict.fromkeys([*properties, *objects.required])
        for rule in objects.some:
            names.update(dict.fromkeys(sorted(strings.values_of(rule.keys) or ())))
        required = frozenset(objects.required)
        found: list[Member] = []
        for name in names:
            values = [rule.value for rule in objects.patterns if strings.holds(rule.keys, name)]
            found.append(Member(name, conj([properties.get(name, TRUE), *values]), name in required))
        return found

    def _others(self, objects: ObjectSet, names: list[str]) -> list[Others]:
        """The keys that are not declared, divided by the patterns that match them."""
        cells = [Others(neg(listed(names)), TRUE, 0)]
        for rule in objects.patterns:
            cells = self._divided(cells, rule.keys, rule.value, 0)
        for number, rule in enumerate(objects.some):
            cells = self._divided(cells, rule.keys, TRUE, 1 << number)
        grouped: dict[tuple[Term, int], list[Term]] = {}
        for cell in cells:
            grouped.setdefault((cell.value, cell.found), []).append(cell.keys)
        return [Others(disj(keys), value, found) for (value, found), keys in grouped.items()]

    def _divided(self, cells: list[Others], keys: Term, value: Term, found: int) -> list[Others]:
        if len(cells) > _MOST_OTHERS:
            raise UnsupportedFeature(f"patterns that divide the keys into more than {_MOST_OTHERS} sets")
        divided: list[Others] = []
        for cell in cells:
            self._assembly.budget.charge()
            inside = Others(conj([cell.keys, keys]), conj([cell.value, value]), cell.found | found)
            outside = Others(conj([cell.keys, neg(keys)]), cell.value, cell.found)
            divided.extend(part for part in (inside, outside) if self._is_possible(part))
        return divided

    def _is_possible(self, cell: Others) -> bool:
        return cell.value != FALSE and cell.keys != FALSE and not self._assembly.strings.is_empty(cell.keys)


class _Writer:
    """Writes one object."""

    def __init__(self, assembly: Assembly, name: str, objects: ObjectSet, members: list[Member], others: list[Others]):
        self._assembly = assembly
        self._name = name
        self._objects = objects
        self._members = members
        self._others = others
        self._comma = assembly.separator(",")
        self._required = sum(member.required for member in members)
        self._low = objects.low if objects.low > self._required else 0
        self._high = objects.high if others or (objects.high or 0) < len(members) else None
        self._any_order = assembly.options.property_order == "any" and bool(len(members) + len(others) > 1)
        self._unordered = self._any_order and len(members) > _MOST_IN_ANY_ORDER and not self._counts()
        self.opens = self._marks_of_any_order() if self._unordered else self._registers()

    def _counts(self) -> bool:
        """Whether members are counted, or searched for one of a kind."""
        return bool(self._low or self._high is not None or self._objects.some)

    def inner(self) -> Node:
        """What stands between the braces, but for the whitespace before it."""
        if self._unordered:
            return self._in_any_order()
        return self._counted() if self._counts() or self._any_order else self._plain()

    @property
    def opening(self) -> list[int]:
        """The marks that open the registers of the object."""
        if self.opens is None:
            return []
        if not self._unordered:
            return [self.opens]
        room = 0 if any(map(self._is_endless, self._others)) else len(self._members)
        return [self.opens, *[ROOM] * room, *[REQUIRE] * self._required]

    # -- without counts -------------------------------------------------------------------------------------------

    def _plain(self) -> Node:
        """Members in order; nothing is counted."""
        first = next((index for index, member in enumerate(self._members) if member.required), None)
        if first is None:
            return self._nothing_required()
        before = [optional(sequence([self._member(member), self._comma])) for member in self._members[:first]]
        after = [self._following(member) for member in self._members[first + 1 :]]
        space = self._assembly.space
        return sequence([*before, self._member(self._members[first]), *after, self._more(), space])

    def _following(self, member: Member) -> Node:
        follows = sequence([self._comma, self._member(member)])
        return follows if member.required else optional(follows)

    def _nothing_required(self) -> Node:
        """A choice of the first member; what may follow it is one chain that is entered at different places."""
        members, tail = [self._member(member) for member in self._members], self._tail()
        if len(members) > _MOST_IN_ONE_RULE:
            return self._in_many_rules(members, tail)
        following = [optional(sequence([self._comma, member])) for member in members]
        first = [sequence([member, *following[index + 1 :], *tail]) for index, member in enumerate(members)]
        return choice([*first, self._others_alone(tail)])

    def _in_many_rules(self, members: list[Node], tail: list[Node]) -> Node:
        """The same with a rule for every place of the chain."""
        rest, start = sequence(tail), self._others_alone(tail)
        for index in range(len(members) - 1, -1, -1):
            rest = self._shared(f"after {index}", rest)
            start = choice([sequence([members[index], rest]), self._shared(f"from {index + 1}", start)])
            rest = sequence([optional(sequence([self._comma, members[index]])), rest])
        return start

    def _tail(self) -> list[Node]:
        return [self._more(), self._assembly.space]

    def _others_alone(self, tail: list[Node]) -> Node:
        other = self._other()
        return EPSILON if other == NOTHING else optional(sequence([other, *tail]))

    def _shared(self, suffix: str, node: Node) -> Node:
        """The node as a rule, so that it is written once."""
        rule = f"{self._name} {suffix}"
        self._assembly.rules[rule] = node
        return Call(rule)

    def _more(self) -> Node:
        other = self._other()
        return EPSILON if other == NOTHING else repeat(sequence([self._comma, other]))

    def _other(self) -> Node:
        return choice(node for node in map(self._other_member, self._others) if node != NOTHING)

    def _other_member(self, others: Others) -> Node:
        key = self._assembly.quoted(others.keys)
        if self.opens is not None:
            key = sequence([mark(BEGIN), key, mark(END)])
        return self._pair(key, others.value)

    def _member(self, member: Member) -> Node:
        return self._pair(self._key(member.name), member.value)

    def _key(self, name: str) -> Node:
        return self._assembly.strings.spelling.quoted_words([name])

    def _pair(self, key: Node, value: Term) -> Node:
        return sequence([key, self._assembly.separator(":"), self._assembly.value(value)])

    # -- in any order ---------------------------------------------------------------------------------------------

    def _in_any_order(self) -> Node:
        """Any member after any other: which ones were read, and which are missing, is what the automaton remembers."""
        found = {True: sequence([mark(END), mark(FOUND)]), False: mark(END)}
        members = [
            self._pair(sequence([self._key(member.name), found[member.required]]), member.value)
            for member in self._members
        ]
        others = [self._pair(sequence([self._assembly.quoted(o.keys), found[False]]), o.value) for o in self._others]
        some = choice(node for node in [*members, *others] if node != NOTHING)
        more = repeat(sequence([mark(BEGIN), self._comma, some]))  # the mark stands before the comma: no key, no comma
        many = sequence([mark(BEGIN), some, more, self._assembly.space])
        return many if self._required else optional(many)

    def _marks_of_any_order(self) -> int:
        """Members never run out if all have values, and the keys that are not declared are endless, or there are
        none."""
        possible = all(self._assembly.count_of(member.value).least for member in self._members)
        return OPEN_KEYS if possible and all(map(self._is_endless, self._others)) else OPEN_TIGHT_KEYS

    # -- with counts ----------------------------------------------------------------------------------------------

    def _counted(self) -> Node:
        """Members with a rule for every state of what is counted."""
        first: State = (0, 0, 0)
        waiting: list[State] = [first]
        known: set[State] = {first}
        while waiting:
            state = waiting.pop()
            options: list[Node] = [EPSILON] if self._complete(state) else []
            for member, target in self._steps(state):
                self._assembly.budget.charge()
                if target not in known:
                    known.add(target)
                    waiting.append(target)
                options.append(sequence([member, Call(self._rule(target))]))
            self._assembly.rules[self._rule(state)] = choice(options)
        return Call(self._rule(first))

    def _registers(self) -> int | None:
        """The mark that opens registers for the keys, where one key written twice would count as two, or where a value
        that must be there could be replaced by a later one; None if nothing depends on it."""
        some = list(enumerate(self._objects.some))
        replaced = any(
            rule.value != TRUE and others.found >> number & 1 for number, rule in some for others in self._others
        )
        if not self._others or (self._low <= self._required + 1 and not replaced):
            return None
        endless = [others for others in self._others if self._is_endless(others)]
        lacking = [others for others in self._others if others.found and others not in endless]
        return OPEN_TIGHT_KEYS if lacking or not endless else OPEN_KEYS

    def _is_endless(self, others: Others) -> bool:
        keys = self._assembly.count_of_strings(others.keys)
        return keys.endless and bool(self._assembly.count_of(others.value).least)

    def _rule(self, state: State) -> str:
        return f"{self._name} {state}"

    def _complete(self, state: State) -> bool:
        progress, count, found = state
        if found != (1 << len(self._objects.some)) - 1 or count < self._low:
            return False
        if not self._any_order:
            return progress == len(self._members)
        return all(progress >> index & 1 for index, member in enumerate(self._members) if member.required)

    def _steps(self, state: State) -> Iterator[tuple[Node, State]]:
        """What may come next, with the state after it."""
        progress, count, found = state
        full = self._high is not None and count >= self._high
        if not self._any_order and progress < len(self._members):
            if not self._members[progress].required:
                yield EPSILON, (progress + 1, count, found)
            if not full:
                yield from self._taking(progress, progress + 1, state)
            return
        if full:
            return
        if self._any_order:
            if len(self._members) > _MOST_IN_ANY_ORDER:
                raise UnsupportedFeature(
                    f"an object of {len(self._members)} properties in any order whose number is bounded; "
                    f"{_MOST_IN_ANY_ORDER} are possible",
                    hint='SchemaOptions(property_order="schema") has no such bound',
                )
            for index in range(len(self._members)):
                if not progress >> index & 1:
                    yield from self._taking(index, progress | 1 << index, state)
        for others in self._others:
            rules = [(number, rule) for number, rule in enumerate(self._objects.some) if others.found >> number & 1]
            for condition, bits in _picks(rules):
                member = self._other_member(replace(others, value=conj([others.value, condition])))
                if member != NOTHING:
                    yield self._separated(count, member), (progress, self._after(count), found | bits)

    def _taking(self, index: int, progress: int, state: State) -> Iterator[tuple[Node, State]]:
        _, count, found = state
        member, strings = self._members[index], self._assembly.strings
        some = enumerate(self._objects.some)
        for condition, bits in _picks([(n, rule) for n, rule in some if strings.holds(rule.keys, member.name)]):
            value = conj([member.value, condition])
            if value != FALSE:
                node = self._pair(self._key(member.name), value)
                yield self._separated(count, node), (progress, self._after(count), found | bits)

    def _separated(self, count: int, member: Node) -> Node:
        return sequence([self._comma if count else EPSILON, member])

    def _after(self, count: int) -> int:
        return min(count + 1, max(self._low, self._high or 0, 1))


def _picks(rules: list[tuple[int, Rule]]) -> Iterator[tuple[Term, int]]:
    """What a value must be to count as found for some of the rules, and their bits. Counting less than it could be is
    harmless: another way counts it."""
    ways: list[list[tuple[Term, int]]] = []
    for number, rule in rules:
        hit = (rule.value, 1 << number)
        ways.append([hit] if rule.value == TRUE else [hit, (TRUE, 0)])
    for picked in product(*ways):
        yield conj(condition for condition, _ in picked), sum(bit for _, bit in picked)
