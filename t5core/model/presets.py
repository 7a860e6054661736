"""The named sizes: the paper's five, and two below them for one machine.

| name  | layers  | d_model | d_ff   | d_kv | heads | source |
|-------|---------|---------|--------|------|-------|--------|
| tiny  | 1 + 1   | 64      | 256    | 8    | 8     | ours: a study in minutes on two CPU cores |
| mini  | 4 + 4   | 384     | 1,536  | 64   | 6     | ours: a study in an hour on one GPU |
| small | 6 + 6   | 512     | 2,048  | 64   | 8     | paper section 3.7 |
| base  | 12 + 12 | 768     | 3,072  | 64   | 12    | paper section 3.1.1, the baseline |
| large | 24 + 24 | 1,024   | 4,096  | 64   | 16    | paper section 3.7 |
| 3B    | 24 + 24 | 1,024   | 16,384 | 128  | 32    | paper section 3.7 |
| 11B   | 24 + 24 | 1,024   | 65,536 | 128  | 128   | paper section 3.7 |
"""

from t5core.config import ModelConfig
from t5core.errors import ConfigError


def preset(name: str, *, vocab_size: int = 32_128) -> ModelConfig:
    """Returns the config of a named size; raises ConfigError for an unknown name."""
    sizes = {
        "tiny": (1, 64, 256, 8, 8),
        "mini": (4, 384, 1536, 64, 6),
        "small": (6, 512, 2048, 64, 8),
        "base": (12, 768, 3072, 64, 12),
        "large": (24, 1024, 4096, 64, 16),
        "3B": (24, 1024, 16384, 128, 32),
        "11B": (24, 1024, 65536, 128, 128),
    }
    if name not in sizes:
        raise ConfigError("model", name, f"choose one of {', '.join(sizes)}", choices=sizes)
    layers, d_model, d_ff, d_kv, num_heads = sizes[name]
    return ModelConfig(
        vocab_size=vocab_size,
        d_model=d_model,
        d_ff=d_ff,
        d_kv=d_kv,
        num_heads=num_heads,
        num_encoder_layers=layers,
        num_decoder_layers=layers,
    )
