"""Ensembles in plans: whose stages their members are, and what is refused before anything runs."""

from pathlib import Path

import micro_study
import pytest

from orchestrator.commands.study import main
from orchestrator.plan.ensembles import EnsembleConfig, trained_of
from orchestrator.plan.expand import stages_of
from orchestrator.plan.experiment import Experiment
from orchestrator.plan.parts import roles
from orchestrator.plan.stage import Stage
from orchestrator.plan.study import Row
from t5core.config import MixtureConfig, ModelConfig, ObjectiveConfig
from t5core.errors import ConfigError

FOUR = EnsembleConfig()
TUNED = EnsembleConfig(kind="finetuned")


def baseline(**changes: object) -> Experiment:
    return micro_study.experiment(Path("text.jsonl")).replace(objective=ObjectiveConfig(), **changes)


def of_role(stages: dict[str, Stage], role: str) -> list[Stage]:
    return [stages[name] for name in roles(role, stages)]


def keys(stages: dict[str, Stage], role: str) -> list[str]:
    return [stage.key for stage in of_role(stages, role)]


def test_there_are_four_members_of_the_rows_seed_and_the_three_behind_it() -> None:
    rows = [stages_of(baseline(seed=seed), "row") for seed in range(6)]
    for seed in (0, 2):
        stages = stages_of(baseline(ensemble=FOUR, seed=seed), "row")
        for role in ("pretrain", "finetune"):
            assert keys(stages, role) == [row[role].key for row in rows[seed : seed + 4]]
        assert trained_of(stages["evaluate"].inputs) == keys(stages, "finetune")
        assert trained_of(stages["likelihood"].inputs) == keys(stages, "finetune")
        assert list(stages)[:4] == ["corpus", "vocabulary", "tasks", "tokens"]
    assert stages["finetune:member3"].name == "row-seed2-member3"


def test_members_that_are_fine_tuned_only_share_the_pre_training() -> None:
    row, stages = stages_of(baseline(seed=2), "row"), stages_of(baseline(ensemble=TUNED, seed=2), "row")
    assert keys(stages, "pretrain") == [row["pretrain"].key]
    assert stages["finetune"].key == row["finetune"].key and len(set(keys(stages, "finetune"))) == 4
    assert [stage.config["train"]["seed"] for stage in of_role(stages, "finetune")] == [2, 3, 4, 5]
    assert {stage.inputs["pretrain"] for stage in of_role(stages, "finetune")} == {row["pretrain"].key}


def test_multi_task_members_are_trained_apart_part_by_part() -> None:
    together = {"multitask": MixtureConfig(unsupervised=9.0), "parts": 2}
    stages = stages_of(baseline(ensemble=EnsembleConfig(members=2), **together), "row")
    second = stages_of(baseline(seed=1, **together), "row")
    assert keys(stages, "multitask1")[1] == second["multitask1"].key
    assert trained_of(stages["evaluate"].inputs) == keys(stages, "multitask2")
    assert stages["multitask2:member2"].key == second["multitask2"].key


def test_each_part_of_a_row_is_judged_by_its_members() -> None:
    apart = {"finetuning": "apart"}
    stages = stages_of(baseline(ensemble=EnsembleConfig(members=2), **apart), "row")
    second = stages_of(baseline(seed=1, **apart), "row")
    assert len(keys(stages, "pretrain")) == 2 and len(keys(stages, "finetune")) == 2 * len(micro_study.TASK_NAMES)
    for task in micro_study.TASK_NAMES:
        assert stages[f"finetune:{task}:member2"].key == second[f"finetune:{task}"].key
        assert trained_of(stages[f"evaluate:{task}"].inputs) == [
            stages[f"finetune:{task}"].key,
            second[f"finetune:{task}"].key,
        ]
        assert stages[f"evaluate:{task}"].config["only"] == [task]


def test_rows_without_an_ensemble_are_what_they_were() -> None:
    assert "ensemble" not in baseline().fingerprint()
    assert baseline().members == (baseline(),)
    again = Experiment.from_json(baseline(ensemble=TUNED).to_json())
    assert again == baseline(ensemble=TUNED)


def test_members_may_differ_in_size() -> None:
    own = baseline().model
    small, large = own.replace(d_ff=32), own.replace(num_decoder_layers=2)
    stages = stages_of(baseline(ensemble=EnsembleConfig(members=2, models=(small, large))), "row")
    sizes = [stage.config["model"] for stage in of_role(stages, "pretrain")]
    assert [(size["d_ff"], size["num_decoder_layers"]) for size in sizes] == [(32, 1), (64, 2)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"members": 1}, "members=1: give 2 or more"),
        ({"kind": "merged"}, "kind='merged': choose one of pretrained, finetuned"),
        ({"models": (ModelConfig(),)}, "models=1: give one for each of the 4 members"),
        ({"kind": "finetuned", "models": (ModelConfig(),) * 4}, "models=4: members of one pre-training have its model"),
    ],
)
def test_what_is_no_ensemble_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        EnsembleConfig(**change)
    assert message in str(caught.value)


@pytest.mark.parametrize("change", [{"objective": None}, {"multitask": MixtureConfig(unsupervised=9.0)}])
def test_a_pre_training_that_is_not_there_cannot_be_shared(change: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="there is no pre-training that its members could share"):
        baseline(ensemble=TUNED).replace(**change)


@pytest.mark.parametrize("changed", [{"vocab_size": 600}, {"architecture": "prefix_lm", "num_encoder_layers": 0}])
def test_an_ensemble_of_unlike_models_is_one_line_before_anything_starts(
    changed: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def unlike(e: Experiment) -> dict[str, object]:
        models = (e.model, e.model.replace(**changed))
        return {"objective": ObjectiveConfig(), "ensemble": EnsembleConfig(members=2, models=models)}

    scales = {"micro": micro_study.scale(micro_study.write_documents(tmp_path / "text.jsonl"))}
    study = micro_study.study(Row(name="unlike", label="Unlike", changes=unlike))
    assert main(study, scales, ["--store", str(tmp_path / "store"), "--accelerator", "cpu"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and said[0].startswith("error: ensemble=")
    assert not (tmp_path / "store").exists()
