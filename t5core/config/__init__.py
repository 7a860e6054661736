"""Every setting of a run, as frozen dataclasses: one per noun, plain values, JSON and back.

A run is determined by its configs, so a config *is* the identity of a result: ``fingerprint()`` gives the
part of it that counts, and the orchestrator hashes that. Every field counts unless it is declared with
``unhashed(...)``: a field that only changes how a run is watched, not what it computes; a field that came later and is
declared with ``added(...)`` counts where it differs from its default, so that older results keep their names.

    >>> ObjectiveConfig(noise_density=0.15).to_json()
    '{"kind": "replace_spans", "noise_density": 0.15, "mean_noise_span_length": null, ...}'
    >>> ObjectiveConfig.from_json(_) == ObjectiveConfig(noise_density=0.15)
    True

Values are checked where they enter, in ``__post_init__``, so that nobody further in has to doubt them.
"""

import dataclasses
import json
import math
import numbers
import types
import typing
from dataclasses import dataclass
from typing import Any, Literal, Self

from t5core.errors import ConfigError, did_you_mean


def unhashed(default: Any) -> Any:
    """A field with ``default`` that does not count towards a run's identity (log interval, device name)."""
    return dataclasses.field(default=default, metadata={"hashed": False})


def added(default: Any) -> Any:
    """A field that came after results were stored: it counts unless it is ``default``, as all did before."""
    return dataclasses.field(default=default, metadata={"added": True})


@dataclass(frozen=True, kw_only=True)
class Config:
    """Base of all configs: JSON round trip, fingerprint, checks that name the field."""

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values, nested configs as dicts, tuples as lists."""
        return {f.name: _plain(getattr(self, f.name)) for f in dataclasses.fields(self)}

    def fingerprint(self) -> dict[str, Any]:
        """Returns ``to_dict()`` without the fields that are declared not to count, or not to count as they are."""
        out = {}
        for f in dataclasses.fields(self):
            value = getattr(self, f.name)
            if f.metadata.get("hashed", True) and not (f.metadata.get("added") and value == f.default):
                out[f.name] = value.fingerprint() if isinstance(value, Config) else _plain(value)
        return out

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Rebuilds a config from ``to_dict()``'s output; raises ConfigError for unknown fields."""
        hints = typing.get_type_hints(cls)
        names = [f.name for f in dataclasses.fields(cls)]
        for name in values:
            if name not in names:
                way_out = f"no such field in {cls.__name__}; it has {', '.join(names)}"
                raise ConfigError(name, values[name], way_out + did_you_mean(name, names))
        return cls(**{name: _typed(hints[name], value) for name, value in values.items()})

    def to_json(self) -> str:
        """Returns one line of JSON."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Rebuilds a config from ``to_json()``'s output."""
        return cls.from_dict(json.loads(text))

    def replace(self, **changes: Any) -> Self:
        """Returns a copy with some fields changed (and checked again)."""
        return dataclasses.replace(self, **changes)

    def _positive(self, *names: str) -> None:
        optional = {f.name for f in dataclasses.fields(self) if f.default is None}
        for name in names:
            value = getattr(self, name)
            if value is None and name in optional:
                continue
            if not isinstance(value, numbers.Real) or not float(value) > 0:
                raise ConfigError(name, value, "give a number above 0")

    def _one_of(self, name: str, annotation: Any) -> None:
        choices = [str(c) for c in typing.get_args(annotation)]
        value = getattr(self, name)
        if value not in choices:
            raise ConfigError(name, value, f"choose one of {', '.join(choices)}", choices=choices)


def _plain(value: Any) -> Any:
    if isinstance(value, Config):
        return value.to_dict()
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    return value


def _typed(hint: Any, value: Any) -> Any:
    if value is None:
        return None
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        inner = [h for h in typing.get_args(hint) if h is not types.NoneType]
        return _typed(inner[0], value) if len(inner) == 1 else value
    if origin is tuple:
        item = typing.get_args(hint)[0]
        return tuple(_typed(item, v) for v in value)
    if isinstance(hint, type) and issubclass(hint, Config) and isinstance(value, dict):
        return hint.from_dict(value)
    return value


