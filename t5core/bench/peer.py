"""transformers' T5, with the weights of one of ours."""

import importlib
import tempfile
from typing import Any

import torch

from t5core.errors import ConfigError
from t5core.interchange import to_hf
from t5core.model import T5

ATTENTIONS = ("sdpa", "eager")
"""Its attention implementations that train with dropout: flex refuses it, and flash attention takes no bias."""


def transformers() -> Any:
    """Returns the package; raises ConfigError where it is not installed."""
    try:
        return importlib.import_module("transformers")
    except ImportError as error:
        raise ConfigError("against", "transformers", f"install it first: pip install transformers ({error})") from error


def twins(model: T5, attentions: tuple[str, ...], dropout: float, device: torch.device) -> dict[str, Any]:
    """Returns T5ForConditionalGeneration with ``model``'s weights, float32, on a device, one per attention."""
    package = transformers()
    package.logging.set_verbosity_error()
    package.logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as folder:
        to_hf(model, folder)
        return {
            name: package.T5ForConditionalGeneration.from_pretrained(
                folder, attn_implementation=name, dropout_rate=dropout, dtype=torch.float32
            ).to(device)
            for name in attentions
        }
