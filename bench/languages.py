"""The languages that `masks.py` measures, each with texts that a model might write in it.

Every engine gets the same regex or the same Lark text, except where a language says otherwise: a set difference is
`regex(a) - choice(b)` here and `/a/ & ~/b/` in llguidance, and names that are no keywords need it inside a grammar.

Equal texts are not yet equal languages. scansion reads Lark grammars without a lexer; llguidance cuts the text into
lexemes, each as long as possible, among those that the parser could take next. The grammars below are written so that
both readings accept the same strings:

* no two terminals that may follow each other can share a border (`NUMBER NUMBER`, `NAME "and"`): blanks that separate
  stand in the terminal (`/return[ \\n]+/`) or in the grammar, and `%ignore` is used only where blanks never matter;
* where one terminal begins with another (`<` and `<=`, `-` and `-1`), taking the longer one is never wrong;
* names that look like keywords are excluded, or can stand nowhere near that keyword.

Whether they are equal is not left to faith: `masks.py` compares every mask of every engine, bit by bit.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product

from grammars import Grammar, choice, lark, regex


def around(grammar: str, ignored: str) -> str:
    """The grammar with blanks at both ends, for engines that ignore what is ignored only between terminals."""
    first, second = grammar.split("start: ", 1)
    body, rest = second.split("\n", 1)
    return f"{first}start: {ignored} {body} {ignored}\n{rest}"


KEYWORDS = (
    *("False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue", "def", "del"),
    *("elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "nonlocal"),
    *("not", "or", "pass", "raise", "return", "try", "while", "with", "yield"),
)

BUILT_IN = "json"
"""xgrammar's own JSON grammar, written for its automata: from the Lark text it needs a thousand times as long."""

IDENTIFIER = "[A-Za-z_][A-Za-z_0-9]*"


@dataclass(frozen=True)
class Language:
    """One language as each engine wants it: `regex` or `lark`, unless an engine has its own source in `own`."""

    name: str
    texts: tuple[str, ...]
    regex: str | None = None
    lark: str | None = None
    grammar: Callable[[], Grammar] | None = None
    own: dict[str, str] = field(default_factory=dict)  # engine -> Lark text
    unsupported: dict[str, str] = field(default_factory=dict)  # engine -> why it cannot take part
    differences: dict[str, str] = field(default_factory=dict)  # engine -> why its masks differ
    has_oracle: bool = True  # whether the package `regex` reads the regex as Python's `re` does

    def scansion(self) -> Grammar:
        """The grammar, made from its source anew."""
        if self.grammar is not None:
            return self.grammar()
        return regex(self.regex) if self.regex is not None else lark(self.lark or "")


JSON = r"""
start: value
value: object | array | STRING | NUMBER | "true" | "false" | "null"
object: "{" (pair ("," pair)*)? "}"
pair: STRING ":" value
array: "[" (value ("," value)*)? "]"
STRING: /"([^"\\\x00-\x1f]|\\(["\\\/bfnrt]|u[0-9a-fA-F]{4}))*"/
NUMBER: /-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/
WS: /[ \t\r\n]+/
%ignore WS
"""

JSON_TEXTS = (
    '{"name": "Ada Lovelace", "age": 36, "tags": ["computing", {"a": [1, 2.5, -3e7]}], "postcode": null, "ok": true}',
    """{
  "id": "b7f1c0de-1234-4f00-9abc-001122334455",
  "created": "2026-03-14T09:26:53Z",
  "items": [
    {"sku": "A-100", "price": 19.99, "quantity": 3, "note": "fragile, \\"this side up\\""},
    {"sku": "B-200", "price": 5, "quantity": 12, "note": "数学者 – für später\\n"}
  ],
  "total": 119.97,
  "paid": false
}""",
    "[[1,2,3],[4,5,6],[7,8,9],[],{},[[[[0.125]]]],-1,-0.5e-10,1E+3]",
    (
        '{"choices":[{"index":0,"message":{"role":"assistant","content":"Here is the plan:\\n\\n1. Read the paper.\\n'
        '2. Check the proof of Theorem 2 (it uses Jensen\'s inequality).\\n3. Write it up."},"finish_reason":"stop"}]}'
    ),
)

ARITHMETIC = r"""
start: sum
sum: sum ("+" | "-") product | product
product: product ("*" | "/") power | power
power: atom ("^" power)?
atom: "(" sum ")" | "-" atom | NUMBER | VARIABLE
NUMBER: /[0-9]+(\.[0-9]+)?/
VARIABLE: /[a-z]/
"""

