"""The two ways in: ``generate`` for tensors, as transformers has it, and ``decode`` for tasks, by a DecodeConfig.

Shapes: B batch, S source positions, N new tokens.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from t5core.config import DecodeConfig, LengthPenaltyForm
from t5core.decoding.beam import beam_search, rules
from t5core.decoding.ensemble import Ensemble
from t5core.decoding.greedy import greedy
from t5core.decoding.pace import Pace
from t5core.devices import Device
from t5core.errors import ConfigError
from t5core.model import T5
from t5core.model.inputs import PAD_ID


def generate(
    model: T5 | Sequence[T5],
    input_ids: Tensor,
    attention_mask: Tensor | None = None,
    max_new_tokens: int = 12,
    num_beams: int = 1,
    length_penalty: float = 0.6,
    length_penalty_form: LengthPenaltyForm = "hf",
) -> Tensor:
    """Returns generated ids, int64 ``[B, N]``: no start token, each row up to and including EOS, then the pad id 0.

    Args:
        model: one, or several whose logits are averaged; on the device of ``input_ids``.
        input_ids: whole numbers ``[B, S]``. For decoder-only models the prompts, their marker included.
        attention_mask: ``[B, S]``, 1 where an input may be seen; None: everywhere but at the pad id.
        max_new_tokens: N.
        num_beams: 1 is greedy search, and the two arguments that follow do not matter.
        length_penalty: alpha; larger favours longer texts.
        length_penalty_form: "hf", as transformers searches without early stopping, or "t5", as the released code
            does, which tasks and studies use; ``t5core.decoding.beam`` tells them apart.

    Raises:
        ConfigError: for wrong shapes, ids outside the vocabulary, and numbers out of range; names the argument.
    """
    config = DecodeConfig(
        max_new_tokens=_whole("max_new_tokens", max_new_tokens),
        num_beams=_whole("num_beams", num_beams),
        length_penalty=length_penalty,
        length_penalty_form=length_penalty_form,
    )
    ensemble = Ensemble(model)
    _check_inputs(input_ids, attention_mask, ensemble.vocab_size)
    visible = None if attention_mask is None else attention_mask.to(input_ids.device) != 0
    return _search(ensemble, input_ids.long(), visible, config, Pace.where(input_ids))


def decode(models: T5 | Sequence[T5], inputs_BS: np.ndarray, config: DecodeConfig, device: Device) -> np.ndarray:
    """Returns generated ids ``[B, N]``, int64: each row up to and including EOS, then padding.

    Args:
        models: one, or several whose logits are averaged; on the device.
        inputs_BS: padded ids; padding is not seen.
        config: which search, and N.
        device: where to compute.
    """
    ensemble = Ensemble(models)
    out: np.ndarray = _search(ensemble, device.put(inputs_BS).long(), None, config, Pace.of(device)).cpu().numpy()
    return out


def _search(
    ensemble: Ensemble, inputs_BS: Tensor, visible_BS: Tensor | None, config: DecodeConfig, pace: Pace
) -> Tensor:
    if inputs_BS.shape[0] == 0:
        return inputs_BS.new_zeros(0, config.max_new_tokens)
    # inference mode saves the bookkeeping of autograd; what it makes is copied out of it, as an ordinary tensor.
    # Tensors of devices that record programs have no views in it (torch-xla).
    with torch.no_grad() if pace.static_shapes else torch.inference_mode():
        if not pace.static_shapes:
            inputs_BS, visible_BS = _trimmed(inputs_BS, visible_BS)
        if config.num_beams == 1:
            ids_BN = greedy(ensemble, inputs_BS, visible_BS, config.max_new_tokens, pace)
        else:
            form = rules(config.length_penalty_form, config.length_penalty)
            found = beam_search(ensemble, inputs_BS, visible_BS, config.max_new_tokens, config.num_beams, form, pace)
            ids_BN = found.ids_AKN[:, 0]
    return ids_BN.clone()


def _trimmed(inputs_BS: Tensor, visible_BS: Tensor | None) -> tuple[Tensor, Tensor]:
    """Returns inputs and what of them is seen without the positions on the right that no row sees."""
    seen_BS = inputs_BS != PAD_ID if visible_BS is None else visible_BS
    places_N = seen_BS.any(dim=0).nonzero()
    width = 1 if places_N.shape[0] == 0 else int(places_N[-1]) + 1
    return inputs_BS[:, :width], seen_BS[:, :width]


def _check_inputs(input_ids: Tensor, attention_mask: Tensor | None, vocab_size: int) -> None:
    if not isinstance(input_ids, Tensor) or input_ids.dim() != 2 or input_ids.is_floating_point():
        shape = tuple(input_ids.shape) if isinstance(input_ids, Tensor) else type(input_ids).__name__
        raise ConfigError("input_ids", shape, "give a tensor of whole numbers, [batch, length]")
    if input_ids.shape[1] == 0:
        raise ConfigError("input_ids", tuple(input_ids.shape), "give at least one token in a row")
    if attention_mask is not None and attention_mask.shape != input_ids.shape:
        shape = tuple(input_ids.shape)
        raise ConfigError("attention_mask", tuple(attention_mask.shape), f"give the shape of input_ids, {shape}")
    if input_ids.numel() == 0:
        return
    low, high = int(input_ids.min()), int(input_ids.max())
    if low < 0 or high >= vocab_size:
        bad = low if low < 0 else high
        raise ConfigError("input_ids", bad, f"give ids from 0 to {vocab_size - 1}, the model's vocabulary")


def _whole(field: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError(field, value, "give a whole number above 0")
    return value
