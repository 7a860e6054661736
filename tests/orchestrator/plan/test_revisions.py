"""Revisions: exactly the configs whose results a change of the code changes."""

from typing import Any

import pytest

from orchestrator.plan.kinds import KINDS
from t5core.config import MixtureConfig, ObjectiveConfig, TaskWeight, TrainConfig


def stage_config(
    inputs_length: int, *, targets_length: int | None = None, mixture: MixtureConfig | None = None, **objective: Any
) -> dict[str, Any]:
    train = TrainConfig(inputs_length=inputs_length, targets_length=targets_length)
    config = {"objective": ObjectiveConfig(**objective).fingerprint(), "train": train.fingerprint()}
    return config if mixture is None else {**config, "mixture": mixture.fingerprint()}


@pytest.mark.parametrize(
    ("config", "touched"),
    [
        # 128 tokens of text were read and the last one of the inputs was lost: now 127
        (stage_config(128, mean_noise_span_length=1), True),
        (stage_config(128, mean_noise_span_length=1, noise_density=0.9), True),
        (stage_config(512, mean_noise_span_length=1, noise_density=0.5), True),
        # 9 tokens have 1 noise token in a span of its own, 10 have 2 in one span
        (stage_config(9, mean_noise_span_length=1.5), True),
        (stage_config(10, mean_noise_span_length=1.5), False),
        # 128 tokens have, as lengths are counted, 0.128 noise tokens, so no span
        (stage_config(128, mean_noise_span_length=3, noise_density=0.001), True),
        (stage_config(512, mean_noise_span_length=1.5), False),
        (stage_config(512, mean_noise_span_length=3), False),
        (stage_config(512, mean_noise_span_length=20), False),
        # the same text, but one target more, unless their number was given
        (stage_config(11, mean_noise_span_length=1, noise_density=0.5), True),
        (stage_config(11, mean_noise_span_length=1, noise_density=0.5, targets_length=16), False),
        (stage_config(128, mean_noise_span_length=1, targets_length=64), True),
        # noise of other kinds, and other objectives with spans, read as many tokens as their inputs hold
        (stage_config(128), False),
        (stage_config(128, mean_noise_span_length=1, kind="drop_tokens"), False),
        (stage_config(128, mean_noise_span_length=1, kind="bert_style"), False),
        (stage_config(128, mean_noise_span_length=1, kind="mass_style"), False),
    ],
)
def test_pre_trainings_whose_text_fills_inputs_of_another_length_are_revised(
    config: dict[str, Any], touched: bool
) -> None:
    assert KINDS["pretrain"].revised(config) == (("span-lengths",) if touched else ())


TEXT = MixtureConfig(unsupervised=1000.0)
NO_TEXT = MixtureConfig(
    kind="weights",
    weights=(TaskWeight(name="doc_qa", weight=1), TaskWeight(name="unsupervised", weight=0)),
    unsupervised=1,
)


@pytest.mark.parametrize(
    ("config", "touched"),
    [
        (stage_config(128, mean_noise_span_length=1, mixture=TEXT), True),
        (stage_config(128, mean_noise_span_length=3, mixture=TEXT), False),
        # the number of targets that is given is the tasks'
        (stage_config(11, mean_noise_span_length=1, noise_density=0.5, targets_length=16, mixture=TEXT), True),
        (stage_config(128, mean_noise_span_length=1, mixture=NO_TEXT), False),
        (stage_config(128, mean_noise_span_length=1, mixture=MixtureConfig()), False),
    ],
)
def test_multi_task_trainings_are_revised_where_they_draw_such_text(config: dict[str, Any], touched: bool) -> None:
    assert KINDS["multitask"].revised(config) == (("span-lengths",) if touched else ())


@pytest.mark.parametrize(
    ("packed", "mixture", "touched"),
    [
        (True, TEXT, True),
        (True, MixtureConfig(kind="equal", unsupervised=1), True),
        (True, NO_TEXT, False),
        (True, MixtureConfig(), False),
        (False, TEXT, False),
    ],
)
def test_multi_task_trainings_that_draw_text_beside_packed_rows_are_revised(
    packed: bool, mixture: MixtureConfig, touched: bool
) -> None:
    config = stage_config(512, mixture=mixture)
    config["train"] = TrainConfig(inputs_length=512, packed=packed).fingerprint()
    assert KINDS["multitask"].revised(config) == (("shares-of-examples",) if touched else ())
    assert KINDS["finetune"].revised(config) == ()


def test_stages_without_an_objective_are_never_revised() -> None:
    assert [kind.revised({"train": {"steps": 7}}) for kind in KINDS.values()] == [()] * len(KINDS)