ARITHMETIC_TEXTS = (
    "(12+34)*56+7*(8+9*(10+11))-x^2",
    "((((1))))",
    "3.14159*r^2+2*(a+b)*(a-b)/(c-4.5)-((x+y)*(x-y)+(z*-w)^(n-1))/1024",
    "1+2+3+4+5+6+7+8+9+10+11+12+13+14+15+16+17+18+19+20",
)

C_LIKE = r"""
start: function+
function: TYPE NAME "(" (TYPE NAME ("," TYPE NAME)*)? ")" block
block: "{" statement* "}"
statement: block
         | TYPE NAME ("[" INTEGER "]")? ("=" expression)? ";"
         | "if" "(" expression ")" block ("else" block)?
         | "while" "(" expression ")" block
         | "for" "(" expression ";" expression ";" expression ")" block
         | RETURN expression ";"
         | RETURN_NOTHING
         | expression ";"
expression: or_ (("=" | "+=" | "-=") expression)?
or_: and_ ("||" and_)*
and_: comparison ("&&" comparison)*
comparison: additive (("==" | "!=" | "<=" | ">=" | "<" | ">") additive)*
additive: term (("+" | "-") term)*
term: unary (("*" | "/" | "%") unary)*
unary: ("-" | "!") unary | postfix
postfix: primary ("(" (expression ("," expression)*)? ")" | "[" expression "]" | "." NAME)*
primary: NAME | INTEGER | STRING | "(" expression ")"
TYPE: /(int|char|float|void)[ \n]+/
RETURN: /return[ \n]+/
RETURN_NOTHING: /return[ \n]*;/
NAME: @NAME@
INTEGER: /[0-9]+/
STRING: /"([^"\\\n]|\\.)*"/
WS: /[ \n]+/
COMMENT: /\/\/[^\n]*\n/
%ignore WS
%ignore COMMENT
"""

C_RESERVED = "int|char|float|void|return|if|else|while|for"
C_NAME = rf"/(?!(?:{C_RESERVED})\b){IDENTIFIER}/"
C_NAME_LLGUIDANCE = rf"/{IDENTIFIER}/ & ~/({C_RESERVED})/"

C_TEXTS = (
    """int gcd(int a, int b) {
    while (b != 0) {
        int t = a % b;
        a = b;
        b = t;
    }
    return a;
}
""",
    """// bubble sort of n numbers
void sort(int values, int n) {
    int i = 0;
    for (i = 0; i < n - 1; i += 1) {
        int j;
        for (j = 0; j < n - i - 1; j += 1) {
            if (values[j] > values[j + 1]) {
                swap(values, j, j + 1); // in place
            } else { continue_(); }
        }
    }
    printf("sorted %d numbers\\n", n);
    return;
}
int main() { char buffer[256]; sort(read(buffer, 256), 10); return 0; }
""",
    "float mean(float sum, int n) { if (n == 0 || !valid(sum)) { return -1; } return sum / n; }",
)

SQL = r"""
start: select ";"
select: "SELECT" _S ("DISTINCT" _S)? columns _S "FROM" _S table (_S join)* where? group? order? limit?
columns: "*" | column (COMMA column)*
column: expression (_S "AS" _S NAME)?
table: NAME (_S NAME)?
join: ("LEFT" _S)? "JOIN" _S table _S "ON" _S condition
where: _S "WHERE" _S condition
group: _S "GROUP" _S "BY" _S reference (COMMA reference)* (_S "HAVING" _S condition)?
order: _S "ORDER" _S "BY" _S ordering (COMMA ordering)*
ordering: expression (_S ("ASC" | "DESC"))?
limit: _S "LIMIT" _S INTEGER
condition: conjunction (_S "OR" _S conjunction)*
conjunction: predicate (_S "AND" _S predicate)*
predicate: "NOT" _S predicate | "(" condition ")" | test
test: expression (COMPARE expression | _S "IS" _S ("NOT" _S)? "NULL" | _S "LIKE" _S STRING | _S "IN" _S set)
set: "(" (select | expression (COMMA expression)*) ")"
expression: operand (OPERATOR operand)*
operand: reference | INTEGER | DECIMAL | STRING | call
call: FUNCTION "(" ("*" | expression (COMMA expression)*) ")"
reference: NAME ("." NAME)?
FUNCTION: /(COUNT|SUM|AVG|MIN|MAX|COALESCE|LOWER)/
COMMA: /[ \n]*,[ \n]*/
COMPARE: /[ \n]*(=|<>|<=|>=|<|>)[ \n]*/
OPERATOR: /[ \n]*[-+*\/][ \n]*/
NAME: /[a-z_][a-z_0-9]*/
INTEGER: /[0-9]+/
DECIMAL: /[0-9]+\.[0-9]+/
STRING: /'([^'\n]|'')*'/
_S: /[ \n]+/
"""

