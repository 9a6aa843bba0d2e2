"""Recognizers: formats that no regular expression can say.

A valid regular expression has brackets that nest, names that must be defined somewhere and ranges that must not be
upside down; a label of an internationalised host name is valid if what its Punycode decodes to is. None of that is
regular, but all of it is decided from left to right by a deterministic reader with an unbounded memory. Such a reader
is an automaton with very many states that is made only as far as it is walked.

| module | idea |
|---|---|
| `recognizer` | what a reader must answer |
| `logic` | boolean combinations of readers and regular expressions, with a search for what can still be finished |
| `spelled` | the same over the bytes of a JSON string, escapes included |
| `ecma` | regular expressions of ECMA-262 |
| `ecma_classes` | what stands between square brackets there |
| `characters` | what IDNA says of a character |
| `labels` | labels of internationalised host names |
| `punycode` | labels in Punycode |
| `punycode_numbers` | the numbers in them |
| `hosts` | host names |
"""
