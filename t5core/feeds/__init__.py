"""Feeds: from stored tokens to batches that are addressed by their index.

Batch ``i`` of a feed is a pure function of (config, seed, i). Nothing is consumed and no state is kept, so resuming a
run at step 10,000 is asking for batch 10,000, and two processes that ask for the same batch get the same bits.

In: tokens or pairs, an objective or a mixture, a seed. Out: numpy batches of static shapes. Never: a device or a state.
"""

from t5core.feeds.batch import Batch
from t5core.feeds.examples import ExampleFeed, padded_batches
from t5core.feeds.join import join, joined_length, marker_ids
from t5core.feeds.mixed import MixedFeed, ShiftedFeed
from t5core.feeds.pack import convert, pack
from t5core.feeds.permutation import permuted
from t5core.feeds.pretrain import PretrainFeed
from t5core.feeds.store import TokenStore
from t5core.feeds.tokenise import tokenise

__all__ = [
    "Batch",
    "ExampleFeed",
    "MixedFeed",
    "PretrainFeed",
    "ShiftedFeed",
    "TokenStore",
    "convert",
    "join",
    "joined_length",
    "marker_ids",
    "pack",
    "padded_batches",
    "permuted",
    "tokenise",
]
