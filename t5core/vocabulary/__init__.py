"""Text to ids and back, and the training of what does it, on one text or on several in proportion.

In: text. Out: ids, and text again; a folder with the model and its settings, ours or Hugging Face's. Never: text
without ids, since what has no piece becomes bytes; or a network.
"""

from t5core.vocabulary.added import AddedToken
from t5core.vocabulary.beside import SETTINGS_FILE
from t5core.vocabulary.folders import HF_MODEL_FILE, load_trained, model_file, write_hf
from t5core.vocabulary.pieces import DEFAULT_SENTINELS, EOS_ID, MODEL_FILE, PAD_ID, UNK_ID, Vocabulary
from t5core.vocabulary.sampling import SourceSample, TextSource, sample_sources, whole_parts
from t5core.vocabulary.training import train_on_samples, train_vocabulary

__all__ = [
    "DEFAULT_SENTINELS",
    "EOS_ID",
    "HF_MODEL_FILE",
    "MODEL_FILE",
    "PAD_ID",
    "SETTINGS_FILE",
    "UNK_ID",
    "AddedToken",
    "SourceSample",
    "TextSource",
    "Vocabulary",
    "load_trained",
    "model_file",
    "sample_sources",
    "train_on_samples",
    "train_vocabulary",
    "whole_parts",
    "write_hf",
]
