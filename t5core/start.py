"""A trained model that another training starts from: found, checked and known by what it holds, whatever its form.

    final/ of a stage that trained, or that stage's folder     state.json, model.safetensors, vocabulary.model, ...
    Hugging Face T5 folder (v1.0, v1.1, mT5, Flan)              config.json, model.safetensors, spiece.model, ...
    hf:NAME[@REVISION]                                          such a folder on the hub, at the commit that it is at

The same weights, config and vocabulary have the same identity wherever they lie; from the hub they are fetched into
its own cache. A Hugging Face folder has no moments of an optimizer: what starts there starts at step 0 with fresh ones.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from t5core.config import GivenVocabulary, InitConfig, ModelConfig
from t5core.corpora.places import HUB_PREFIX, reason_of
from t5core.errors import CheckpointError, ConfigError
from t5core.interchange import CONFIG_FILE, INDEX_FILE, WEIGHTS_FILE, check_hf, from_hf
from t5core.model import T5
from t5core.training import AdaFactor, checkpoint
from t5core.training.loop import FINAL
from t5core.uris import local_path
from t5core.vocabulary import HF_MODEL_FILE, MODEL_FILE, Vocabulary, load_trained, model_file

FIELD = "init"
FORM = "hf:NAME or hf:NAME@REVISION"
"""For messages."""

_COMMIT = re.compile(r"[0-9a-f]{40}")
_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
_FETCHED = (
    CONFIG_FILE,
    WEIGHTS_FILE,
    INDEX_FILE,
    "model-*-of-*.safetensors",
    HF_MODEL_FILE,
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)
"""Of a folder on the hub: what is read of it, and no pickled weights."""


@dataclass(frozen=True, kw_only=True)
class Start:
    """What a checkpoint holds, as one of ours would.

    Attributes:
        model: on the CPU.
        moments: AdaFactor's, 0 where the checkpoint has none.
        total_step: steps that they come from.
    """

    model: T5
    moments: Mapping[str, Tensor]
    total_step: int
    vocabulary: Vocabulary


def identify_start(given: str) -> InitConfig:
    """Returns the checkpoint that a person names, known by what it holds; nothing but heads of its files is loaded.

    Args:
        given: a folder, or a name on the hub, which is asked for the commit; what is not fetched yet is fetched.

    Raises:
        ConfigError, CheckpointError: there is no such folder or name; no model that can be expressed here; a tensor
            that is missing or of the wrong shape; no vocabulary, or one that does not fit; adapters.
    """
    source = _resolved(given)
    folder = trained_folder(_folder(source), FIELD)
    model, weights, total_step = _checkpoint(folder) if is_ours(folder) else _hugging_face(folder)
    if model.adapter_size is not None:
        raise ConfigError(FIELD, given, "it has adapters, which are of the tasks that it learnt: give one without")
    vocabulary = _vocabulary(folder, model.vocab_size)
    pieces = _vocabulary_content(vocabulary)
    return InitConfig(
        source=source,
        content=_digest([weights, total_step, model.fingerprint(), pieces]),
        model=model,
        vocabulary=GivenVocabulary(
            source=source,
            rows=model.vocab_size,
            content=pieces,
            num_pieces=vocabulary.num_pieces,
            num_sentinels=vocabulary.num_sentinels if _usable(vocabulary) else 0,
        ),
        total_step=total_step,
    )


def open_start(init: InitConfig) -> Start:
    """Reads a checkpoint; raises ConfigError or CheckpointError if it is not there, or not what it was."""
    if identify_start(init.source).content != init.content:
        raise _changed(init.source)
    folder = trained_folder(_folder(init.source), FIELD)
    vocabulary = _vocabulary(folder, init.model.vocab_size)
    found = checkpoint.load(folder) if is_ours(folder) else None
    model = from_hf(folder) if found is None else found.model()
    if found is not None and init.total_step:
        moments = found.optimizer()
    else:
        moments = AdaFactor(list(model.named_parameters())).moments
    return Start(model=model, moments=moments, total_step=init.total_step, vocabulary=vocabulary)


def open_vocabulary(given: GivenVocabulary) -> Vocabulary:
    """Reads a checkpoint's vocabulary; raises as ``open_start``."""
    vocabulary = _vocabulary(trained_folder(_folder(given.source), FIELD), given.rows)
    if _vocabulary_content(vocabulary) != given.content:
        raise _changed(given.source)
    return vocabulary


