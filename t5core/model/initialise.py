"""A model's first weights, drawn from a seed as the released code draws them.

Normal with standard deviation: embedding 1; q (d_model·d_kv)^-½; k, v, wi d_model^-½; o (heads·d_kv)^-½; wo d_ff^-½,
an adapter's by its own inner width; an untied softmax d_model^-½; position bias as ``relative_attention_init_std``
says. Norm scales are 1. (Mesh TensorFlow's attention and dense initialisers.)

That is ``attention_init`` "paper". "guided" makes the same draws, then changes two kinds of weights:

- the keys of every cross-attention are its queries' weights times √d_kv, which has the keys' own standard deviation:
  equal content on both sides attracts, as copying needs (mimetic initialisation, Trockman & Kolter 2023, likewise);
- in a position bias, each head has ``GUIDED_BIAS`` more for one small offset, the heads in turn as ``GUIDED_OFFSETS``
  lists them: neighbours are seen apart from the start.

"mimetic" is guided, and changes the values and outputs of every attention, each keeping the standard deviation that it
was drawn with: values become orthonormal, by the QR decomposition of the draw, and outputs their transpose. So each
head hands on its own part of what it looks at, unturned, and all heads together the whole: a neighbour's embedding
arrives as that neighbour's embedding, in the encoder's sentinel as in the decoder that finds it. The feed-forward
network and the softmax, which share that space, then learn from a word at two hops as they do from the word before.
With the paper's draws each hop turns the space at random, and a small model first has to learn to turn it back.

A stack that also decodes has the decoder's offsets: alone, it looks back only; shared with the encoder, the buckets of
-1 and -2 are the same in both directions of use, where that of +1 would be a far offset to the decoder.
"""

import torch
from torch import Tensor, nn

from t5core.config import ModelConfig
from t5core.model.position import relative_position_bucket

GUIDED_BIAS = 4.0
"""What a guided head's offset has over the others, in the attention's logits."""

GUIDED_OFFSETS = {"encoder": (-1, 1, -2, 2, -3, 3), "decoder": (-1, -2)}
"""The offset of each head by stack, key position minus query position; further heads begin again."""


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
    parameters = dict(model.named_parameters())
    if config.attention_init in ("guided", "mimetic"):
        _guide(parameters, config)
    if config.attention_init == "mimetic":
        _hand_on(parameters)


def _guide(parameters: dict[str, nn.Parameter], config: ModelConfig) -> None:
    """Changes freshly drawn weights in place: keys across the stacks, and position biases."""
    for name, parameter in parameters.items():
        if name.endswith("cross_attention.k.weight"):
            parameter.copy_(parameters[name.replace(".k.", ".q.")] * config.d_kv**0.5)
        elif name.endswith("position_bias.weight"):
            parameter[_guided_buckets(name.partition(".")[0], config), torch.arange(config.num_heads)] += GUIDED_BIAS


def _hand_on(parameters: dict[str, nn.Parameter]) -> None:
    """Changes freshly drawn values and outputs, in float64 on the CPU: the same bits on each device of a machine."""
    for name, parameter in parameters.items():
        if name.endswith("attention.v.weight"):
            inner, d_model = parameter.shape
            drawn = parameter.detach().double().cpu()
            tall, _ = torch.linalg.qr(drawn.T if inner <= d_model else drawn)
            values = (tall.T if inner <= d_model else tall) * (max(inner, d_model) / d_model) ** 0.5
            parameter.copy_(values)
            parameters[name.replace(".v.", ".o.")].copy_(values.T * (d_model / inner) ** 0.5)


def _guided_buckets(stack: str, config: ModelConfig) -> Tensor:
    """Returns the bucket of each head's offset, int64 ``[H]``."""
    offsets = GUIDED_OFFSETS[stack]
    return relative_position_bucket(
        [offsets[head % len(offsets)] for head in range(config.num_heads)],
        stack == "encoder",
        config.relative_attention_num_buckets,
        config.relative_attention_max_distance,
    )


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