ObjectiveKind = Literal["lm", "prefix_lm", "bert_style", "deshuffling", "mass_style", "replace_spans", "drop_tokens"]
SourceKind = Literal["embedded", "files"]
CorpusVariant = Literal["plain", "c4", "unfiltered", "realnews_like", "webtext_like", "wikipedia", "wikipedia_books"]
EXTRA_OF_VARIANTS = types.MappingProxyType(
    {
        "realnews_like": "domains",
        "webtext_like": "scores",
        "wikipedia_books": "books",
    }
)
"""Variant -> what it needs besides pages: a file of domains, of URLs with scores, or books. The flags are called so."""
ScheduleKind = Literal["inverse_sqrt", "constant", "triangular"]
Architecture = Literal["encoder_decoder", "shared_encoder_decoder", "language_model", "prefix_lm"]
FeedForwardKind = Literal["relu", "gated_gelu"]
LengthPenaltyForm = Literal["hf", "t5"]
MixtureKind = Literal["proportional", "equal", "weights"]
TrainableKind = Literal["all", "adapters_and_norms", "adapters", "gradual"]


@dataclass(frozen=True, kw_only=True)
class CorpusConfig(Config):
    """Unlabeled text. ``source`` is where it comes from, ``content`` the identity of what lies there.

    Attributes:
        source: "embedded" (prose of the installed packages) or "files" (see ``t5core.corpora.files``).
        paths: for "files": absolute paths, globs or URIs. Does not count; ``content`` does.
        content: digest of the source's content, filled in by ``t5core.corpora.identify``; empty until then.
        validation_fraction: share of the documents, drawn by hash, that is held out.
        min_chars: shorter documents are dropped.
        variant: which of the source's text is trained on, by one of Table 8's recipes (``t5core.corpora.variants``);
            "plain": all of it. What is held out is the same for all.
        language: that the recipes for web pages ask for, by two letters, or "none"; the embedded source is English.
        extra: absolute paths of what the variant needs besides, for "files": the list of domains or of URLs with
            scores, the books. Does not count; ``extra_content`` does.
        extra_content: digest of what lies there, filled in like ``content``.
    """

    source: str = "embedded"
    paths: tuple[str, ...] = unhashed(())
    content: str = ""
    validation_fraction: float = 0.05
    min_chars: int = 200
    variant: str = added("plain")
    language: str = added("en")
    extra: tuple[str, ...] = unhashed(())
    extra_content: str = added("")

    def __post_init__(self) -> None:
        self._one_of("source", SourceKind)
        if not 0 < self.validation_fraction < 1:
            raise ConfigError("validation_fraction", self.validation_fraction, "give a share between 0 and 1")
        if self.source == "files" and not self.paths:
            raise ConfigError("paths", self.paths, "name at least one file or folder of text")
        self._one_of("variant", CorpusVariant)
        needed = EXTRA_OF_VARIANTS.get(self.variant) if self.source == "files" else None
        if needed and not self.extra:
            raise ConfigError("variant", self.variant, f"from files it needs {needed} (extra)")
        if self.extra and not needed:
            raise ConfigError("extra", self.extra, f"{self.variant} from {self.source} takes none")


@dataclass(frozen=True, kw_only=True)
class VocabularyConfig(Config):
    """A SentencePiece unigram vocabulary with sentinels (paper section 2.2).

    Attributes:
        num_pieces: size of the SentencePiece model: 32,000 in the paper.
        num_sentinels: ``<extra_id_0>`` ... on top of the pieces, ``<extra_id_0>`` with the highest id.
        train_chars: text sampled from the corpus to train on, in characters.
        character_coverage: share of the text's characters that get a piece; the rest fall back to bytes.
        seed: which documents are sampled.
    """

    num_pieces: int = 32_000
    num_sentinels: int = 100
    train_chars: int = 50_000_000
    character_coverage: float = 0.9995
    seed: int = 0

    def __post_init__(self) -> None:
        self._positive("num_pieces", "num_sentinels", "train_chars")

    @property
    def size(self) -> int:
        """Rows a model's embedding needs: pieces and sentinels."""
        return self.num_pieces + self.num_sentinels


@dataclass(frozen=True, kw_only=True)
class VocabularySource(Config):
    """One of several corpora that a vocabulary is trained on, and how much of its text.

    Attributes:
        corpus: None for the text that the vocabulary would be trained on if there was no mix.
        parts: characters of it, in proportion to the other corpora's parts: 10 for English and 1 each for German,
            French and Romanian in the paper.
    """

    corpus: CorpusConfig | None = None
    parts: float = 1.0

    def __post_init__(self) -> None:
        self._positive("parts")
        if not math.isfinite(self.parts):
            raise ConfigError("parts", self.parts, "give a number above 0")


