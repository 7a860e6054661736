import dataclasses
import json
import typing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from t5core.config import (
    Config,
    CorpusConfig,
    DecodeConfig,
    GivenVocabulary,
    InitConfig,
    LikelihoodConfig,
    MeshConfig,
    MixtureConfig,
    ModelConfig,
    ObjectiveConfig,
    OptimizerConfig,
    ScheduleConfig,
    TaskContent,
    TasksConfig,
    TaskWeight,
    TrainConfig,
    VocabularyConfig,
    VocabularySource,
)
from t5core.corpora.c4.config import C4Config
from t5core.corpora.c4.declaration import Declaration
from t5core.errors import ConfigError

COUNT = st.integers(1, 10**9)
SMALL = st.integers(1, 100)
SHARE = st.floats(0.001, 0.999)
REAL = st.floats(1e-12, 1e12)
TEXT = st.text(max_size=8)

SCHEDULE = st.builds(
    ScheduleConfig,
    kind=st.sampled_from(["inverse_sqrt", "constant", "triangular", "linear"]),
    learning_rate=REAL,
    warmup_steps=COUNT,
    cut_fraction=SHARE,
    ratio=REAL,
)
OPTIMIZER = st.builds(OptimizerConfig, decay_exponent=SHARE, epsilon1=REAL, multiply_by_parameter_scale=st.booleans())
CONFIGS = st.one_of(
    st.builds(
        CorpusConfig,
        source=st.sampled_from(["embedded", "files"]),
        paths=st.lists(TEXT, min_size=1, max_size=3).map(tuple),
        content=TEXT,
        validation_fraction=SHARE,
    ),
    st.builds(VocabularyConfig, num_pieces=COUNT, num_sentinels=COUNT, seed=st.integers(0, 2**40)),
    st.builds(VocabularySource, corpus=st.none() | st.builds(CorpusConfig, content=TEXT), parts=st.floats(0.01, 1e6)),
    st.builds(
        ObjectiveConfig,
        kind=st.sampled_from(
            ["lm", "prefix_lm", "bert_style", "deshuffling", "mass_style", "replace_spans", "drop_tokens"]
        ),
        noise_density=SHARE,
        mean_noise_span_length=st.none() | st.floats(1, 100),
    ),
    st.builds(
        ModelConfig,
        d_model=COUNT,
        d_ff=COUNT,
        relative_attention_init_std=st.none() | REAL,
        attention_init=st.sampled_from(["paper", "guided", "mimetic"]),
    ),
    OPTIMIZER,
    SCHEDULE,
    st.builds(
        TrainConfig,
        steps=COUNT,
        targets_length=st.none() | COUNT,
        optimizer=OPTIMIZER,
        schedule=SCHEDULE,
        dropout_rate=SHARE,
        loss_denominator=st.sampled_from(["targets", "tokens"]),
        fresh_moments=st.booleans(),
        log_every=COUNT,
    ),
    st.builds(TrainConfig, steps=st.integers(1_000, 10**9), average_last=st.integers(2, 9), average_every=SMALL),
    st.builds(MeshConfig, data=COUNT, model=COUNT),
    st.builds(GivenVocabulary, content=TEXT, num_pieces=COUNT, num_sentinels=COUNT, source=TEXT),
    st.builds(
        InitConfig,
        content=TEXT,
        model=st.builds(ModelConfig, d_model=COUNT),
        vocabulary=st.builds(GivenVocabulary, content=TEXT, num_pieces=COUNT, num_sentinels=COUNT, rows=COUNT),
        total_step=COUNT,
        source=TEXT,
    ),
    st.builds(DecodeConfig, max_new_tokens=COUNT, batch_size=COUNT),
    st.builds(LikelihoodConfig, max_target_tokens=COUNT, batch_size=COUNT),
    st.builds(
        TasksConfig,
        names=st.lists(TEXT, min_size=1, max_size=3).map(tuple),
        seed=st.integers(0, 9),
        data_dir=st.none() | TEXT,
        content=st.lists(st.builds(TaskContent, name=TEXT, train_examples=COUNT), max_size=2).map(tuple),
    ),
    st.builds(TaskContent, name=TEXT, definition=TEXT, validation_fingerprint=TEXT),
    st.builds(TaskWeight, name=TEXT, weight=SHARE),
    st.builds(MixtureConfig, maximum=st.none() | COUNT, temperature=REAL, unsupervised=st.none() | REAL),
    st.builds(
        MixtureConfig,
        kind=st.just("weights"),
        weights=st.lists(st.builds(TaskWeight, name=TEXT, weight=SHARE), min_size=1, max_size=3).map(tuple),
    ),
)