def trained_folder(path: Path, field: str) -> Path:
    """Returns the folder of a trained model's files: the one given, or ``final/`` in it.

    Raises:
        CheckpointError: in ``field``: there is neither a checkpoint nor a Hugging Face folder.
    """
    for folder in (path, path / FINAL):
        if is_ours(folder):
            return folder
    if (path / CONFIG_FILE).is_file():
        return path
    files = f"no {checkpoint.STATE_FILE}, no {FINAL}/{checkpoint.STATE_FILE} and no {CONFIG_FILE} is there"
    raise CheckpointError(field, str(path), f"{files}: give a checkpoint or a Hugging Face T5 folder")


def is_ours(folder: Path) -> bool:
    """Whether a folder is a checkpoint in our form."""
    return (folder / checkpoint.STATE_FILE).is_file()


def _resolved(given: str) -> str:
    """Where it lies: an absolute path, or a name on the hub with the commit that it stands for now."""
    if not given.startswith(HUB_PREFIX):
        if "://" in given:
            raise ConfigError(FIELD, given, f"give a folder that can be read here as a path, or {FORM}")
        path = local_path(given, FIELD)
        if not path.is_dir():
            raise ConfigError(FIELD, given, f"no such folder; from the hub: {FORM}")
        return str(path.resolve())
    name, at, revision = given.removeprefix(HUB_PREFIX).partition("@")
    if not _NAME.fullmatch(name) or (at and not revision):
        raise ConfigError(FIELD, given, f"give {FORM}, as hf:google/flan-t5-small")
    return f"{HUB_PREFIX}{name}@{revision if _COMMIT.fullmatch(revision) else _commit(given, name, revision)}"


def _commit(given: str, name: str, revision: str) -> str:
    import huggingface_hub

    try:
        return str(huggingface_hub.HfApi().model_info(name, revision=revision or None).sha)
    except Exception as error:  # whatever the hub, its client or the network raises
        raise _no_answer(given, error) from error


def _folder(source: str) -> Path:
    """The folder of a resolved source, fetched if it is on the hub and not here yet."""
    if not source.startswith(HUB_PREFIX):
        return Path(source)
    import huggingface_hub

    name, _, commit = source.removeprefix(HUB_PREFIX).partition("@")
    try:
        return Path(huggingface_hub.snapshot_download(name, revision=commit, allow_patterns=list(_FETCHED)))
    except Exception as error:
        raise _no_answer(source, error) from error


def _no_answer(given: str, error: Exception) -> ConfigError:
    way_out = f"no answer ({reason_of(error)}); check {FORM} and the network, or give a folder"
    return ConfigError(FIELD, given, way_out)


def _changed(source: str) -> ConfigError:
    return CheckpointError(FIELD, source, "it changed since the plan was made (or differs on this node); run again")


def _checkpoint(folder: Path) -> tuple[ModelConfig, list[str], int]:
    """The model of one of ours, digests of the files that are read of it, and the steps of its moments."""
    found = checkpoint.load(folder)
    found.check_shapes()
    checksums = found.state["sha256"]
    total_step = found.state.get("total_step", 0) if checkpoint.OPTIMIZER_FILE in checksums else 0
    names = (checkpoint.MODEL_FILE, checkpoint.OPTIMIZER_FILE) if total_step else (checkpoint.MODEL_FILE,)
    return ModelConfig.from_dict(found.state["model"]), [checksums[name] for name in names], total_step


def _hugging_face(folder: Path) -> tuple[ModelConfig, list[str], int]:
    model, files = check_hf(folder)
    digests = []
    for path in files:
        with path.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    return model, digests, 0


def _vocabulary(folder: Path, rows: int) -> Vocabulary:
    found = model_file(folder)
    if found is None:
        way_out = f"no {MODEL_FILE} and no {HF_MODEL_FILE} is there: put the vocabulary of its training beside it"
        raise ConfigError(FIELD, str(folder), way_out)
    return load_trained(found, rows)


def _usable(vocabulary: Vocabulary) -> bool:
    """Whether objectives can use its sentinels."""
    try:
        return vocabulary.sentinels_end > 0
    except ConfigError:
        return False


def _vocabulary_content(vocabulary: Vocabulary) -> str:
    added = [token.to_dict() for token in vocabulary.added_tokens]
    return _digest([hashlib.sha256(vocabulary.model).hexdigest(), vocabulary.num_sentinels, added])


def _digest(values: object) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