@dataclass(frozen=True, kw_only=True)
class ObjectiveConfig(Config):
    """One unsupervised objective: noise mask × what the input shows × what the target asks (Tables 2 to 7).

    Attributes:
        kind: see ``t5core.objectives.catalogue``; "replace_spans" with i.i.d. noise is the paper's baseline;
            "lm" is for decoder-only models.
        noise_density: share of the tokens that is corrupted, in (0, 1). Not used by lm, prefix_lm and deshuffling.
        mean_noise_span_length: None for i.i.d. noise, else the mean length of a corrupted span, in tokens.
        random_token_fraction: bert_style only: share of the corrupted tokens replaced by a random token.
    """

    kind: str = "replace_spans"
    noise_density: float = 0.15
    mean_noise_span_length: float | None = None
    random_token_fraction: float = 0.1

    def __post_init__(self) -> None:
        self._one_of("kind", ObjectiveKind)
        if not 0 < self.noise_density < 1:
            raise ConfigError("noise_density", self.noise_density, "give a corruption rate between 0 and 1, like 0.15")
        if self.mean_noise_span_length is not None and not self.mean_noise_span_length >= 1:
            raise ConfigError(
                "mean_noise_span_length", self.mean_noise_span_length, "give a mean span length of 1 or more tokens"
            )
        if not 0 <= self.random_token_fraction <= 1:
            raise ConfigError("random_token_fraction", self.random_token_fraction, "give a share between 0 and 1")


@dataclass(frozen=True, kw_only=True)
class ModelConfig(Config):
    """A model of the paper's family (sections 2.1 and 3.2); names as in the released configurations.

    Attributes:
        architecture: "encoder_decoder"; "shared_encoder_decoder", whose encoder uses the decoder's weights;
            "language_model" and "prefix_lm": one causal stack, the latter sees its input as a whole.
        vocab_size: rows of the embedding: pieces + sentinels, padded up if a device likes it (32,128 in the paper).
        d_model, d_kv, d_ff, num_heads: widths; the attention's inner width is ``num_heads * d_kv``.
        num_encoder_layers, num_decoder_layers: blocks in each stack; decoder-only models have no encoder layers.
        feed_forward: "relu", or "gated_gelu" as in v1.1.
        tied_embeddings: the softmax uses the embedding (v1.0) or a matrix of its own (v1.1).
        adapter_size: inner width of the adapter at the end of each block; None: no adapters (section 3.5.1).
        relative_attention_num_buckets, relative_attention_max_distance: of the learned position bias.
        relative_attention_init_std: standard deviation of the position bias at the start; None: Glorot's for a table
            of buckets by heads, about 0.2, which is what the released code's framework gives it.
        layer_norm_epsilon: of the RMS norm.
    """

    architecture: str = "encoder_decoder"
    vocab_size: int = 32_128
    d_model: int = 768
    d_kv: int = 64
    d_ff: int = 3072
    num_heads: int = 12
    num_encoder_layers: int = 12
    num_decoder_layers: int = 12
    feed_forward: str = "relu"
    tied_embeddings: bool = True
    adapter_size: int | None = None
    relative_attention_num_buckets: int = 32
    relative_attention_max_distance: int = 128
    relative_attention_init_std: float | None = None
    layer_norm_epsilon: float = 1e-6

    def __post_init__(self) -> None:
        self._one_of("architecture", Architecture)
        self._one_of("feed_forward", FeedForwardKind)
        self._positive("vocab_size", "d_model", "d_kv", "d_ff", "num_heads", "num_decoder_layers", "adapter_size")
        layers = self.num_encoder_layers
        if self.decoder_only and layers != 0:
            raise ConfigError("num_encoder_layers", layers, f"a {self.architecture} has no encoder: give 0")
        if not self.decoder_only and layers < 1:
            raise ConfigError("num_encoder_layers", layers, "give a number above 0, or a decoder-only architecture")
        if self.architecture == "shared_encoder_decoder" and layers != self.num_decoder_layers:
            raise ConfigError("num_encoder_layers", layers, f"shared: give {self.num_decoder_layers}, the decoder's")
        if self.relative_attention_num_buckets < 4 or self.relative_attention_num_buckets % 2:
            raise ConfigError(
                "relative_attention_num_buckets", self.relative_attention_num_buckets, "give an even number from 4 up"
            )

    @property
    def decoder_only(self) -> bool:
        """Whether there is one stack only, which reads input and target joined."""
        return self.architecture in ("language_model", "prefix_lm")


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig(Config):
    """AdaFactor with the official code's settings (Mesh TensorFlow ``optimize.AdafactorOptimizer``)."""

    decay_exponent: float = 0.8
    clipping_threshold: float = 1.0
    epsilon1: float = 1e-30
    epsilon2: float = 1e-3
    multiply_by_parameter_scale: bool = True
    min_dim_size_to_factor: int = 128


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig(Config):
    """The learning rate as a function of the step (paper section 3.1.2).

    Attributes:
        kind: "inverse_sqrt": ``learning_rate * sqrt(warmup_steps) / sqrt(max(step, warmup_steps))``, which with the
            defaults is the paper's ``1 / sqrt(max(step, 10^4))``; "constant"; "triangular".
        learning_rate: the rate during warm-up (inverse_sqrt), always (constant) or at the top (triangular).
        warmup_steps: inverse_sqrt only.
        cut_fraction, ratio: triangular only.
    """

    kind: str = "inverse_sqrt"
    learning_rate: float = 0.01
    warmup_steps: int = 10_000
    cut_fraction: float = 0.1
    ratio: float = 32.0

    def __post_init__(self) -> None:
        self._one_of("kind", ScheduleKind)
        self._positive("learning_rate", "warmup_steps", "ratio")


