"""Models whose likelihoods are known or worth comparing, and a device that compiles each new shape."""

import numpy as np
import torch
from small_run import MODEL

from t5core.config import ModelConfig
from t5core.decoding.teacher_forced import Asked
from t5core.devices import open_device
from t5core.model import T5

CPU = open_device("cpu")
MARKER = (7, 2)
"""Of decoder-only models."""


class StaticDevice:
    """The CPU as a device that compiles each new shape; notes the shapes of what it is given."""

    static_shapes = True
    loss_chunk_bytes = 1 << 12
    torch_device = torch.device("cpu")
    compute_dtype = torch.float32

    def __init__(self):
        self.shapes = []
        self.ended_steps = 0

    def put(self, array):
        self.shapes.append(array.shape)
        return CPU.put(array)

    def end_step(self):
        self.ended_steps += 1


def model_of(architecture="encoder_decoder", seed=3, **more):
    alone = architecture in ("language_model", "prefix_lm")
    layers = 0 if alone else 2
    config = MODEL.replace(
        architecture=architecture, num_encoder_layers=layers, relative_attention_init_std=1.0, **more
    )
    model = T5(config).initialise(seed).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.split(".")[-2] in ("o", "wo"):
                weight.mul_(3.0)  # so that the input matters
    return model


def unigram(*probabilities):
    """A model that gives every token its probability, whatever came before: one feature, which is always 1."""
    config = ModelConfig(
        vocab_size=len(probabilities),
        d_model=1,
        d_kv=1,
        d_ff=1,
        num_heads=1,
        num_encoder_layers=1,
        num_decoder_layers=1,
        tied_embeddings=False,
        layer_norm_epsilon=1e-12,
    )
    model = T5(config).initialise(0).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.fill_(0.0 if name.split(".")[-2] in ("o", "wo") else 1.0)
        model.lm_head.weight.copy_(torch.tensor(probabilities).log()[:, None])
    return model


def asked_of(count=9, seed=0, sequences=3):
    rng = np.random.default_rng(seed)

    def ids(most):
        return tuple(int(i) for i in rng.integers(3, 48, rng.integers(1, most)))

    return [Asked(inputs=ids(12), sequences=tuple((*ids(9), 1) for _ in range(sequences))) for _ in range(count)]