@settings(max_examples=150, deadline=None)
@given(CONFIGS)
def test_every_config_comes_back_from_json(config):
    text = config.to_json()
    assert "\n" not in text
    assert type(config).from_json(text) == config
    assert type(config).from_json(json.dumps(json.loads(text))).fingerprint() == config.fingerprint()


def test_every_config_is_among_those_tested():
    assert {c.__name__ for c in Config.__subclasses__() if c.__module__.startswith("t5core.config.")} == {
        "CorpusConfig",
        "VocabularyConfig",
        "VocabularySource",
        "ObjectiveConfig",
        "ModelConfig",
        "OptimizerConfig",
        "ScheduleConfig",
        "TrainConfig",
        "MeshConfig",
        "DecodeConfig",
        "LikelihoodConfig",
        "TasksConfig",
        "TaskContent",
        "TaskWeight",
        "MixtureConfig",
        "GivenVocabulary",
        "InitConfig",
    }


def test_lists_of_json_become_tuples_and_nested_configs_come_back():
    tasks = TasksConfig.from_json('{"names": ["a", "b"]}')
    assert tasks.names == ("a", "b")
    assert hash(tasks) == hash(TasksConfig(names=("a", "b")))
    train = TrainConfig.from_json('{"schedule": {"kind": "constant"}}')
    assert train.schedule == ScheduleConfig(kind="constant")


