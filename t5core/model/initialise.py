"""A model's first weights, drawn from a seed as the released code draws them.

Normal with standard deviation: embedding 1; q (d_model·d_kv)^-½; k, v, wi d_model^-½; o (heads·d_kv)^-½; wo d_ff^-½,
an adapter's by its own inner width; an untied softmax d_model^-½; position bias as ``relative_attention_init_std``
says. Norm scales are 1. (Mesh TensorFlow's attention and dense initialisers.)
"""

import torch
from torch import nn

from t5core.config import ModelConfig


@torch.no_grad()
def initialise(model: nn.Module, config: ModelConfig, seed: int) -> None:
    """Draws all weights of ``model`` in the order of its parameters, on the CPU, wherever they live."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        std = _std(name, config)
        if std is None:
            parameter.fill_(1.0)
        else:
            draw = torch.empty(parameter.shape).normal_(0.0, std, generator=generator)
            parameter.copy_(draw.to(parameter.device))


def _std(name: str, c: ModelConfig) -> float | None:
    """The standard deviation of a parameter; None for norm scales."""
    *_, module, part, _ = ("", *name.split("."))
    match part:
        case "embedding":
            return 1.0
        case "q":
            return float((c.d_model * c.d_kv) ** -0.5)
        case "k" | "v" | "wi" | "wi_0" | "wi_1" | "lm_head":
            return float(c.d_model**-0.5)
        case "o":
            return float((c.num_heads * c.d_kv) ** -0.5)
        case "wo":
            inner = c.adapter_size if module == "adapter" and c.adapter_size is not None else c.d_ff
            return float(inner**-0.5)
        case "position_bias":
            glorot = float((2.0 / (c.relative_attention_num_buckets + c.num_heads)) ** 0.5)
            return glorot if c.relative_attention_init_std is None else c.relative_attention_init_std
    return None
