"""What ``--checkpoints`` asks of a fine-tuning."""

import pytest

from orchestrator.plan.checkpoints import Checkpoints, said_of_checkpoints
from t5core.config import TrainConfig
from t5core.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "steps", "kept"),
    [
        ("5", 700, (560, 595, 630, 665)),
        ("5:50", 700, (500, 550, 600, 650)),
        ("20", 700, tuple(range(35, 700, 35))),
        ("3", 19, (17, 18)),  # no nearer than one step
    ],
)
def test_they_are_the_last_ones_a_twentieth_of_the_run_apart(text: str, steps: int, kept: tuple[int, ...]) -> None:
    assert Checkpoints.parse(text).kept_by(TrainConfig(steps=steps)).kept_steps == kept


def test_words_say_how_many_and_how_far_apart() -> None:
    finetune = Checkpoints.parse("5").kept_by(TrainConfig(steps=700))
    assert said_of_checkpoints(finetune) == ", each judged at its last 5 checkpoints (35 steps apart)"
    assert said_of_checkpoints(TrainConfig()) == ""


def test_a_fine_tuning_that_leaves_a_mean_has_none() -> None:
    averaged = TrainConfig(steps=700, average_last=3, average_every=5)
    with pytest.raises(ConfigError, match=r"^checkpoints=5: the fine-tuning leaves the mean of its weights"):
        Checkpoints.parse("5").kept_by(averaged)
