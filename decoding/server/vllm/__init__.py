"""vLLM behind the server: the same endpoints, constraints and answers, with vLLM's engine writing the texts.

    request ── Job ──▶ VLLMScheduler ──▶ Remote, one for each text ──▶ Engine ──▶ vLLM, a process of its own
                              └────────▶ samplers, stepped here, ask `VLLMServed.log_probs` ──▶

| file | what it is |
|---|---|
| `engine` | vLLM's AsyncLLM in a thread of its own; when it dies, another one is started |
| `model` | prompts and log-probabilities: what the server needs of a model |
| `scheduling` | texts go to vLLM, which batches them; samplers are stepped as with any other model |
| `writing` | one text: what vLLM drew is followed, told, and near its budget drawn anew |

Masks are made in vLLM's worker by `decoding.vllm.ConstraintProcessor`, so log-probabilities are the model's own.
"""
