"""Which parameters a step trains: all, adapters, or gradually more (paper section 3.5.1).

- "all": everything.
- "adapters_and_norms": the adapters and every norm scale, as the paper says.
- "adapters": the adapters alone with their own norms, as the released filter has it.
- "gradual": in episode n of N, counted from 0, the top (n + 1) / N of the layers of each stack, both stacks together.
  The embedding (and a softmax of its own) always trains. The final norm belongs to the top layer, the position bias
  to the bottom one, as in the released checkpoints.

      12 layers, 12 episodes of 2^18 / 12 steps:   episode 0: layer 12;  1: layers 11, 12;  ...  11: layers 1 to 12
"""

import re

from t5core.config import ModelConfig, TrainConfig
from t5core.devices.layered import is_joined, layer_name
from t5core.model.flops import on_meta

_BLOCK = re.compile(r"blocks\.(\d+)\.")


def episode(config: TrainConfig, i: int) -> int:
    """Returns the unfreezing episode of the run's ``i``-th step; 0 when nothing is unfrozen gradually."""
    if config.trainable != "gradual":
        return 0
    return min(config.unfreezing_episodes - 1, i * config.unfreezing_episodes // config.steps)


def is_trainable(name: str, model: ModelConfig, config: TrainConfig, now: int) -> bool:
    """Returns whether the parameter ``name``, or any layer of it, is trained in the episode ``now``."""
    if is_joined(name):
        return any(trained_layers(name, model, config, now))
    match config.trainable:
        case "adapters":
            return "adapter" in name
        case "adapters_and_norms":
            return "adapter" in name or "norm" in name
        case "gradual":
            stack = name.split(".")[0]
            if stack not in ("encoder", "decoder"):
                return True
            layers = model.num_encoder_layers if stack == "encoder" else model.num_decoder_layers
            frozen = layers - -(-(now + 1) * layers // config.unfreezing_episodes)
            block = _BLOCK.search(name)
            if block is not None:
                return int(block[1]) >= frozen
            return "position_bias" not in name or frozen == 0
    return True


def num_trainable(model: ModelConfig, config: TrainConfig) -> int:
    """Returns how many parameters a run has trained by its end: what is to be kept of it beside what it began with.

    >>> num_trainable(ModelConfig(adapter_size=32), TrainConfig(trainable="adapters_and_norms"))
    1245696
    """
    last = config.unfreezing_episodes - 1
    return sum(p.numel() for name, p in on_meta(model).named_parameters() if is_trainable(name, model, config, last))


def trained_layers(name: str, model: ModelConfig, config: TrainConfig, now: int) -> list[bool]:
    """Returns which layers of a parameter whose layers are joined are trained in the episode ``now``."""
    count = model.num_encoder_layers if name.startswith("encoder.") else model.num_decoder_layers
    return [is_trainable(layer_name(name, i), model, config, now) for i in range(count)]
