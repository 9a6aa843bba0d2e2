"""Constraints and samplers inside Hugging Face's `generate`.

Two ways in. A `ConstraintProcessor` masks the logits of any `generate` call: greedy, sampling, beams, batches, encoder
and decoder models alike. It keeps every text inside the language, and like every mask it draws from the wrong
distribution: from P renormalised token by token. `constrained_generate` hands the whole call to a sampler that draws
from the model's own distribution, or says by its weights how far it is from it.

>>> from decoding.embedded import as_transformers
>>> from decoding.tokenizers import vocabulary_from
>>> from grammars import regex
>>> model, tokenizer = as_transformers()
>>> date = regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}").compile(vocabulary_from(tokenizer))
>>> prompt = tokenizer("User: When was it? Answer with a date.\\nAssistant: ", return_tensors="pt")
>>> out = model.generate(**prompt, max_new_tokens=20, do_sample=False, logits_processor=[ConstraintProcessor(date)])
>>> text = tokenizer.decode(out[0, prompt.input_ids.shape[1] :], skip_special_tokens=True)
>>> len(text), text[4]
(10, '-')
"""

from decoding.hf.generation import ConstrainedGeneration, constrained_generate
from decoding.hf.model import HuggingFaceModel
from decoding.hf.processor import ConstraintProcessor

__all__ = ["ConstrainedGeneration", "ConstraintProcessor", "HuggingFaceModel", "constrained_generate"]