@dataclass(frozen=True, kw_only=True)
class TrainConfig(Config):
    """One training run, pre-training or fine-tuning.

    Attributes:
        steps: optimizer steps of this run.
        batch_size: sequences in a global batch.
        inputs_length, targets_length: static shapes in tokens, EOS included. ``targets_length`` None: what the
            objective needs for ``inputs_length``.
        dropout_rate: 0.1 in the paper; the released code shares each mask over a sequence's positions.
        z_loss: weight of ``log(Z)^2``, 1e-4 in the released code.
        loss_denominator: "targets" divides by the full target tensor as the released code does, "tokens" by the
            target tokens that are not padding. Reported losses are always per token.
        packed: fine-tuning: several examples in a row, each seeing itself only, as the released code trains.
        trainable: "all"; "adapters_and_norms" (the paper's adapters), "adapters" (the released code's filter);
            "gradual": more layers from the top in each of ``unfreezing_episodes`` (see ``t5core.training.trainable``).
        unfreezing_episodes: equal parts of the run, for "gradual"; 12 in the paper.
        seed: of initialisation, feed order, noise and dropout.
        log_every, checkpoint_every: in steps; do not count towards the identity of the run.
    """

    steps: int = 524_288
    batch_size: int = 128
    inputs_length: int = 512
    targets_length: int | None = None
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    dropout_rate: float = 0.1
    z_loss: float = 1e-4
    loss_denominator: str = "targets"
    packed: bool = False
    trainable: str = "all"
    unfreezing_episodes: int = 12
    seed: int = 0
    log_every: int = unhashed(20)
    checkpoint_every: int = unhashed(5_000)

    def __post_init__(self) -> None:
        self._positive("steps", "batch_size", "inputs_length", "targets_length", "log_every", "checkpoint_every")
        self._positive("unfreezing_episodes")
        self._one_of("loss_denominator", Literal["targets", "tokens"])
        self._one_of("trainable", TrainableKind)
        if not 0 <= self.dropout_rate < 1:
            raise ConfigError("dropout_rate", self.dropout_rate, "give a rate from 0 up to, not including, 1")


@dataclass(frozen=True, kw_only=True)
class MeshConfig(Config):
    """The devices that one program runs on, as a grid.

    Attributes:
        data: parts that a batch is cut into; the weights are cut along it as well.
        model: devices that share the arithmetic of one part of the batch: heads, feed-forward, vocabulary.
    """

    data: int = 1
    model: int = 1

    def __post_init__(self) -> None:
        self._positive("data", "model")

    @property
    def size(self) -> int:
        """How many devices there are."""
        return self.data * self.model


