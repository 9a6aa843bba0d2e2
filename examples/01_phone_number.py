"""A phone number, by a regular expression.

At every step only those tokens may follow that can still lead to a match, and the text may only end where it is one.
So each of these answers is a number of that form, whatever the model would rather have said.
"""

from __future__ import annotations

import re

from decoding.engine import Engine

PHONE = r"(\([2-9][0-9]{2}\) |[2-9][0-9]{2}-)[0-9]{3}-[0-9]{4}"
PROMPT = """Contact: Ada Lovelace, ada@math.org, 212-555-0147.
What is the phone number of Ada Lovelace?
Answer: """


def main() -> None:
    engine = Engine.load()
    print("what the model says without a form, and with it:")
    for seed in range(5):
        free = engine.generate(PROMPT, regex=r"[^\n]*", seed=seed, max_tokens=32)
        number = engine.generate(PROMPT, regex=PHONE, seed=seed)
        print(f"  {free.text[:30]:<32}{number.text:<18}log P = {number.log_prob:.1f}")
        if not re.fullmatch(PHONE, number.text):
            raise SystemExit(f"{number.text} is no phone number")


if __name__ == "__main__":
    main()
