"""The files of the built-in model, and what Hugging Face makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from grammars import BackendUnavailable

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast


def hf_directory() -> Path:
    """The folder that `AutoModelForCausalLM.from_pretrained`, `AutoTokenizer.from_pretrained` and vLLM can load.

    >>> sorted(path.name for path in hf_directory().glob("*token*"))
    ['tokenizer.json', 'tokenizer_config.json']
    """
    return Path(__file__).parent / "files"


def as_transformers() -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast]:
    """Model (float32, ready for inference) and tokenizer, from the files of the package: no network is used."""
    try:
        from transformers import LlamaForCausalLM, PreTrainedTokenizerFast
    except ImportError as error:
        raise BackendUnavailable(
            "transformers or torch is missing, so the built-in model cannot become one of theirs",
            hint="pip install 'scansion[hf]'",
        ) from error
    folder = str(hf_directory())
    model = LlamaForCausalLM.from_pretrained(folder, local_files_only=True).float().eval()
    return model, PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