SQL_TEXTS = (
    (
        "SELECT name, population FROM cities WHERE country = 'Norway' AND population > 100000 "
        "ORDER BY population DESC LIMIT 10;"
    ),
    """SELECT c.name, COUNT(*) AS orders, SUM(o.price * o.quantity) AS total
FROM customers c
LEFT JOIN orders o ON c.id = o.customer_id
WHERE o.created >= '2026-01-01' AND (o.status IN ('paid', 'shipped') OR o.note LIKE '%it''s urgent%')
GROUP BY c.name HAVING SUM(o.price) > 99.5
ORDER BY total DESC, c.name ASC
LIMIT 50;""",
    "SELECT DISTINCT LOWER(email) FROM users WHERE NOT deleted_at IS NULL AND id IN (SELECT user_id FROM bans);",
)

PYTHON = r"""
start: test
test: either (IF either ELSE test)? | LAMBDA test
either: both (OR both)*
both: negation (AND negation)*
negation: NOT negation | comparison
comparison: sum (COMPARE sum | IS NOT? sum)*
sum: term (PLUS term)*
term: factor (TIMES factor)*
factor: "-" factor | power
power: primary (POWER factor)?
primary: atom ("." NAME | "(" arguments? ")" | "[" subscript "]")* | INTEGER | FLOAT
arguments: argument (COMMA argument)*
argument: NAME EQUALS test | test
subscript: test | test? ":" test?
atom: NAME | STRING
    | "(" test (COMMA test)* ")" | "[" (test (COMMA test)* | test FOR)? "]" | "{" (pair (COMMA pair)*)? "}"
pair: test COLON test
IF: / +if +/
ELSE: / +else +/
OR: / +or +/
AND: / +and +/
NOT: /not +/
LAMBDA: /lambda [a-z]+(, [a-z]+)*: /
FOR: / +for [a-z]+ in [a-z]+/
COMPARE: / *(==|!=|<=|>=|<|>) *| +(not +)?in +/
IS: / +is +/
PLUS: / *[-+] */
TIMES: / *(\*|\/\/|\/|%|@) */
POWER: / *\*\* */
COMMA: / *, */
EQUALS: /=/
COLON: / *: */
NAME: @NAME@
INTEGER: /[0-9]+/
FLOAT: /[0-9]+\.[0-9]+/
STRING: /"([^"\\\n]|\\.)*"|'([^'\\\n]|\\.)*'/
"""

PYTHON_NAME = rf"/(?!(?:{'|'.join(KEYWORDS[3:])})\b){IDENTIFIER}/"
PYTHON_NAME_LLGUIDANCE = rf"/{IDENTIFIER}/ & ~/({'|'.join(KEYWORDS[3:])})/"

PYTHON_TEXTS = (
    "max(scores, key=lambda s: s.value ** 2 + s.bonus) if scores and not done else None",
    '{"name": user.name.title(), "tags": [t.strip().lower() for t in tags], "age": 2026 - user.born[0:4], "n": -1.5}',
    "f(x, y)[i + 1:].g(a is not b, c not in [1, 2, 3], d <= 4 * (e // 7 % 3)) or 'it\\'s'",
)

SYLLABLES = re.split(" ", "ba co di fu ge lo mi na po ra se ti vu wa xe yo zu cha ple stri")


WORDS = ["".join(syllables) for syllables in product(SYLLABLES, repeat=3)][::15][:500]

PROSE = (
    "The quick brown fox jumps over the lazy dog and runs away before anyone could ask why it did so on a Monday",
    "We show that every context-free grammar has an automaton whose states are integers, and that this is enough.",
)
SHORT_PROSE = (
    "The quick brown fox jumps over the lazy dog near the river.",
    "Schöne Grüße aus München – bis bald! 数学",
)

