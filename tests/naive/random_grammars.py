"""Random Lark grammars over the letters a, b and c: small, odd, and with everything that lexers stumble over."""

from __future__ import annotations

from random import Random


class RandomGrammars:
    """A stream of grammar texts; `assertions` allows look-around, `ignores` lists what may be ignored."""

    def __init__(self, seed: int, assertions: bool, ignores: list[str]):
        self.random, self.assertions, self.ignores = Random(seed), assertions, ignores

    def grammar(self) -> str:
        terminals = ["A", "B", "C", "D"][: self.random.randint(1, 4)]
        rules = ["start", "x", "y"][: self.random.randint(1, 3)]
        lines = [f"{rule}: {self._alternatives(terminals, rules)}" for rule in rules]
        for name in terminals:
            priority = self.random.choice(["", "", "", ".1"])
            lines.append(
                f"{name}{priority}: " + " | ".join(self.terminal() for _ in range(self.random.choice([1, 1, 2])))
            )
        if self.random.random() < 0.5:
            lines.append("%ignore " + self.random.choice([*self.ignores] or [self.terminal(), *terminals]))
        return "\n".join(lines)

    def _alternatives(self, terminals: list[str], rules: list[str]) -> str:
        count = self.random.randint(1, 3)
        return " | ".join(self._group(terminals, rules, 1) if self.random.random() < 0.93 else "" for _ in range(count))

    def _group(self, terminals: list[str], rules: list[str], depth: int) -> str:
        parts: list[str] = []
        for _ in range(self.random.randint(1, 3)):
            part = self._symbol(terminals, rules)
            if depth and self.random.random() < 0.3:
                inner = [self._group(terminals, rules, depth - 1) for _ in range(self.random.randint(1, 2))]
                part = f"({' | '.join(inner)})"
            if self.random.random() < 0.2:
                part += self.random.choice(["*", "+", "?", "~2", "~1..2"])
            elif self.random.random() < 0.08:
                part = f"[{part}]"
            parts.append(part)
        return " ".join(parts)

    def _symbol(self, terminals: list[str], rules: list[str]) -> str:
        choice = self.random.random()
        if choice < 0.6:
            return self.random.choice(terminals)
        return self.terminal() if choice < 0.75 else self.random.choice(rules)

    def terminal(self) -> str:
        flag = "i" if self.random.random() < 0.1 else ""
        if self.random.random() < 0.5:
            return '"' + "".join(self.random.choices("abc", k=self.random.randint(1, 3))) + '"' + flag
        return f"/{self.regex(self.random.randint(1, 3))}/{flag}"

    def regex(self, depth: int) -> str:
        choice = self.random.random()
        if depth == 0 or choice < 0.3:
            return self.random.choice(["a", "b", "c", "[ab]", "[bc]", ".", "ab"])
        if choice < 0.55:
            return self.regex(depth - 1) + self.regex(depth - 1)
        if choice < 0.7:
            return f"(?:{self.regex(depth - 1)}|{self.regex(depth - 1)})"
        if choice < 0.88 or not self.assertions:
            times = self.random.choice(["*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}"])
            return f"(?:{self.regex(depth - 1)}){times}"
        if choice < 0.92:
            return f"{self.random.choice(['(?=', '(?!'])}{self.regex(depth - 1)})"
        if choice < 0.96:
            return f"{self.random.choice(['(?<=', '(?<!'])}{self.random.choice('abc')})"
        return self.random.choice([r"\b", r"\B", "^", "$", r"\Z"])
