"""The named sizes: the paper's, and three below them for one machine.

| name  | layers  | d_model | d_ff   | d_kv | heads | source |
|-------|---------|---------|--------|------|-------|--------|
| tiny  | 1 + 1   | 64      | 256    | 8    | 8     | ours: a study in minutes on two CPU cores |
| desk  | 2 + 2   | 128     | 512    | 16   | 8     | ours: a study in an evening on two CPU cores |
| mini  | 4 + 4   | 384     | 1,536  | 64   | 6     | ours: a study in an hour on one GPU |
| small | 6 + 6   | 512     | 2,048  | 64   | 8     | paper section 3.7 |
| base  | 12 + 12 | 768     | 3,072  | 64   | 12    | paper section 3.1.1, the baseline |
| large | 24 + 24 | 1,024   | 4,096  | 64   | 16    | paper section 3.7 |
| 3B    | 24 + 24 | 1,024   | 16,384 | 128  | 32    | paper section 3.7 |
| 11B   | 24 + 24 | 1,024   | 65,536 | 128  | 128   | paper section 3.7 |
| 2x    | 16 + 16 | 1,024   | 4,096  | 64   | 16    | paper section 3.6, twice the baseline |
| 4x    | 32 + 32 | 1,024   | 4,096  | 64   | 16    | paper section 3.6, four times the baseline |

Version 1.1 of the released models (gated GELU, a softmax of its own) is narrower in the feed-forward network and, for
3B and 11B ("XL" and "XXL"), wider elsewhere:

| name       | layers  | d_model | d_ff   | d_kv | heads |
|------------|---------|---------|--------|------|-------|
| v1.1-small | 8 + 8   | 512     | 1,024  | 64   | 6     |
| v1.1-base  | 12 + 12 | 768     | 2,048  | 64   | 12    |
| v1.1-large | 24 + 24 | 1,024   | 2,816  | 64   | 16    |
| v1.1-3B    | 24 + 24 | 2,048   | 5,120  | 64   | 32    |
| v1.1-11B   | 24 + 24 | 4,096   | 10,240 | 64   | 64    |

Any size comes in the architectures of Table 2: ``preset("base", architecture="prefix_lm")`` is its one stack of 12
layers, ``preset("base").replace(num_encoder_layers=6, num_decoder_layers=6)`` the half-depth encoder-decoder.
"""

from t5core.config import Architecture, ModelConfig
from t5core.errors import ConfigError

_SIZES = {
    "tiny": (1, 64, 256, 8, 8),
    "desk": (2, 128, 512, 16, 8),
    "mini": (4, 384, 1536, 64, 6),
    "small": (6, 512, 2048, 64, 8),
    "base": (12, 768, 3072, 64, 12),
    "large": (24, 1024, 4096, 64, 16),
    "3B": (24, 1024, 16384, 128, 32),
    "11B": (24, 1024, 65536, 128, 128),
    "2x": (16, 1024, 4096, 64, 16),
    "4x": (32, 1024, 4096, 64, 16),
    "v1.1-small": (8, 512, 1024, 64, 6),
    "v1.1-base": (12, 768, 2048, 64, 12),
    "v1.1-large": (24, 1024, 2816, 64, 16),
    "v1.1-3B": (24, 2048, 5120, 64, 32),
    "v1.1-11B": (24, 4096, 10240, 64, 64),
}

PRESETS = tuple(_SIZES)


def preset(name: str, *, vocab_size: int = 32_128, architecture: Architecture = "encoder_decoder") -> ModelConfig:
    """Returns the config of a named size in one of the architectures; raises ConfigError for an unknown name."""
    if name not in _SIZES:
        raise ConfigError("model", name, f"choose one of {', '.join(_SIZES)}", choices=_SIZES)
    layers, d_model, d_ff, d_kv, num_heads = _SIZES[name]
    v1_1 = name.startswith("v1.1-")
    return ModelConfig(
        architecture=architecture,
        vocab_size=vocab_size,
        d_model=d_model,
        d_ff=d_ff,
        d_kv=d_kv,
        num_heads=num_heads,
        num_encoder_layers=0 if architecture in ("language_model", "prefix_lm") else layers,
        num_decoder_layers=layers,
        feed_forward="gated_gelu" if v1_1 else "relu",
        tied_embeddings=not v1_1,
    )