DOT = {"xgrammar": "its . matches line breaks"}

LANGUAGES: tuple[Language, ...] = (
    Language(
        "json",
        JSON_TEXTS,
        lark=JSON,
        own={"llguidance": around(JSON, "WS?"), "xgrammar": BUILT_IN},
        differences={"xgrammar": "only an object or array at the root"},
    ),
    Language("arithmetic", ARITHMETIC_TEXTS, lark=ARITHMETIC),
    Language(
        "c-like",
        C_TEXTS,
        lark=C_LIKE.replace("@NAME@", C_NAME),
        own={"llguidance": around(C_LIKE, "(WS | COMMENT)*").replace("@NAME@", C_NAME_LLGUIDANCE)},
        unsupported={"xgrammar": "neither look-ahead nor set difference"},
    ),
    Language("sql", SQL_TEXTS, lark=SQL),
    Language(
        "python-expr",
        PYTHON_TEXTS,
        lark=PYTHON.replace("@NAME@", PYTHON_NAME),
        own={"llguidance": PYTHON.replace("@NAME@", PYTHON_NAME_LLGUIDANCE)},
        unsupported={"xgrammar": "neither look-ahead nor set difference"},
    ),
    Language(
        "e-mail",
        ("ada.lovelace@analytical-engine.example.com", "info@scansion.org", "x_1%+z@a-b.co.uk"),
        regex=r"[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+\.[a-zA-Z]{2,}",
    ),
    Language(
        "path",
        (
            "/usr/local/lib/python3.11/site-packages/numpy/_core/multiarray.py",
            "/etc/passwd",
            "/srv/data/2026-03/run_17.json.gz/",
        ),
        regex=r"(/[A-Za-z0-9_.-]+)+/?",
    ),
    Language(
        "url",
        ("https://www.example.com:8080/search?q=constrained+decoding&page=2#results", "http://localhost/a/b/c.html"),
        regex=r"https?://([a-z0-9-]+\.)*[a-z0-9-]+(:[0-9]{1,5})?(/[A-Za-z0-9_.~%-]*)*(\?[A-Za-z0-9_=&+%-]*)?(#[A-Za-z0-9_-]*)?",
    ),
    Language("30 words", PROSE, regex=r"([^ \n]+ ){0,29}[^ \n]+"),
    Language(
        "100 letter words",
        ("the quick brown fox jumps over the lazy dog " * 4 + "again",),
        regex=r"(\p{L}+ ){0,99}\p{L}+",
    ),
    Language(
        "\\w words",
        ("the_quick brown fox jumps\tover the lazy dog",),
        regex=r"(\w+\s){0,29}\w+",
        differences={"llguidance": "Rust's \\w and \\s, not Python's", "xgrammar": "\\w and \\s are ASCII"},
        has_oracle=False,
    ),
    Language("string ≤ 200", tuple(f'"{text}"' for text in (*PROSE, *SHORT_PROSE)), regex=r'"[^"]{0,200}"'),
    Language("line ≤ 60", SHORT_PROSE, regex=r".{0,60}", differences=DOT),
    Language(
        "text 10–5000",
        tuple("\n".join((text,) * 2) for text in PROSE),
        regex=r"(.|\n){10,5000}",
        unsupported={"xgrammar": "it compiles for minutes"},
    ),
    Language(
        "unanchored",
        ("2026-03-14 09:26:53 worker 7: error 503 while reading the queue", PROSE[0] + " error"),
        regex=r".*error.*",
        differences=DOT,
    ),
    Language(
        "date-time",
        ("2026-03-14T09:26:53.589Z", "1999-12-31T23:59:59+01:00"),
        regex=r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})",
    ),
    Language(
        "uuid",
        ("b7f1c0de-1234-4f00-9abc-001122334455", "00000000-0000-0000-0000-000000000000"),
        regex=r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    ),
    Language(
        "identifier",
        ("returned_value_2", "classify", "i", "forEachOrderedPair"),
        grammar=lambda: regex(IDENTIFIER) - choice(KEYWORDS),
        own={"llguidance": f"start: ID\nID: /{IDENTIFIER}/ & ~/({'|'.join(KEYWORDS)})/\n"},
        unsupported={"xgrammar": "no set difference"},
    ),
    Language("500 words", tuple(WORDS[i] for i in (3, 123, 321, 456)), regex="|".join(WORDS)),
)
