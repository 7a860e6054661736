"""The T5 model family: the paper's architectures of one kind of block, and what they cost.

In: a config, and ids. Out: logits, losses, the states of decoding; parameters that map one to one on Hugging Face's T5.
Never: a file, an optimizer, or the name of the hardware.

Its modules are imported when a name of theirs is asked for: who wants a size's config alone need not wait for PyTorch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from t5core.model.dropout import Dropout
    from t5core.model.flops import forward_flops, num_parameters, on_meta, train_flops
    from t5core.model.incremental import DecoderState
    from t5core.model.inputs import ModelInputs
    from t5core.model.position import relative_position_bucket
    from t5core.model.presets import PRESETS, preset
    from t5core.model.t5 import T5, T5Output

_MODULES = {
    "Dropout": "dropout",
    "forward_flops": "flops",
    "num_parameters": "flops",
    "on_meta": "flops",
    "train_flops": "flops",
    "DecoderState": "incremental",
    "ModelInputs": "inputs",
    "relative_position_bucket": "position",
    "PRESETS": "presets",
    "preset": "presets",
    "T5": "t5",
    "T5Output": "t5",
}
"""Name -> the module that it is in."""

__all__ = [
    "PRESETS",
    "T5",
    "DecoderState",
    "Dropout",
    "ModelInputs",
    "T5Output",
    "forward_flops",
    "num_parameters",
    "on_meta",
    "preset",
    "relative_position_bucket",
    "train_flops",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