@pytest.mark.parametrize(
    ("config", "unhashed"),
    [
        (CorpusConfig(source="files", paths=("a.txt",)), {"paths", "extra", "variant", "language", "extra_content"}),
        (VocabularyConfig(), set()),
        (VocabularySource(), set()),
        (ObjectiveConfig(), set()),
        (ModelConfig(), {"attention_init"}),
        (OptimizerConfig(), set()),
        (ScheduleConfig(), set()),
        (
            TrainConfig(),
            {
                "log_every",
                "checkpoint_every",
                "fresh_moments",
                "average_last",
                "average_every",
                "keep_last",
                "keep_every",
                "profile_steps",
                "microbatch",
            },
        ),
        (MeshConfig(), set()),
        (DecodeConfig(), {"batch_size"}),
        (TasksConfig(names=("a",)), {"files", "data_dir"}),
        (TaskContent(name="a"), set()),
        (TaskWeight(name="a", weight=1.0), set()),
        (MixtureConfig(), set()),
        (GivenVocabulary(content="a", num_pieces=9, num_sentinels=1), {"source", "rows"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_fingerprint_drops_the_unhashed_fields_and_no_other(config, unhashed):
    names = {field.name for field in dataclasses.fields(config)}
    assert set(config.fingerprint()) == names - unhashed
    assert set(config.to_dict()) == names


def test_the_fingerprint_follows_hashed_fields_only_also_nested():
    config = TrainConfig()
    assert config.replace(log_every=1, checkpoint_every=7).fingerprint() == config.fingerprint()
    assert config.replace(seed=1).fingerprint() != config.fingerprint()
    nested = config.replace(optimizer=OptimizerConfig(decay_exponent=0.7))
    assert nested.fingerprint()["optimizer"]["decay_exponent"] == 0.7


def test_a_field_that_came_later_counts_where_it_is_not_as_before():
    plain, c4 = CorpusConfig(), CorpusConfig(variant="c4")
    assert "variant" not in plain.fingerprint() and c4.fingerprint()["variant"] == "c4"
    assert CorpusConfig.from_json(c4.to_json()) == c4
    assert CorpusConfig.from_json('{"source": "embedded"}') == plain


def test_an_unknown_field_names_it_its_value_the_known_ones_and_the_closest():
    with pytest.raises(ConfigError) as caught:
        TrainConfig.from_dict({"batchsize": 3})
    message = str(caught.value)
    assert message.startswith("batchsize=3: no such field in TrainConfig; it has steps, batch_size,")
    assert message.endswith("(did you mean 'batch_size'?)")


def test_an_unknown_choice_names_field_value_choices_and_the_closest():
    with pytest.raises(ConfigError) as caught:
        ObjectiveConfig(kind="bert_stile")
    assert str(caught.value) == (
        "kind='bert_stile': choose one of lm, prefix_lm, bert_style, deshuffling, mass_style, replace_spans, "
        "drop_tokens (did you mean 'bert_style'?)"
    )


def choices_of(config):
    """Field -> its choices, of the fields that have some."""
    hints = typing.get_type_hints(type(config)).items()
    return {name: typing.get_args(hint) for name, hint in hints if typing.get_origin(hint) is typing.Literal}


@pytest.mark.parametrize(
    ("config", "fields"),
    [
        (CorpusConfig(), ["source", "variant"]),
        (ObjectiveConfig(), ["kind"]),
        (ModelConfig(), ["architecture", "feed_forward", "attention_init"]),
        (ScheduleConfig(), ["kind"]),
        (TrainConfig(), ["loss_denominator", "trainable"]),
        (DecodeConfig(), ["length_penalty_form"]),
        (MixtureConfig(), ["kind"]),
        (C4Config(), ["identifier"]),
        (Declaration(), ["identifier", "format"]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_field_of_choices_names_them_where_json_has_none_of_them(config, fields):
    assert list(choices_of(config)) == fields
    for field, choices in choices_of(config).items():
        with pytest.raises(ConfigError) as caught:
            type(config).from_json(json.dumps({field: "none"}))
        assert str(caught.value).startswith(f"{field}='none': choose one of {', '.join(choices)}")


@pytest.mark.parametrize(
    ("make", "start"),
    [
        (lambda: CorpusConfig(source="web"), "source='web': choose one of embedded, files"),
        (lambda: CorpusConfig(validation_fraction=1.0), "validation_fraction=1.0: give a share"),
        (lambda: CorpusConfig(source="files"), "paths=(): name at least one file"),
        (lambda: CorpusConfig(variant="c5"), "variant='c5': choose one of plain, c4, unfiltered"),
        (
            lambda: CorpusConfig(source="files", paths=("a",), variant="realnews_like"),
            "variant='realnews_like': from files it needs domains",
        ),
        (lambda: CorpusConfig(extra=("a",)), "extra=('a',): plain from embedded takes none"),
        (lambda: VocabularyConfig(num_pieces=0), "num_pieces=0: give a number above 0"),
        (lambda: VocabularySource(parts=-1.0), "parts=-1.0: give a number above 0"),
        (lambda: VocabularySource(parts=float("inf")), "parts=inf: give a number above 0"),
        (lambda: ObjectiveConfig(noise_density=0.0), "noise_density=0.0: give a corruption rate"),
        (lambda: ObjectiveConfig(noise_density=float("nan")), "noise_density=nan: give a corruption rate"),
        (lambda: ObjectiveConfig(mean_noise_span_length=0.5), "mean_noise_span_length=0.5: give a mean span length"),
        (lambda: ObjectiveConfig(random_token_fraction=1.5), "random_token_fraction=1.5: give a share"),
        (lambda: ModelConfig(num_heads=-1), "num_heads=-1: give a number above 0"),
        (lambda: ModelConfig(relative_attention_num_buckets=31), "relative_attention_num_buckets=31: give an even"),
        (lambda: ScheduleConfig(kind="cosine"), "kind='cosine': choose one of inverse_sqrt"),
        (lambda: ScheduleConfig(learning_rate=float("nan")), "learning_rate=nan: give a number above 0"),
        (lambda: TrainConfig(steps=0), "steps=0: give a number above 0"),
        (lambda: TrainConfig(steps=None), "steps=None: give a number above 0"),
        (lambda: TrainConfig(steps="ten"), "steps='ten': give a number above 0"),
        (lambda: TrainConfig(targets_length=0), "targets_length=0: give a number above 0"),
        (lambda: TrainConfig(dropout_rate=1.0), "dropout_rate=1.0: give a rate"),
        (lambda: TrainConfig(loss_denominator="token"), "loss_denominator='token': choose one of targets, tokens"),
        (lambda: DecodeConfig(max_new_tokens=0), "max_new_tokens=0: give a number above 0"),
        (lambda: MixtureConfig(kind="even"), "kind='even': choose one of proportional, equal, weights"),
        (lambda: MixtureConfig(temperature=0), "temperature=0: give a number above 0"),
        (lambda: MixtureConfig(maximum=-1), "maximum=-1: give a number above 0"),
        (
            lambda: MixtureConfig(maximum=9, maximum_between=0.5),
            "maximum_between=0.5: give a place from 0 to 1, and no",
        ),
        (lambda: MixtureConfig(maximum_between=1.5), "maximum_between=1.5: give a place from 0 to 1"),
        (lambda: MixtureConfig(kind="equal", maximum=9), "maximum=9: it belongs to proportional rates, not to equal"),
        (lambda: MixtureConfig(kind="equal", temperature=2), "temperature=2: it belongs to proportional rates, not to"),
        (lambda: MixtureConfig(kind="weights"), "weights=(): they belong to kind"),
        (lambda: MixtureConfig(weights=(TaskWeight(name="a", weight=1.0),)), "weights=('a',): they belong to kind"),
        (lambda: TasksConfig(), "tasks=(): name at least one task"),
        (lambda: TrainConfig().replace(batch_size=0), "batch_size=0: give a number above 0"),
    ],
)
def test_a_value_out_of_range_is_refused_where_it_enters(make, start):
    with pytest.raises(ConfigError) as caught:
        make()
    assert str(caught.value).startswith(start)


def test_configs_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        TrainConfig().steps = 3
