"""Decoding state: what a model keeps between one new token and the next.

The cache of every layer has a fixed length and the position is a tensor, so each step is the same computation. An
encoder-decoder keeps the keys and values of its source as well. A decoder-only model reads its prompt first: the
prompts of a batch are laid to the right,

    . . 0 w w :        0 is the start token, ":" the marker's end; the first new token is asked for behind it
    0 w w w w :

so that all rows are at the same position; offsets, all that T5 knows of positions, do not change by that.

Shapes: B batch, S source or prompt positions, T positions of the cache, H heads, d d_kv.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from t5core.model.attention import KeyValues
from t5core.model.inputs import PAD_ID


@dataclass(frozen=True, kw_only=True, eq=False)
class DecoderState:
    """What decoding keeps between steps.

    Attributes:
        bias_1HTT: learned bias and causal mask over the cache.
        caches: per layer, keys and values of the positions so far.
        source: per layer, keys and values of the encoder's output; empty for decoder-only models.
        source_bias_B11S: 0 where the source may be seen, MASKED at padding.
        begin: position of the cache at which new tokens start: behind a prompt, else 0.
        padding_B11T: MASKED at the cache's positions left of a prompt; None where there is no prompt.
        last_B1: the prompt's last token, read in the first step; None: the start token is.
    """

    bias_1HTT: Tensor
    caches: list[KeyValues]
    source: list[KeyValues]
    source_bias_B11S: Tensor | None = None
    begin: int = 0
    padding_B11T: Tensor | None = None
    last_B1: Tensor | None = None

    def select(self, rows_N: Tensor) -> "DecoderState":
        """Returns the state of some rows, in the order given; a row may come more than once (beam search)."""

        def rows(x: Tensor | None) -> Tensor | None:
            return None if x is None else x.index_select(0, rows_N)

        return replace(
            self,
            caches=[cache.select(rows_N) for cache in self.caches],
            source=[source.select(rows_N) for source in self.source],
            source_bias_B11S=rows(self.source_bias_B11S),
            padding_B11T=rows(self.padding_B11T),
            last_B1=rows(self.last_B1),
        )


def laid_right(prompts_BS: Tensor, visible_BS: Tensor) -> tuple[Tensor, Tensor]:
    """Returns ids ``[B, S + 1]``, each row's start token and prompt laid to the right, and which of them are real."""
    width = prompts_BS.shape[1] + 1
    lengths_B1 = visible_BS.sum(dim=1, keepdim=True)
    # place in the row "start token, prompt" that belongs at each place of the result; below 0: nothing does
    places_BW = torch.arange(width, device=prompts_BS.device)[None, :] - (width - 1 - lengths_B1)
    started_BW = functional.pad(prompts_BS, (1, 0), value=PAD_ID)
    real_BW = places_BW >= 0
    ids_BW = started_BW.gather(1, places_BW.clamp(min=0))
    return torch.where(real_BW, ids_BW, PAD_ID), real_BW