@dataclass(frozen=True, kw_only=True)
class DecodeConfig(Config):
    """How predictions are searched for.

    Attributes:
        max_new_tokens: at most so many, EOS counted.
        num_beams: 1 is greedy search; the paper takes 4 for translation and summaries.
        length_penalty: alpha of beam search; larger favours longer texts. 0.6 in the paper.
        length_penalty_form: "t5", the released code's, or "hf", transformers'; see ``t5core.decoding.beam``.
        batch_size: sequences at a time; does not count towards the identity of a run.
    """

    max_new_tokens: int = 128
    num_beams: int = 1
    length_penalty: float = 0.6
    length_penalty_form: str = "t5"
    batch_size: int = unhashed(128)

    def __post_init__(self) -> None:
        self._positive("max_new_tokens", "num_beams", "batch_size")
        self._one_of("length_penalty_form", LengthPenaltyForm)
        alpha = self.length_penalty
        if isinstance(alpha, bool) or not isinstance(alpha, int | float) or not math.isfinite(alpha):
            raise ConfigError("length_penalty", alpha, "give a number; 0 is no penalty")


@dataclass(frozen=True, kw_only=True)
class TaskContent(Config):
    """What a task that has data of its own came to: a definition and examples.

    Attributes:
        name: the task's.
        definition: digest of a user's file; "" for the paper's tasks, whose code counts through its declared version.
        train_examples, validation_examples: in the splits as published; 0 where the task has no such split.
        train_fingerprint, validation_fingerprint: digests of the splits' content, "" where there is none.
    """

    name: str
    definition: str = ""
    train_examples: int = 0
    train_fingerprint: str = ""
    validation_examples: int = 0
    validation_fingerprint: str = ""


@dataclass(frozen=True, kw_only=True)
class TasksConfig(Config):
    """Which downstream tasks are fine-tuned on together and evaluated, and how many examples of each.

    Attributes:
        names: task names, see ``t5core.tasks``.
        train_examples, validation_examples: at most so many of each task.
        seed: which examples are drawn, and what is scrambled or blanked in them.
        files: the files of those tasks that are a user's own. Do not count; ``content`` does.
        data_dir: a folder with the tasks' sets, in place of the hub. Does not count; ``content`` does.
        content: identity of every task's data, filled in by ``t5core.tasks.identify_tasks``; empty until then, and for
            tasks made from the corpus.
    """

    names: tuple[str, ...] = ()
    train_examples: int = 8_000
    validation_examples: int = 400
    seed: int = 0
    files: tuple[str, ...] = unhashed(())
    data_dir: str | None = unhashed(None)
    content: tuple[TaskContent, ...] = ()

    def __post_init__(self) -> None:
        self._positive("train_examples", "validation_examples")
        if not self.names:
            raise ConfigError("tasks", self.names, "name at least one task")


@dataclass(frozen=True, kw_only=True)
class TaskWeight(Config):
    """How often one task is drawn, in any unit."""

    name: str
    weight: float


@dataclass(frozen=True, kw_only=True)
class MixtureConfig(Config):
    """How often each task is drawn when several are trained on together (sections 3.5.2 and 3.5.3).

    Attributes:
        kind: "proportional" to the tasks' training examples, with a limit and a temperature; "equal"; or by "weights".
        maximum: proportional: sizes count up to here (the paper's K); None: as they are.
        maximum_between: proportional: the same as a place between the smallest set (0) and the largest (1), on a
            logarithmic scale, for sets whose sizes only preparation tells; instead of ``maximum``.
        temperature: proportional: the paper's T; 1 changes nothing, a large one makes rates nearly equal.
        weights: for "weights": of every task, and of "unsupervised" where it takes part.
        unsupervised: training on unlabeled text at the same time: the size that it counts with (with "equal" and
            "weights" any size; it then only takes part). None: it takes no part.
    """

    kind: str = "proportional"
    maximum: float | None = None
    maximum_between: float | None = None
    temperature: float = 1.0
    weights: tuple[TaskWeight, ...] = ()
    unsupervised: float | None = None

    def __post_init__(self) -> None:
        self._one_of("kind", MixtureKind)
        self._positive("maximum", "temperature", "unsupervised")
        unused = [n for n in ("maximum", "maximum_between") if getattr(self, n) is not None]
        unused += ["temperature"] if self.temperature != 1 else []
        if self.kind != "proportional" and unused:
            raise ConfigError(
                unused[0], getattr(self, unused[0]), f"it belongs to proportional rates, not to {self.kind}"
            )
        if self.maximum_between is not None and (self.maximum is not None or not 0 <= self.maximum_between <= 1):
            raise ConfigError("maximum_between", self.maximum_between, "give a place from 0 to 1, and no maximum")
        if (self.kind == "weights") != bool(self.weights):
            way_out = 'they belong to kind "weights", and it needs them'
            raise ConfigError("weights", tuple(w.name for w in self.weights), way_out)
