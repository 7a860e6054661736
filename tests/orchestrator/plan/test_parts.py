"""Rows with several fine-tunings: by group, apart, and with each left out of a training of its own."""

from pathlib import Path
from typing import Any

import micro_study
import numpy as np
import pytest

from orchestrator.engine.inline import run_locally
from orchestrator.engine.outcomes import Finished
from orchestrator.plan.expand import stages_of
from orchestrator.plan.experiment import Experiment
from orchestrator.plan.parts import Part, kind_of_role, parts_of, roles
from orchestrator.plan.study import Row, Scale, Study, plan_of
from orchestrator.results.rows import row_results
from orchestrator.results.stored import stored_outcomes
from orchestrator.store import open_store
from t5core.config import MixtureConfig, ObjectiveConfig, TaskWeight
from t5core.corpora import identify
from t5core.errors import ConfigError
from t5core.tasks import get_task
from t5core.tasks.known import PAPER_GROUP

TASKS = micro_study.TASK_NAMES
ALL_AT_ONCE = {"objective": ObjectiveConfig(), "multitask": MixtureConfig(unsupervised=120.0), "then_finetune": True}


def tasks(*names: str) -> dict[str, Any]:
    return {name: get_task(name) for name in names}


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    return micro_study.experiment(micro_study.write_documents(tmp_path_factory.mktemp("text") / "text.jsonl"))


def test_the_papers_tasks_are_fine_tuned_in_its_groups_as_long_as_each_needs() -> None:
    found = parts_of(tasks(*PAPER_GROUP), "groups")
    assert [(part.name, part.targets_length) for part in found] == [
        ("glue", 84),
        ("super_glue", 62),
        ("squad", 97),
        ("cnn_dailymail", 512),
        ("wmt_en_de", 512),
        ("wmt_en_fr", 512),
        ("wmt_en_ro", 512),
    ]
    assert sum(len(part.tasks) for part in found) == len(PAPER_GROUP)


def test_apart_what_has_one_kind_of_examples_only_goes_with_what_it_belongs_to() -> None:
    found = {part.name: part.tasks for part in parts_of(tasks(*PAPER_GROUP), "apart")}
    assert found["glue_mnli"] == ("glue_mnli", "glue_mnli_mismatched")
    assert found["super_glue_wsc"] == ("super_glue_wsc", "super_glue_wsc_train", "dpr")
    assert found["glue_cola"] == ("glue_cola",)
    assert len(found) == len(PAPER_GROUP) - 3


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("squad", "super_glue_wsc"), "finetuning='super_glue_wsc': .* nothing of its own to train on"),
        (("squad", "dpr"), "finetuning='dpr': nothing is judged by what is trained on it alone"),
    ],
)
def test_a_part_that_cannot_be_trained_or_judged_is_refused(names: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}"):
        parts_of(tasks(*names), "apart")


def test_roles_are_found_whichever_part_they_are_of() -> None:
    assert kind_of_role("evaluate:glue") == kind_of_role("evaluate") == "evaluate"
    assert roles("evaluate", ("tokens", "evaluate:glue", "likelihood:glue", "evaluate:squad")) == (
        "evaluate:glue",
        "evaluate:squad",
    )


def test_all_together_is_the_same_row_as_without_a_word_of_it(baseline: Experiment) -> None:
    assert parts_of(tasks(*TASKS), "together") == (Part(name="", tasks=()),)
    rows = [stages_of(e, "a") for e in (baseline, baseline.replace(finetuning="together"))]
    assert rows[0] == rows[1] and list(rows[0])[-3:] == ["finetune", "evaluate", "likelihood"]
    assert "finetuning" not in baseline.fingerprint()


def test_apart_all_parts_go_on_from_one_pre_training(baseline: Experiment) -> None:
    stages = stages_of(baseline.replace(objective=ObjectiveConfig(), finetuning="apart"), "a")
    finetunings = [stages[role] for role in roles("finetune", stages)]
    assert [stage.settings["only"] for stage in finetunings] == [[task] for task in TASKS]
    assert {stage.inputs["pretrain"] for stage in finetunings} == {stages["pretrain"].key}
    for task in TASKS:
        assert stages[f"evaluate:{task}"].inputs["trained"] == stages[f"finetune:{task}"].key
        assert stages[f"finetune:{task}"].settings["train"]["targets_length"] <= 16


