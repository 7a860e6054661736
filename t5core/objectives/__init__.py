"""Unsupervised objectives: a noise mask × what the input shows × what the target asks.

``noise`` draws the masks, ``encodings`` turns a masked text into tokens, ``spans`` knows how much text a
span-corrupted example holds, ``catalogue`` names every objective of the paper's Tables 2 to 7 as a recipe of
these parts, and ``corruption`` runs a recipe over a whole batch.

In: tokens, a config, a seed. Out: inputs and targets. Never: a model, or a draw that anything besides these decides.

Everything works on batches, arrays ``[B, L]`` with per-row lengths, in numpy without a loop over rows; the
functions for one text are the same code with B = 1.
"""

from t5core.objectives.catalogue import Lengths, Recipe, lengths, recipe
from t5core.objectives.corruption import corrupt_batch
from t5core.objectives.encodings import encode, encode_batch, permute
from t5core.objectives.noise import iid_noise_mask, random_prefix_noise_mask, random_spans_noise_mask
from t5core.objectives.spans import random_spans_lengths
from t5core.objectives.splitting import reduce_concat_tokens, split_tokens

__all__ = [
    "Lengths",
    "Recipe",
    "corrupt_batch",
    "encode",
    "encode_batch",
    "iid_noise_mask",
    "lengths",
    "permute",
    "random_prefix_noise_mask",
    "random_spans_lengths",
    "random_spans_noise_mask",
    "recipe",
    "reduce_concat_tokens",
    "split_tokens",
]
