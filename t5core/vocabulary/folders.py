"""The vocabulary of a trained model: in its checkpoint's folder, or in a Hugging Face folder, and written there."""

import json
from pathlib import Path

from t5core.errors import ConfigError
from t5core.vocabulary.beside import ADDED_TOKENS_FILE, SETTINGS_FILE, TOKENIZER_CONFIG_FILE
from t5core.vocabulary.pieces import EOS_ID, MODEL_FILE, PAD_ID, UNK_ID, Vocabulary

HF_MODEL_FILE = "spiece.model"
_PADDING = 128  # released models have rows for the next multiple of it


def model_file(folder: Path) -> Path | None:
    """Returns the SentencePiece model in a folder, ours before Hugging Face's; None where there is none."""
    return next((folder / name for name in (MODEL_FILE, HF_MODEL_FILE) if (folder / name).is_file()), None)


def load_trained(path: Path, rows: int) -> Vocabulary:
    """Returns the vocabulary that a model with so many rows of embedding was trained with.

    A model whose embedding has other rows than its vocabulary has ids would answer nonsense without a word, so they
    are held against each other. Released models have up to 127 rows more.

    Args:
        path: a ``.model`` file, with what ``Vocabulary.load`` reads beside it.
        rows: of the model's embedding.

    Raises:
        ConfigError: as ``Vocabulary.load``, or the vocabulary does not fit the model.
    """
    vocabulary = Vocabulary.load(path, rows)
    if not vocabulary.size <= rows < vocabulary.size + _PADDING:
        ids = f"{vocabulary.num_pieces:,} pieces and {vocabulary.num_sentinels} sentinels"
        if vocabulary.added_tokens:
            ids += f" and added tokens up to {vocabulary.added_tokens[-1].described()}"
        way_out = f"it has {ids}, but the model {rows:,} ids: give the one of its training and {SETTINGS_FILE}"
        raise ConfigError("vocabulary", str(path), way_out)
    return vocabulary


def write_hf(vocabulary: Vocabulary, folder: Path) -> None:
    """Writes a vocabulary's files into a Hugging Face folder, which is made when missing.

    ``tokenizer_config.json`` says the ids of the sentinels that lie above the model, and of the added tokens; these
    are in ``added_tokens.json`` too, for older releases of transformers.
    """
    folder.mkdir(parents=True, exist_ok=True)
    above = 0 if vocabulary.holds_sentinels else vocabulary.num_sentinels
    pieces = {"pad_token": PAD_ID, "eos_token": EOS_ID, "unk_token": UNK_ID}
    special = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    tokens = {token: {"content": vocabulary.piece(token), **special} for token in pieces.values()}
    for k in reversed(range(above)):
        tokens[vocabulary.sentinel_id(k)] = {"content": f"<extra_id_{k}>", **special}
    for added in vocabulary.added_tokens:
        tokens[added.id] = {name: value for name, value in added.to_dict().items() if name != "id"}
    config = {
        "added_tokens_decoder": {str(token): values for token, values in sorted(tokens.items())},
        "additional_special_tokens": [f"<extra_id_{k}>" for k in range(above)],
        "extra_ids": above,
        "legacy": True,
        "tokenizer_class": "T5Tokenizer",
        **{name: vocabulary.piece(token) for name, token in pieces.items()},
    }
    (folder / HF_MODEL_FILE).write_bytes(vocabulary.model)
    (folder / TOKENIZER_CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    if vocabulary.added_tokens:
        by_content = {token.content: token.id for token in vocabulary.added_tokens}
        (folder / ADDED_TOKENS_FILE).write_text(json.dumps(by_content) + "\n", encoding="utf-8")
