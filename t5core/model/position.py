"""Relative position buckets and the learned bias they select (paper section 2.1).

T5 knows positions only by offsets. The offset ``key position - query position`` falls into one of a few buckets:
half of them hold one small offset each, the rest grow logarithmically up to ``max_distance``, beyond which all
share the last one. Each head learns one number per bucket, added to its attention logits. Encoder buckets are
two-sided; decoder buckets look only back, so every offset ahead falls into bucket 0 (and is masked anyway).

    offset   ... -9  -8  -7 ... -1   0   1 ...  7   8   9 ...      32 buckets, bidirectional:
    bucket   ...  8   8   7 ...  1   0  17 ... 23  24  24 ...      0..15 look back, 16..31 look ahead

Shapes: H heads, Q query positions, K key positions, R = Q + K - 1 offsets, O = 2 max_distance + 1 offsets.
"""

import math

import numpy.typing as npt
import torch
from torch import Tensor, nn


def relative_position_bucket(
    offsets: Tensor | npt.ArrayLike, bidirectional: bool = True, num_buckets: int = 32, max_distance: int = 128
) -> Tensor:
    """Returns the bucket of each offset (key position minus query position), int64, any shape.

    Offsets may also come as an array or in lists.

    Source: ``_relative_position_bucket`` of Mesh TensorFlow's transformer layers; equal at every offset.
    """
    if not isinstance(offsets, Tensor):  # as_tensor would move one to the default device
        offsets = torch.as_tensor(offsets)
    behind = -offsets
    bucket = torch.zeros_like(offsets, dtype=torch.int64)
    if bidirectional:
        num_buckets //= 2
        bucket = bucket + (behind < 0).to(torch.int64) * num_buckets
        behind = behind.abs()
    else:
        behind = behind.clamp(min=0)
    exact = num_buckets // 2
    # float32 on purpose: the reference rounds in it, and the rounding decides buckets at the edges.
    scaled = torch.log(behind.clamp(min=1).to(torch.float32) / exact) / math.log(max_distance / exact)
    far = exact + (scaled * (num_buckets - exact)).to(torch.int64)
    return bucket + torch.where(behind < exact, behind, far.clamp(max=num_buckets - 1))


class PositionBias(nn.Module):
    """The learned bias of one stack, shared by its layers: a ``(num_buckets, H)`` table.

    It is looked up per offset, not per pair of positions: Q queries and K keys have only Q + K - 1 offsets.
    """

    def __init__(self, num_buckets: int, max_distance: int, num_heads: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(num_buckets, num_heads))
        self.max_distance = max_distance
        # of every offset that has a bucket to itself or shares one with others, one-sided and two-sided; worked out
        # on the host, because the logarithm's last bit decides buckets at the edges
        offsets_O = torch.arange(-max_distance, max_distance + 1, device="cpu")
        buckets = [relative_position_bucket(offsets_O, sides, num_buckets, max_distance) for sides in (False, True)]
        self.register_buffer("buckets_2O", torch.stack(buckets).to(self.weight.device), persistent=False)

    def forward(self, num_queries: int, num_keys: int, *, bidirectional: bool) -> Tensor:
        """Returns the bias of each offset, ``[H, R]``: entry ``k - q + Q - 1`` is for query q and key k."""
        far = self.max_distance
        offsets_R = torch.arange(1 - num_queries, num_keys, device=self.weight.device).clamp(-far, far)
        buckets_R = self.get_buffer("buckets_2O").index_select(1, offsets_R + far)[int(bidirectional)]
        # index_select: its gradient is a plain sum over the table's rows
        return self.weight.index_select(0, buckets_R).T
