"""The T5 model family."""

from t5core.model.flops import forward_flops, num_parameters, train_flops
from t5core.model.position import relative_position_bucket
from t5core.model.presets import preset
from t5core.model.t5 import T5

__all__ = ["T5", "forward_flops", "num_parameters", "preset", "relative_position_bucket", "train_flops"]
