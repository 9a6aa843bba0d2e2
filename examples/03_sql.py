"""SQL by a grammar, over the columns that a table really has.

A Lark grammar says which queries there are; literals such as column names are part of it, so a query that the database
would refuse cannot be written. SQLite is asked to prove it.
"""

from __future__ import annotations

import sqlite3

from decoding.engine import Engine
from grammars import lark
from samplers import SMC

TABLE = "CREATE TABLE books (title TEXT, author TEXT, year INTEGER, price REAL)"
QUERY = lark(r"""
    start: " SELECT " what " FROM books" [" WHERE " test (" AND " test)*] [" ORDER BY " COLUMN [" DESC"]] ";"
    what: "*" | "COUNT(*)" | COLUMN (", " COLUMN)*
    test: NUMBER_COLUMN SIGN NUMBER | TEXT_COLUMN " = " STRING
    COLUMN: NUMBER_COLUMN | TEXT_COLUMN
    NUMBER_COLUMN: "year" | "price"
    TEXT_COLUMN: "title" | "author"
    SIGN: " > " | " < " | " = "
    NUMBER: /[1-9][0-9]{0,3}/
    STRING: /'[A-Za-z ]{1,30}'/
""")
QUESTIONS = (
    "Show all books sorted by year.",
    "How many books have year above 1990?",
    "List the title of all books with author Ada Meyer.",
)


def main() -> None:
    engine, database = Engine.load(), sqlite3.connect(":memory:")
    database.execute(TABLE)
    for question in QUESTIONS:
        prompt = f"Table books(title, author, year, price)\nQuestion: {question}\nSQL:"
        answer = engine.generate(prompt, constraint=QUERY, sampler=SMC(8), seed=1, max_tokens=80)
        rows = database.execute(answer.text).fetchall()  # would raise if this were not SQL about this table
        print(f"{question}\n  {answer.text.strip()}\n  SQLite: {len(rows)} rows")


if __name__ == "__main__":
    main()
