"""The client of OpenAI, as it is, and a server that enforces what it asks for: a schema, a tool, any regex, a sampler.
Here the server runs in a thread; otherwise it is `scansion serve` in another terminal and http://127.0.0.1:8000/v1.
It needs `pip install 'scansion[serve]' openai`, and no network.
"""

import threading
import time

import uvicorn
from openai import OpenAI
from pydantic import BaseModel, ConfigDict

from decoding.server import create_app


class Person(BaseModel):
    """Who is meant."""

    model_config = ConfigDict(extra="forbid")
    name: str
    age: int


WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"city": {"enum": ["Oslo", "Lima", "Rome"]}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}

server = uvicorn.Server(uvicorn.Config(create_app(), port=0, log_level="warning"))
thread = threading.Thread(target=server.run)
thread.start()
while not server.started:
    time.sleep(0.01)
port = server.servers[0].sockets[0].getsockname()[1]
client, model = OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none"), "built-in"

ask = [{"role": "user", "content": "Extract the person from: Ada Lovelace is 36 years old."}]
parsed = client.chat.completions.parse(model=model, messages=ask, response_format=Person, seed=1)
print("parsed  ", parsed.choices[0].message.parsed)

print("streamed ", end="")
phone = {"regex": "[0-9]{3}-[0-9]{4}"}
for chunk in client.completions.create(model=model, prompt="Phone: ", stream=True, seed=1, extra_body=phone):
    print(chunk.choices[0].text, end="", flush=True)

ask = [{"role": "user", "content": "What is the weather in Rome?"}]
called = client.chat.completions.create(
    model=model, messages=ask, tools=[WEATHER], tool_choice="required", parallel_tool_calls=False, seed=1
)
print("\ncalled  ", called.choices[0].message.tool_calls[0].function.arguments)

weighted = {"choice": [" yes", " no"], "sampler": {"name": "smc", "n": 64}}
drawn = client.completions.create(model=model, prompt="Is water wet?\nAnswer:", n=4, seed=1, extra_body=weighted)
population = drawn.model_dump()["scansion"]["populations"][0]
print("drawn   ", [choice.text for choice in drawn.choices], "log Z =", round(population["log_z"], 2))

server.should_exit = True
thread.join()
