"""Lark's grammar language, from text to expressions, in four steps.

1. `source`: one linear scan makes the text safe for lark (size, nesting, strings that end), then lark parses it;
2. `definitions`: rules and terminals by name, over `%import`, `%override`, `%extend` and `%declare`;
3. `patterns`: a terminal is one regular expression over its own text;
4. `rules`: a rule is an expression that calls rules and terminals; templates are instantiated when first used.

Lark builds parse trees; scansion needs only the language: `?`, `!`, `_`, aliases and priorities are read and forgotten.
"""
