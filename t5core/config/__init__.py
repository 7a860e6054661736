"""Every setting of a run, as frozen dataclasses: one per noun, plain values, JSON and back.

A run is determined by its configs, so a config *is* the identity of a result: ``fingerprint()`` gives the
part of it that counts, and the orchestrator hashes that. Every field counts unless it is declared with
``unhashed(...)``: a field that only changes how a run is watched, not what it computes; a field that came later and is
declared with ``added(...)`` counts where it differs from its default, so that older results keep their names.

    >>> ObjectiveConfig(noise_density=0.15).to_json()
    '{"kind": "replace_spans", "noise_density": 0.15, "mean_noise_span_length": null, ...}'
    >>> ObjectiveConfig.from_json(_) == ObjectiveConfig(noise_density=0.15)
    True

In: plain values, from code or JSON, checked where they enter, so that nobody further in has to doubt them. Out: frozen
values with their JSON and their fingerprint. Never: a path that is opened, a device, or a value that is not plain.
"""

from t5core.config.base import Config, added, unhashed
from t5core.config.checkpoint import GivenVocabulary, InitConfig
from t5core.config.model import (
    Architecture,
    AttentionInit,
    DecodeConfig,
    FeedForwardKind,
    LengthPenaltyForm,
    LikelihoodConfig,
    MeshConfig,
    ModelConfig,
)
from t5core.config.tasks import MixtureConfig, MixtureKind, TaskContent, TasksConfig, TaskWeight
from t5core.config.text import (
    EXTRA_OF_VARIANTS,
    CorpusConfig,
    CorpusVariant,
    ObjectiveConfig,
    ObjectiveKind,
    SourceKind,
    VocabularyConfig,
    VocabularySource,
)
from t5core.config.training import (
    LossDenominator,
    OptimizerConfig,
    ScheduleConfig,
    ScheduleKind,
    TrainableKind,
    TrainConfig,
)

__all__ = [
    "EXTRA_OF_VARIANTS",
    "Architecture",
    "AttentionInit",
    "Config",
    "CorpusConfig",
    "CorpusVariant",
    "DecodeConfig",
    "FeedForwardKind",
    "GivenVocabulary",
    "InitConfig",
    "LengthPenaltyForm",
    "LikelihoodConfig",
    "LossDenominator",
    "MeshConfig",
    "MixtureConfig",
    "MixtureKind",
    "ModelConfig",
    "ObjectiveConfig",
    "ObjectiveKind",
    "OptimizerConfig",
    "ScheduleConfig",
    "ScheduleKind",
    "SourceKind",
    "TaskContent",
    "TaskWeight",
    "TasksConfig",
    "TrainConfig",
    "TrainableKind",
    "VocabularyConfig",
    "VocabularySource",
    "added",
    "unhashed",
]
