"""The T5 model family: the paper's architectures of one kind of block, and what they cost.

In: a config, and ids. Out: logits, losses, the states of decoding; parameters that map one to one on Hugging Face's T5.
Never: a file, an optimizer, or the name of the hardware.
"""

from t5core.model.dropout import Dropout
from t5core.model.flops import forward_flops, num_parameters, on_meta, train_flops
from t5core.model.incremental import DecoderState
from t5core.model.inputs import ModelInputs
from t5core.model.position import relative_position_bucket
from t5core.model.presets import PRESETS, preset
from t5core.model.t5 import T5, T5Output

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
