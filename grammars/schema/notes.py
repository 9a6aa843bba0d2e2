"""By which means keywords are enforced, and since when there are such keywords."""

from __future__ import annotations

from typing import Final

_COUNTER, _PRODUCT = "a counter", "boolean combination of the sub-schemas' normal forms"
_NUMBERS, _KEYS = "an automaton over digits, in exact decimals", "sets of keys, as automata"

MEANS: Final = {
    **dict.fromkeys(("type", "enum", "const"), "a list of alternatives"),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"), _NUMBERS),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems"), _COUNTER),
    "pattern": "a regular expression over the characters, in all their spellings",
    **dict.fromkeys(("items", "prefixItems", "additionalItems", "properties", "required"), "grammar rules"),
    **dict.fromkeys(("additionalProperties", "patternProperties", "propertyNames"), _KEYS),
    **dict.fromkeys(("minProperties", "maxProperties"), "a counter in the rules of the object"),
    **dict.fromkeys(("contains", "minContains", "maxContains"), "a state in the rules of the array"),
    "uniqueItems": "a state in the rules of the array, or a memory of the finished values",
    **dict.fromkeys(("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependencies"), _PRODUCT),
    **dict.fromkeys(("dependentSchemas", "dependentRequired"), _PRODUCT),
    **dict.fromkeys(("unevaluatedItems", "unevaluatedProperties"), "what each alternative evaluates"),
    **dict.fromkeys(("$ref", "$dynamicRef", "$recursiveRef"), "a call of the rule it names"),
    "format": "a regular expression over the characters, in all their spellings",
}

_SINCE: Final = {
    **dict.fromkeys(("const", "contains", "propertyNames"), 6),
    **dict.fromkeys(("if", "then", "else"), 7),
    **dict.fromkeys(("dependentSchemas", "dependentRequired", "unevaluatedItems", "unevaluatedProperties"), 2019),
    **dict.fromkeys(("minContains", "maxContains", "$recursiveRef"), 2019),
    **dict.fromkeys(("prefixItems", "$dynamicRef"), 2020),
}
_UNTIL: Final = {"dependencies": 7, "additionalItems": 2019, "$recursiveRef": 2019}


def is_keyword(name: str, draft: int, loose: bool) -> bool:
    """Whether a draft knows the keyword; if nobody said which draft it is (`loose`), older ones are understood too.

    >>> is_keyword("const", 4, False), is_keyword("dependencies", 2020, True)
    (False, True)
    """
    return draft >= _SINCE.get(name, 0) and (loose or draft <= _UNTIL.get(name, draft))
