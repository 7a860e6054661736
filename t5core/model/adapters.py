"""Adapters for a pre-trained model (paper section 3.5.1): a small network at the end of each block, all else as it was.

    model = with_adapters(checkpoint.model(), adapter_size=32, seed=0)
    TrainingRun(model, ..., moments=checkpoint.optimizer(), new=adapter_parameters(model))     # "adapters_and_norms"

Each adapter has a norm of its own, which begins at 1, and two matrices, drawn from the seed.
"""

from torch import nn

from t5core.errors import ConfigError
from t5core.model.t5 import T5


def with_adapters(model: T5, adapter_size: int, seed: int) -> T5:
    """Returns a model of the same weights that also has adapters, in the mode (training or not) of the given one.

    Args:
        model: without adapters; left as it is.
        adapter_size: inner width of each adapter.
        seed: of the adapters' first weights.

    Raises:
        ConfigError: if the model has adapters already.
    """
    if model.config.adapter_size is not None:
        raise ConfigError("adapter_size", adapter_size, f"the model has adapters already: {model.config.adapter_size}")
    out = T5(model.config.replace(adapter_size=adapter_size)).initialise(seed).train(model.training)
    missing, unknown = out.load_state_dict(model.state_dict(), strict=False)
    assert not unknown
    assert set(missing) == set(adapter_parameters(out))
    out.compute_dtype = model.compute_dtype
    return out


def adapter_parameters(model: nn.Module) -> frozenset[str]:
    """Returns the names of the adapters' parameters, their norms among them."""
    return frozenset(name for name, _ in model.named_parameters() if "adapter" in name)
