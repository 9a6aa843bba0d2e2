"""Distribution matching: a policy that writes what the model would, had it known the form. The sentence says 36, the
form wants 18 to 30; the model alone hardly ever writes that, and the mask alone writes the wrong ages. Training moves
the policy to the model's own law over the form, and GUARD makes exact samples of what is still wrong.
"""

from __future__ import annotations

import copy
from collections import Counter

import numpy as np
import torch

from decoding.embedded import as_transformers
from decoding.rl.matching import Matcher, Matching, guard
from decoding.rl.rollouts import collect
from grammars import regex
from samplers import Samples, enumerate_texts

PROMPT = """Ada Lovelace is 36 years old and lives in London.
How old is Ada Lovelace?
Answer: """
FORM = regex("1[89]|2[0-9]|30")


def shares(samples: Samples) -> Counter[str]:
    return Counter(text.decode() for text in samples.text)


def main() -> None:
    torch.set_num_threads(1)
    model, tokenizer = as_transformers()
    matcher = Matcher(model, copy.deepcopy(model), tokenizer, Matching(n=48, max_tokens=8))
    before = collect(matcher.target, [PROMPT], FORM, n=400, max_tokens=8, seed=0).groups[0].samples
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-4)
    print("step   legal mass   KL to the truth")
    for step in range(8):
        loss, figures = matcher.loss([PROMPT], lambda prompt: FORM, np.random.SeedSequence([0, step]))
        print(f"{step:4} {figures['legal_mass']:12.3f} {figures['kl']:17.3f}", flush=True)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    after = collect(matcher.policy, [PROMPT], FORM, n=400, max_tokens=8, seed=0).groups[0].samples
    exact, told = guard(matcher.policy, matcher.target, PROMPT, FORM, 400, max_tokens=8, seed=0)
    problem = matcher.target.problem(PROMPT, constraint=FORM, max_tokens=8)
    truth: Counter[str] = Counter()
    for tokens, share in enumerate_texts(problem).probabilities().items():
        truth[problem.text(np.array(tokens)).decode()] += share
    print(f"\n age{'truth':>10}{'mask only':>12}{'trained':>10}{'GUARD':>8}")
    for age, share in truth.most_common(6):
        columns = [shares(samples)[age] / 400 for samples in (before, after, exact)]
        print(f"{age:>4}{share:10.1%}{columns[0]:12.1%}{columns[1]:10.1%}{columns[2]:8.1%}")
    print(f"\naccepted {told['acceptance_rate']:.1%}; KL(g|a) {told['kl_policy']:.3f}")


if __name__ == "__main__":
    main()
