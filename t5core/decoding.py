"""Greedy decoding with a static key/value cache.

The cache has a fixed length and the position is a tensor, so every step is the same computation: on XLA one compiled
program serves all steps and all batches of a shape. A sequence that has ended goes on emitting padding; the loop
ends when all have ended (asked of the device every few steps only, because asking makes it wait).

Shapes: B batch, S source positions, N new tokens.
"""

import numpy as np
import torch

from t5core.config import DecodeConfig
from t5core.devices import Device
from t5core.model import T5

PAD_ID = 0
EOS_ID = 1
ASK_EVERY = 4
"""Steps between two questions whether all sequences have ended."""


@torch.no_grad()
def greedy(model: T5, inputs_BS: np.ndarray, config: DecodeConfig, device: Device) -> np.ndarray:
    """Returns the generated ids ``[B, N]``, int64: each row up to and including EOS, then padding.

    ``N`` is ``config.max_new_tokens``. ``model`` is on the device and in eval mode; ``inputs`` are padded ids.
    """
    was_training = model.training
    model.eval()
    inputs = device.put(inputs_BS)
    state = model.start(inputs, config.max_new_tokens)
    previous_B1 = torch.zeros_like(inputs[:, :1])
    ended_B1 = torch.zeros_like(previous_B1, dtype=torch.bool)
    position_1 = torch.zeros(1, dtype=torch.int64, device=device.torch_device)
    # a fixed buffer: joining the steps at the end would be another program for each number of steps
    generated_BN = inputs.new_zeros(inputs.shape[0], config.max_new_tokens)
    for n in range(config.max_new_tokens):
        token_B1 = model.step(previous_B1, position_1, state).argmax(dim=-1, keepdim=True)
        previous_B1 = torch.where(ended_B1, PAD_ID, token_B1)
        ended_B1 = ended_B1 | (previous_B1 == EOS_ID)
        generated_BN.index_copy_(1, position_1, previous_B1)
        position_1 = position_1 + 1
        device.end_step()
        if n % ASK_EVERY == ASK_EVERY - 1 and bool(ended_B1.all()):
            break
    model.train(was_training)
    out: np.ndarray = generated_BN.cpu().numpy()
    return out
