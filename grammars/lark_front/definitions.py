"""Rules and terminals by name.

Statements mean what they mean to lark: imports come first, then definitions in order; `%override` replaces, `%extend`
adds alternatives. An imported grammar's names are prefixed (`common__DIGIT`) unless the import names them. A terminal
finds the terminals it mentions in its own grammar, whatever is overridden elsewhere; a rule finds its symbols by name.

Only the grammars that come with lark can be imported: a grammar text never opens a file.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import lark

from grammars.errors import GrammarSyntaxError, Span, UnsupportedFeature
from grammars.lark_front.source import Source, Tree, read_source
from grammars.limits import Budget, Limits

_MAX_DIGITS = 18
BUNDLED = ("common", "lark", "python", "unicode")


@dataclass(slots=True, eq=False)
class Home:
    """Where a body was written: its text, how names in it are spelled outside, and what its terminals can see."""

    source: Source
    rename: Callable[[str], str]
    scope: dict[str, Definition]


class Body(NamedTuple):
    tree: Tree
    home: Home


@dataclass(slots=True, eq=False)
class Definition:
    """One rule, template or terminal. `bodies` are alternatives; none: it was only declared."""

    name: str
    is_terminal: bool
    params: tuple[str, ...]
    bodies: tuple[Body, ...]
    token: lark.Token
    home: Home
    priority: int = 0

    def error(self, message: str, hint: str | None = None) -> GrammarSyntaxError:
        return GrammarSyntaxError(message, span=self.home.source.span(self.token), hint=hint)


class Module(NamedTuple):
    """A grammar's definitions, and the terminals it ignores (nameless ones have bodies of their own)."""

    source: Source
    definitions: dict[str, Definition]
    ignored: tuple[Definition, ...]

    def start(self, name: str) -> Definition:
        """The rule to start from."""
        found = self.definitions.get(name)
        if found is None or found.is_terminal or found.params:
            raise GrammarSyntaxError(
                f"the grammar has no rule {name!r} to start from",
                span=Span(self.source.text, 0),
                hint=f"define {name}: ..., or pass start= with the name of a rule",
            )
        return found


def load(source: Source) -> Module:
    """The definitions of a grammar and of everything it imports, with every name in them known."""
    home = Home(source, str, {})
    _define_all(home)
    ignored = tuple(_ignored(tree, home, i) for i, tree in enumerate(_statements(source, "ignore")))
    for definition in (*home.scope.values(), *ignored):
        _check_names(definition, home.scope)
    return Module(source, home.scope, ignored)


def subtrees(tree: Tree) -> list[Tree]:
    """The children that are trees."""
    return [child for child in tree.children if isinstance(child, lark.Tree)]


def tokens(tree: Tree) -> list[lark.Token]:
    """The children that are tokens."""
    return [child for child in tree.children if isinstance(child, lark.Token)]


def symbols(tree: Tree) -> Iterator[lark.Token]:
    """The names of rules and terminals that a body uses."""
    stack = [tree]
    while stack:
        node = stack.pop()
        if node.data in ("terminal", "nonterminal"):
            yield tokens(node)[0]
        else:
            children = subtrees(node)
            stack.extend(reversed(children[:1] if node.data == "alias" else children))


def _statements(source: Source, *kinds: str) -> Iterator[Tree]:
    return (tree for tree in subtrees(source.statements) if tree.data in kinds)


def _define_all(home: Home) -> None:
    _import_all(home)
    for statement in _statements(home.source, "rule", "term", "override", "extend", "declare"):
        if statement.data in ("rule", "term"):
            _define(home.scope, _definition(statement, home), "define")
        else:
            for child in subtrees(statement):
                _define(home.scope, _definition(child, home), str(statement.data))


def _definition(tree: Tree, home: Home) -> Definition:
    token = next(token for token in tokens(tree) if token.type in ("RULE", "TERMINAL"))
    templates = [child for child in subtrees(tree) if child.data == "template_params"]
    params = tuple(str(name) for child in templates for name in tokens(child))
    bodies = tuple(Body(child, home) for child in subtrees(tree) if child.data == "expansions")
    priority = _priority(tree, home)
    definition = Definition(home.rename(str(token)), token.type == "TERMINAL", params, bodies, token, home, priority)
    if len(set(params)) < len(params):
        raise definition.error(f"two parameters of {token} have one name")
    return definition


def _priority(tree: Tree, home: Home) -> int:
    places = [tree, *(child for child in subtrees(tree) if child.data == "priority")]
    for token in (token for place in places for token in tokens(place)):
        if token.type == "NUMBER":
            if len(token) > _MAX_DIGITS:
                raise GrammarSyntaxError("this priority is out of all measure", span=home.source.span(token))
            return int(token)
    return 0


