r"""Training with guaranteed-format rollouts, with the gradient that is right.

A policy π writes under the mask of a language L. What it writes then is not drawn from π but from q, π masked and
renormalised at every token:

    q(y) = π(y) / w(y),      w(y) = ∏_t Z_t,      Z_t = the mass that π gives to the allowed tokens at step t.

Three laws come from the same draws, and each is an objective of its own:

| law | what it is | expectation from draws y ~ q | objective |
|---|---|---|---|
| q | the policy with its mask on | mean of f(y) | `masked`: the mask stays on for ever |
| π·1_L | the policy alone; illegal text earns nothing | mean of w(y)·f(y) | `raw` |
| g = π(· \| L) | the policy's own law over the language | mean with weights w/Σw | `conditional` |

**The trap.** The usual trainer multiplies by π/q and subtracts the mean reward b. That is the gradient of the raw
objective minus b·∇Z with Z = π(L): the better the format is guaranteed, the harder the policy is pushed out of it. The
reward that is logged goes up, since the mask rescues every rollout, and π forgets the format. Adding b·∇Z back repairs
it; adding λ·∇log Z to any objective teaches the format while it is guaranteed.

Where to read: `losses` (the gradients, plain functions), `enumerable` (a policy so small that everything about it is
known), `replay` (masks from states), `rollouts` (what is recorded), `rewards`, `grpo` (TRL), `matching` (distribution
matching, and GUARD: exact samples from a trained proposal). `scansion train` runs them from a file.

Papers: GRPO (2402.03300), RLOO (2402.14740), distributional policy gradients (2012.11635) and GDC++ (2206.00761),
Guaranteed Generation (2410.06716), NLPO (2210.01241), TreePO (2508.17445).
"""
