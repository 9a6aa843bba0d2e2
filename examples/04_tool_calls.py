"""Tool calls that always parse and always fit the function's schema.

`tool_calls` makes the language of a chat model's turns from the schemas of its functions, in the format that the model
was taught: free text, then perhaps calls. Here a call is required, and is run.
"""

from __future__ import annotations

import json

from decoding.engine import Engine
from grammars import SchemaOptions, tool_calls
from samplers import SMC


def convert(amount: int, **units: str) -> str:
    factors = {("kilometres", "miles"): 0.621, ("euros", "dollars"): 1.08, ("kilograms", "pounds"): 2.205}
    factor = factors.get((units["from"], units["to"]))
    return "unknown" if factor is None else f"{amount} {units['from']} are {amount * factor:.1f} {units['to']}"


UNITS = {"enum": ["kilometres", "miles", "euros", "dollars", "kilograms", "pounds"]}
CONVERT = {
    "name": "convert",
    "parameters": {
        "type": "object",
        "properties": {"amount": {"type": "integer", "minimum": 1, "maximum": 999}, "from": UNITS, "to": UNITS},
        "required": ["amount", "from", "to"],
        "additionalProperties": False,
    },
}


def main() -> None:
    engine = Engine.load()
    calls = tool_calls(
        [CONVERT], style="hermes", tool_choice="required", parallel=False, options=SchemaOptions(max_whitespace=1)
    )
    for asked in ("Convert 42 kilometres to miles.", "Convert 100 euros to dollars."):
        prompt = f"Tools: convert, search\nUser: {asked}\nAssistant: "
        answer = engine.generate(prompt, constraint=calls, sampler=SMC(8), seed=0)
        call = json.loads(answer.text.removeprefix("<tool_call>").removesuffix("</tool_call>"))
        print(f"{asked}\n  {call}\n  → {convert(**call['arguments'])}")


if __name__ == "__main__":
    main()