def test_left_out_tasks_are_in_no_training_before_their_own(baseline: Experiment) -> None:
    stages = stages_of(baseline.replace(**ALL_AT_ONCE, leave_one_out=True), "a")
    for task in TASKS:
        before = stages[f"multitask:{task}"]
        assert before.settings["without"] == [task]
        assert stages[f"finetune:{task}"].inputs["pretrain"] == before.key
        assert stages[f"finetune:{task}"].settings["only"] == [task]
    assert len({stages[role].key for role in roles("multitask", stages)}) == len(TASKS)


def test_multi_task_pre_training_takes_the_place_of_pre_training_only(baseline: Experiment) -> None:
    stages = stages_of(baseline.replace(**ALL_AT_ONCE), "a")
    assert stages["multitask"].settings["train"]["steps"] == baseline.pretrain.steps
    assert stages["finetune"].inputs["pretrain"] == stages["multitask"].key
    assert stages["finetune"].settings["train"]["steps"] == baseline.finetune.steps
    alone = stages_of(baseline.replace(**{**ALL_AT_ONCE, "then_finetune": False}), "a")
    assert alone["multitask"].settings["train"]["steps"] == baseline.pretrain.steps + baseline.finetune.steps


def test_without_an_objective_multi_task_training_reads_no_text(baseline: Experiment) -> None:
    supervised = {"objective": None, "multitask": MixtureConfig(), "then_finetune": True}
    stages = stages_of(baseline.replace(**supervised), "a")
    assert "tokens" not in stages and "tokens" not in stages["multitask"].inputs
    assert "objective" not in stages["multitask"].settings


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"then_finetune": True}, "then_finetune=True: it belongs to multi-task training"),
        (
            {**ALL_AT_ONCE, "then_finetune": False, "leave_one_out": True},
            "leave_one_out=True: it belongs to multi-task training that fine-tuning follows",
        ),
        ({"finetuning": "alone"}, "finetuning='alone': choose one of together, groups, apart"),
    ],
)
def test_parts_that_cannot_be_are_refused_in_one_line(
    changes: dict[str, Any], message: str, baseline: Experiment
) -> None:
    with pytest.raises(ConfigError, match=f"^{message}"):
        baseline.replace(**changes)


def test_a_single_task_cannot_be_left_out(baseline: Experiment) -> None:
    one = baseline.replace(**ALL_AT_ONCE, leave_one_out=True, tasks=baseline.tasks.replace(names=TASKS[:1]))
    with pytest.raises(ConfigError, match="leave_one_out='doc_acceptability': no other task is in the mixture"):
        stages_of(one, "a")


def test_rows_in_parts_run_to_scores_of_all_their_tasks(tmp_path: Path) -> None:
    corpus = micro_study.write_documents(tmp_path / "text.jsonl")
    plain = micro_study.experiment(corpus)
    baseline = plain.replace(corpus=identify(plain.corpus))
    weights = tuple(TaskWeight(name=name, weight=1) for name in (*TASKS, "unsupervised"))
    mixture = MixtureConfig(kind="weights", weights=weights, unsupervised=1.0)
    rows = (
        Row(name="apart", label="Apart", changes={"finetuning": "apart"}),
        Row(name="without", label="Left out", changes={**ALL_AT_ONCE, "multitask": mixture, "leave_one_out": True}),
        Row(
            name="supervised",
            label="Supervised",
            changes={"multitask": MixtureConfig(kind="equal"), "then_finetune": True},
        ),
    )
    study = Study(name="parts", title="Parts", rows=rows, baseline="apart")
    plan = plan_of(study, Scale(name="micro", purpose="a test", baseline=baseline))
    store = open_store(tmp_path / "store")
    outcomes = run_locally(plan, store)
    assert outcomes.ok
    for result in row_results(plan, stored_outcomes(plan, store), store):
        assert result.status == "done" and result.reason == ""
        assert tuple(result.scores) == TASKS == tuple(result.example_scores)
        assert result.likelihoods is not None and tuple(result.likelihoods) == TASKS
        assert all(np.isfinite(values).all() for values in result.example_scores.values())
    by_role = {role: outcomes[key] for role, key in plan.rows[1].stages.items()}
    trained = by_role["multitask:doc_qa"]
    assert isinstance(trained, Finished)
    assert trained.manifest.result["rates"] == pytest.approx(
        {"doc_acceptability": 1 / 3, "doc_cloze": 1 / 3, "unsupervised": 1 / 3}
    )
    tuned = by_role["finetune:doc_qa"]
    assert isinstance(tuned, Finished) and tuned.manifest.result["rates"] == {"doc_qa": 1.0}
