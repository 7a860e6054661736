"""Small trained models in the forms that a training may start from, for tests of all rooms."""

from pathlib import Path

from t5core import to_hf
from t5core.config import ModelConfig, VocabularyConfig
from t5core.model import T5
from t5core.training import AdaFactor, checkpoint
from t5core.vocabulary import Vocabulary, train_vocabulary, write_hf

NUM_PIECES, NUM_SENTINELS = 400, 32
ROWS = 512
"""Of the embedding: more than there are ids, as in released models."""
SMALL = ModelConfig(
    vocab_size=ROWS,
    d_model=32,
    d_kv=8,
    d_ff=64,
    num_heads=4,
    num_encoder_layers=1,
    num_decoder_layers=2,
    feed_forward="gated_gelu",
    tied_embeddings=False,
)
"""Of v1.1, unlike any scale's."""

_WORDS = "a door that faces north is opened by rivers gardens letters bridges engines forests harbors markets violins"


def vocabulary(folder: Path) -> Vocabulary:
    """Trains a small vocabulary in ``folder``; the same one every time."""
    words = _WORDS.split()
    texts = [" ".join(words[(i * k) % len(words)] for k in range(1, 14)) + f" {i}, {i * i}." for i in range(400)]
    config = VocabularyConfig(num_pieces=NUM_PIECES, num_sentinels=NUM_SENTINELS, train_chars=100_000)
    return train_vocabulary(texts, config, folder)


def hf_folder(folder: Path, config: ModelConfig = SMALL, seed: int = 5) -> Path:
    """Writes a Hugging Face T5 folder and returns it."""
    to_hf(T5(config).initialise(seed), folder)
    write_hf(vocabulary(folder.with_name(f"{folder.name}-vocabulary")), folder)
    return folder


def own_folder(folder: Path, config: ModelConfig = SMALL, seed: int = 5, *, total_step: int | None = None) -> Path:
    """Writes a checkpoint in our form and returns it; ``total_step`` None: one without moments."""
    model = T5(config).initialise(seed)
    moments = None if total_step is None else AdaFactor(list(model.named_parameters())).moments
    checkpoint.save(folder, total_step or 7, config, model.state_dict(), moments, {"total_step": total_step or 7})
    vocabulary(folder)
    return folder
