"""Text to ids and back, and the training of what does it, on one text or on several in proportion.

In: text. Out: ids, and text again; a folder with the model and its settings. Never: text without ids, since what has no
piece becomes bytes; or a network.
"""

from t5core.vocabulary.pieces import (
    DEFAULT_SENTINELS,
    EOS_ID,
    MODEL_FILE,
    PAD_ID,
    SETTINGS_FILE,
    UNK_ID,
    Vocabulary,
)
from t5core.vocabulary.sampling import SourceSample, TextSource, sample_sources, whole_parts
from t5core.vocabulary.training import train_on_samples, train_vocabulary

__all__ = [
    "DEFAULT_SENTINELS",
    "EOS_ID",
    "MODEL_FILE",
    "PAD_ID",
    "SETTINGS_FILE",
    "UNK_ID",
    "SourceSample",
    "TextSource",
    "Vocabulary",
    "sample_sources",
    "train_on_samples",
    "train_vocabulary",
    "whole_parts",
]
