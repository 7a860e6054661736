"""What a model reads: token ids, and for packed or joined rows what belongs together.

    encoder-decoder   inputs   w w w </s> 0        targets  t t </s> 0
    packed            inputs   w w </s> v </s>     targets  t </s> u u </s>     segments  1 1 1 2 2   1 1 2 2 2
    decoder-only      inputs   (none)              targets  w w w : t t </s>    prefix    x x x x . . .

The decoder's own input is the targets shifted right by one, each segment behind a start token of its own (the pad id,
as in the released code).

Shapes: B batch, S source positions, T target positions.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

PAD_ID = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class ModelInputs:
    """A batch on the device; ids int64 or int32, 0 is padding.

    Attributes:
        inputs_BS: what the encoder reads; S is 0 for decoder-only models.
        targets_BT: what the decoder is asked for; for decoder-only models inputs and targets joined.
        input_segments_BS, target_segments_BT: examples of packed rows, counted from 1; padding is 0. None: one a row.
        prefix_BT: bool; decoder-only: target positions that are given, not asked for.
        padded: whether rows of inputs may end in padding. It is known on the host, where the batch comes from: where
            none is, no mask is made, and attention kernels take shorter ways.
    """

    inputs_BS: Tensor
    targets_BT: Tensor
    input_segments_BS: Tensor | None = None
    target_segments_BT: Tensor | None = None
    prefix_BT: Tensor | None = None
    padded: bool = True

    @property
    def visible_BS(self) -> Tensor | None:
        """The inputs that are not padding, bool; None: all of them. In packed rows segments say more."""
        return self.inputs_BS != PAD_ID if self.padded else None

    @property
    def shifted_BT(self) -> Tensor:
        """What the decoder reads: the targets one place to the right, the pad id at the start of every segment."""
        return shifted_right(self.targets_BT, self.target_segments_BT)

    @property
    def asked_BT(self) -> Tensor:
        """The targets that the loss is taken on; the others, padding and prefix, are replaced by the pad id."""
        if self.prefix_BT is None:
            return self.targets_BT
        return self.targets_BT.masked_fill(self.prefix_BT, PAD_ID)


def shifted_right(targets_BT: Tensor, segments_BT: Tensor | None = None) -> Tensor:
    """Returns targets (or anything ``[B, T]``) one place to the right, 0 at the start of every row and segment."""
    shifted_BT = functional.pad(targets_BT, (1, 0))[:, :-1]
    if segments_BT is None:
        return shifted_BT
    starts_BT = segments_BT != functional.pad(segments_BT, (1, 0))[:, :-1]
    return torch.where(starts_BT, torch.zeros_like(shifted_BT), shifted_BT)