def _define(scope: dict[str, Definition], new: Definition, how: str) -> None:
    old = scope.get(new.name)
    if how in ("define", "declare") and old is not None:
        raise new.error(f"{new.name} is defined twice", "use %override or %extend")
    if how in ("override", "extend") and old is None:
        raise new.error(f"there is no {new.name} to {how}")
    if how != "extend" or old is None:
        scope[new.name] = new
    elif old.params != new.params:
        raise new.error(f"{new.name} has other parameters where it is defined")
    elif not old.bodies:
        raise new.error(f"{new.name} is only declared and cannot be extended")
    else:
        old.bodies += new.bodies


def _ignored(statement: Tree, home: Home, number: int) -> Definition:
    body = inner = subtrees(statement)[0]
    while len(inner.children) == 1 and subtrees(inner):
        inner = subtrees(inner)[0]
    if inner.data == "terminal" and str(tokens(inner)[0]) in home.scope:
        return home.scope[str(tokens(inner)[0])]
    token = lark.Token("TERMINAL", "%ignore", start_pos=_first_offset(body))
    return Definition(f"__IGNORE_{number}", True, (), (Body(body, home),), token, home)


def _first_offset(tree: Tree) -> int:
    return min((token.start_pos or 0 for node in tree.iter_subtrees() for token in tokens(node)), default=0)


def _check_names(definition: Definition, rules: dict[str, Definition]) -> None:
    for param in definition.params:
        if param in rules:
            raise definition.error(f"the parameter {param} has the name of a rule")
    for tree, home in definition.bodies:
        scope = home.scope if definition.is_terminal else rules
        for token in symbols(tree):
            span = home.source.span(token)
            if definition.is_terminal and token.type == "RULE":
                raise GrammarSyntaxError("a terminal cannot mention a rule", span=span, hint="rules are in lower case")
            if token not in definition.params and home.rename(str(token)) not in scope:
                what = "terminal" if token.type == "TERMINAL" else "rule"
                raise GrammarSyntaxError(f"the {what} {token} is not defined", span=span)


def _import_all(home: Home) -> None:
    wanted: dict[str, dict[str, str]] = {}
    for statement in _statements(home.source, "import"):
        grammar, aliases = _import(statement, home.source)
        wanted.setdefault(grammar, {}).update(aliases)
    for grammar, aliases in wanted.items():
        for definition in _from_bundled(grammar, aliases, home.rename):
            if definition.name in home.scope:
                raise GrammarSyntaxError(f"two imports define {definition.name}")
            home.scope[definition.name] = definition


def _import(statement: Tree, source: Source) -> tuple[str, dict[str, str]]:
    """The grammar that an import names, and what its symbols are called here."""
    path, *rest = subtrees(statement)
    dotted = tokens(path)
    span = source.span(dotted[0])
    names = [str(name) for name in tokens(rest[0])] if rest else [str(dotted.pop())]
    if not dotted:
        raise GrammarSyntaxError(f"nothing is imported from {names[0]}", span=span, hint="write %import common.WS")
    if path.data == "import_rel" or len(dotted) > 1 or dotted[0] not in BUNDLED:
        raise UnsupportedFeature(
            f"only lark's own grammars can be imported: {', '.join(BUNDLED)}",
            span=span,
            hint="copy the rules you need into this grammar",
        )
    aliases = dict(zip(names, names, strict=True))
    for alias in tokens(statement):
        aliases = {names[0]: str(alias)}
    return str(dotted[0]), aliases


def _from_bundled(grammar: str, aliases: dict[str, str], outer: Callable[[str], str]) -> Iterable[Definition]:
    def rename(name: str) -> str:
        prefixed = f"_{grammar}__{name[1:]}" if name.startswith("_") else f"{grammar}__{name}"
        return outer(aliases.get(name, prefixed))

    home = Home(_bundled(grammar), rename, {})
    _define_all(home)
    used: dict[str, Definition] = {}
    stack = [rename(name) for name in aliases]
    while stack:
        name = stack.pop()
        if name in home.scope and name not in used:
            definition = used[name] = home.scope[name]
            if not definition.is_terminal:
                stack.extend(rename(str(token)) for tree, _ in definition.bodies for token in symbols(tree))
    return used.values()


@lru_cache(maxsize=len(BUNDLED))
def _bundled(grammar: str) -> Source:
    data = pkgutil.get_data("lark", f"grammars/{grammar}.lark") or b""
    limits = Limits.trusted()
    return read_source(data.decode(), limits, Budget("compile_work", limits.compile_work))
