"""Text and tasks at once, and tasks with data of their own, on made-up sets; real stages at the micro scale."""

import contextlib
import io
import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import micro_study
import numpy as np
import pytest

from orchestrator.commands.study import main
from orchestrator.engine.inline import run_locally
from orchestrator.engine.outcomes import Failed, Finished, Outcomes, Skipped
from orchestrator.plan.experiment import Experiment
from orchestrator.plan.plan import Plan, PlannedRow
from orchestrator.plan.stage import Stage
from orchestrator.plan.study import Row, Scale, Study, plan_of
from orchestrator.stages.work import read_pairs
from orchestrator.store import Store, open_store
from t5core.config import MixtureConfig, ModelConfig, ObjectiveConfig, TaskWeight
from t5core.corpora import identify
from t5core.errors import ConfigError
from t5core.tasks import choose_tasks, get_task, identify_tasks
from t5core.training import checkpoint

WORDS = ("reader", "writer", "record", "packet", "window", "garden", "river", "bridge", "letter", "signal", "market")
REVIEWS = """
name: reviews
source: reviews
inputs: "review: {text} by {author.name}"
targets: "{label}"
labels: {label: [bad, good]}
metrics: [f1, accuracy]
"""
TASKS = micro_study.TASK_NAMES
ALL_AT_ONCE = {"objective": ObjectiveConfig(), "multitask": MixtureConfig(unsupervised=120.0)}


def write_set(folder: Path, **splits: Sequence[Mapping[str, Any]]) -> Path:
    """Writes each split as JSON Lines."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, rows in splits.items():
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


def sentences(count: int, *, first: int = 0, good: float = 0.75) -> list[dict[str, Any]]:
    """Made-up sentences, of which the share ``good`` has the label 1, in turn."""
    rng = random.Random(f"sentences {first}")
    return [
        {
            "sentence": f"{' '.join(rng.sample(WORDS, 4))} {first + i}",
            "label": int(i % 4 < 4 * good),
            "idx": first + i,
        }
        for i in range(count)
    ]


def wsc(count: int, *, right: int) -> list[dict[str, Any]]:
    """Made-up sentences with a pronoun; of the first ``right`` the candidate is right."""
    return [
        {
            "text": f"The {WORDS[i % 11]} saw the {WORDS[(i + 3) % 11]} when it {WORDS[(i + 7) % 11]}s {i} .",
            "span1_text": WORDS[i % 11],
            "span1_index": 1,
            "span2_text": "it",
            "span2_index": 6,
            "label": int(i < right),
            "idx": i,
        }
        for i in range(count)
    ]


class Place:
    """Text, sets, a store that all tests share, and what was run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.corpus = micro_study.write_documents(folder / "text.jsonl")
        self.data = folder / "data"
        write_set(self.data / "cola", train=sentences(80), validation=sentences(16, first=500, good=0.5))
        reviews = [{"text": s["sentence"], "author": {"name": "Bo"}, "label": s["label"]} for s in sentences(30)]
        write_set(folder / "own" / "reviews", train=reviews, validation=reviews[:10])
        self.file = folder / "own" / "task.yaml"
        self.file.write_text(REVIEWS, encoding="utf-8")
        self.store = open_store(folder / "store")

    def baseline(self, *tasks: str, data_dir: Path | None = None) -> Experiment:
        """The micro experiment with other tasks, all of it identified."""
        baseline = micro_study.experiment(self.corpus)
        config = choose_tasks(tasks or TASKS, baseline.tasks)
        config = config.replace(data_dir=None if data_dir is None else str(data_dir))
        return baseline.replace(corpus=identify(baseline.corpus), tasks=identify_tasks(config))

    def plan(self, *rows: Row, baseline: Experiment | None = None) -> Plan:
        study = Study(name="multi", title="Multi", rows=rows, baseline=rows[0].name)
        scale = Scale(name="micro", purpose="a test", baseline=baseline or self.baseline())
        return plan_of(study, scale)

    def result(self, outcomes: Outcomes, stage: Stage) -> Mapping[str, Any]:
        outcome = outcomes[stage.key]
        assert isinstance(outcome, Finished), outcome
        return outcome.manifest.result

    def final(self, stage: Stage, name: str = "model.safetensors") -> bytes:
        return (self.store.path(stage) / "final" / name).read_bytes()

    def lines(self, stage: Stage, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.store.path(stage) / name).read_text(encoding="utf-8").splitlines()]


def row(name: str, **changes: Any) -> Row:
    return Row(name=name, label=name.title(), changes=changes)


def roles_of(plan: Plan) -> dict[str, dict[str, Stage]]:
    """Row -> role -> stage."""
    return {row.name: {role: plan.stages[key] for role, key in row.stages.items()} for row in plan.rows}


def failed(outcomes: Outcomes) -> Failed:
    (found,) = [outcome for outcome in outcomes.values() if isinstance(outcome, Failed)]
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("multitask"))


@pytest.fixture(scope="module")
def ran(place: Place) -> tuple[Plan, Outcomes]:
    """The same multi-task training of 12 + 6 steps in one part, in two and in four that are not equal."""
    baseline = place.baseline()
    pretrain = baseline.pretrain.replace(steps=12, log_every=9, checkpoint_every=9)
    baseline = baseline.replace(pretrain=pretrain, finetune=baseline.finetune.replace(steps=6))
    plan = place.plan(*(row(f"parts-{n}", **ALL_AT_ONCE, parts=n) for n in (1, 2, 4)), baseline=baseline)
    return plan, run_locally(plan, place.store)


def test_a_multitask_row_trains_on_text_and_tasks_and_is_evaluated(ran: tuple[Plan, Outcomes], place: Place) -> None:
    plan, outcomes = ran
    assert outcomes.ok
    stages = roles_of(plan)["parts-1"]
    assert list(stages) == ["corpus", "vocabulary", "tasks", "tokens", "multitask", "evaluate", "likelihood"]
    result = place.result(outcomes, stages["multitask"])
    assert result["rates"] == pytest.approx({**dict.fromkeys(TASKS, 60 / 300), "unsupervised": 120 / 300})
    assert result["steps"] == 18 and result["last_loss"] < result["first_loss"]
    assert set(result["cut"]) == set(TASKS) and all(0 <= share <= 1 for share in result["cut"].values())
    assert result["flops"] == stages["multitask"].cost > 0
    assert result["decisions"][0]["what"] == "device"
    scores = place.result(outcomes, stages["evaluate"])["scores"]
    assert set(scores) == set(TASKS)
    for name in TASKS:
        per_example_Nk = np.load(place.store.path(stages["evaluate"]) / f"{name}.scores.npy", allow_pickle=False)
        assert get_task(name).aggregate(per_example_Nk) == pytest.approx(scores[name][get_task(name).main.name])
    assert set(place.result(outcomes, stages["likelihood"])["bits_per_byte"]) == set(TASKS)


def test_parts_end_in_the_bits_of_one_run(ran: tuple[Plan, Outcomes], place: Place) -> None:
    plan, _ = ran
    rows = roles_of(plan)
    whole = rows["parts-1"]
    lasts = [rows["parts-2"]["multitask2"], rows["parts-4"]["multitask4"]]
    assert [stage.settings["train"]["steps"] for stage in lasts] == [9, 5]
    assert [rows["parts-4"][f"multitask{n}"].settings["train"]["steps"] for n in (1, 2, 3, 4)] == [4, 5, 4, 5]
    before = place.final(rows["parts-2"]["multitask1"])
    for last in lasts:
        assert place.final(last) == place.final(whole["multitask"]) != before
        state = checkpoint.load(place.store.path(last) / "final").state
        assert state["total_step"] == 18
    predictions = [place.lines(rows[name]["evaluate"], f"{task}.predictions.jsonl") for name in rows for task in TASKS]
    assert predictions == predictions[: len(TASKS)] * 3
    curve = place.lines(whole["multitask"], "metrics.jsonl")
    second = place.lines(lasts[0], "metrics.jsonl")
    # a line has the mean loss since the line before: the last one of the whole run is the second half's only one
    assert [line["step"] for line in curve] == [9, 18] and [line["step"] for line in second] == [9]
    assert curve[-1]["loss"] == second[0]["loss"]


def test_a_checkpoint_has_its_vocabulary_beside_it(ran: tuple[Plan, Outcomes], place: Place) -> None:
    plan, _ = ran
    for stages in roles_of(plan).values():
        vocabulary = (place.store.path(stages["vocabulary"]) / "vocabulary.model").read_bytes()
        for stage in stages.values():
            if stage.kind == "multitask":
                assert place.final(stage, "vocabulary.model") == vocabulary
                assert "final/vocabulary.model" in place.store.verify(stage).files


@pytest.mark.parametrize("architecture", ["encoder_decoder", "prefix_lm"])
def test_packed_rows_and_one_stack_are_trained_at_once_with_text_too(architecture: str, place: Place) -> None:
    baseline = place.baseline()
    layers = 0 if architecture == "prefix_lm" else 1
    model: ModelConfig = baseline.model.replace(architecture=architecture, num_encoder_layers=layers)
    baseline = baseline.replace(
        model=model,
        pretrain=baseline.pretrain.replace(steps=3),
        finetune=baseline.finetune.replace(steps=3, packed=True),
    )
    plan = place.plan(row("one", **ALL_AT_ONCE), row("two", **ALL_AT_ONCE, parts=2), baseline=baseline)
    outcomes = run_locally(plan, place.store)
    assert outcomes.ok, outcomes.by_key
    rows = roles_of(plan)
    assert place.final(rows["one"]["multitask"]) == place.final(rows["two"]["multitask2"])
    assert set(place.result(outcomes, rows["one"]["evaluate"])["scores"]) == set(TASKS)


def test_a_mixture_without_text_trains_on_the_tasks_alone(place: Place) -> None:
    weights = tuple(TaskWeight(name=name, weight=w) for name, w in zip(TASKS, (1.0, 0.0, 3.0), strict=True))
    mixture = MixtureConfig(kind="weights", weights=weights)
    baseline = place.baseline()
    baseline = baseline.replace(
        pretrain=baseline.pretrain.replace(steps=2), finetune=baseline.finetune.replace(steps=2)
    )
    plan = place.plan(row("tasks", objective=ObjectiveConfig(), multitask=mixture), baseline=baseline)
    outcomes = run_locally(plan, place.store)
    assert outcomes.ok, outcomes.by_key
    stages = roles_of(plan)["tasks"]
    assert place.result(outcomes, stages["multitask"])["rates"] == dict(zip(TASKS, (0.25, 0.0, 0.75), strict=True))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"multitask": MixtureConfig(unsupervised=5.0)},
            "objective=None: multi-task training needs one for the unlabeled text",
        ),
        (
            {"mixture": MixtureConfig(unsupervised=5.0)},
            r"mixture\.unsupervised=5\.0: unlabeled text takes part in multi-task training: set it in multitask",
        ),
        ({**ALL_AT_ONCE, "parts": 0}, "parts=0: give a number above 0"),
    ],
)
def test_what_cannot_be_trained_at_once_is_refused_in_one_line(
    changes: dict[str, Any], message: str, place: Place
) -> None:
    with pytest.raises(ConfigError, match=f"^{message}$"):
        micro_study.experiment(place.corpus).replace(**changes)


@pytest.mark.parametrize("kind", ["triangular", "linear"])
def test_a_schedule_laid_over_the_run_is_not_cut_into_parts(kind: str, place: Place) -> None:
    baseline = micro_study.experiment(place.corpus)
    laid = baseline.pretrain.replace(schedule=baseline.pretrain.schedule.replace(kind=kind))
    baseline.replace(**ALL_AT_ONCE, pretrain=laid)
    with pytest.raises(ConfigError, match=f"schedule='{kind}': it is laid over a whole run"):
        baseline.replace(**ALL_AT_ONCE, pretrain=laid, parts=2)


def test_a_run_that_is_averaged_is_not_cut_into_parts(place: Place) -> None:
    baseline = micro_study.experiment(place.corpus)
    averaged = baseline.pretrain.replace(average_last=2, average_every=3)
    baseline.replace(**ALL_AT_ONCE, pretrain=averaged)
    with pytest.raises(ConfigError, match="average_last=2: the next part would go on from the mean"):
        baseline.replace(**ALL_AT_ONCE, pretrain=averaged, parts=2)


# tasks with data of their own


def test_a_data_directory_and_a_users_file_train_and_evaluate_without_the_corpus(place: Place) -> None:
    baseline = place.baseline("glue_cola", str(place.file), data_dir=place.data)
    plan = place.plan(row("own", objective=None), baseline=baseline)
    stages = roles_of(plan)["own"]
    assert stages["tasks"].inputs == {}
    assert str(place.folder) not in json.dumps(stages["tasks"].config)
    outcomes = run_locally(plan, place.store)
    assert outcomes.ok, outcomes.by_key

    result = place.result(outcomes, stages["tasks"])
    counts = {name: value for name, value in result.items() if not name.endswith(".majority")}
    assert counts == {"glue_cola.train": 60, "glue_cola.validation": 16, "reviews.train": 30, "reviews.validation": 10}
    # always "acceptable": no correlation; always "good": recall 1, precision 8 of 10
    assert result["glue_cola.majority"] == 0.0
    assert result["reviews.majority"] == pytest.approx(100 * 2 * 0.8 / 1.8)
    folder = place.store.path(stages["tasks"])
    shown = {pair.inputs: pair.targets for pair in read_pairs(folder / "glue_cola.train.jsonl")}
    every = {f"cola sentence: {s['sentence']}": ("unacceptable", "acceptable")[s["label"]] for s in sentences(80)}
    assert len(shown) == 60 and shown.items() <= every.items()
    assert read_pairs(folder / "reviews.validation.jsonl")[0].inputs.endswith(" 0 by Bo")

    finetune = place.result(outcomes, stages["finetune"])
    assert finetune["rates"] == pytest.approx({"glue_cola": 60 / 90, "reviews": 30 / 90})
    assert place.final(stages["finetune"], "vocabulary.model")
    evaluated = place.result(outcomes, stages["evaluate"])
    assert {name: set(scores) for name, scores in evaluated["scores"].items()} == {
        "glue_cola": {"matthews_corrcoef"},
        "reviews": {"f1", "accuracy"},
    }
    assert {name: 0 <= count <= 16 for name, count in evaluated["invalid"].items()} == {
        "glue_cola": True,
        "reviews": True,
    }
    assert len(place.lines(stages["evaluate"], "reviews.predictions.jsonl")) == 10


def test_the_tasks_stage_alone_needs_no_other(place: Place) -> None:
    baseline = place.baseline("glue_cola", data_dir=place.data)
    stage = roles_of(place.plan(row("own", objective=None), baseline=baseline))["own"]["tasks"]
    outcomes = run_locally(Plan.of("multi", "micro", [(PlannedRow(name="own"), {"tasks": stage})]), place.store)
    assert outcomes.ok and list(outcomes) == [stage.key]


def test_tasks_of_both_kinds_are_trained_at_once_with_text(place: Place) -> None:
    baseline = place.baseline("doc_qa", "glue_cola", str(place.file), data_dir=place.data)
    baseline = baseline.replace(
        pretrain=baseline.pretrain.replace(steps=2), finetune=baseline.finetune.replace(steps=2)
    )
    mixture = MixtureConfig(kind="equal", unsupervised=1.0)
    plan = place.plan(row("both", objective=ObjectiveConfig(), multitask=mixture), baseline=baseline)
    stages = roles_of(plan)["both"]
    assert list(stages["tasks"].inputs) == ["corpus"]
    outcomes = run_locally(plan, place.store)
    assert outcomes.ok, outcomes.by_key
    names = ("doc_qa", "glue_cola", "reviews")
    assert place.result(outcomes, stages["multitask"])["rates"] == dict.fromkeys((*names, "unsupervised"), 0.25)
    assert set(place.result(outcomes, stages["evaluate"])["scores"]) == set(names)


def test_a_task_to_train_on_and_another_to_judge_by(place: Place, tmp_path: Path) -> None:
    write_set(tmp_path / "wsc", train=wsc(20, right=12), validation=wsc(8, right=5))
    baseline = place.baseline("super_glue_wsc", "super_glue_wsc_train", data_dir=tmp_path)
    plan = place.plan(row("wsc", objective=None), baseline=baseline)
    stages = roles_of(plan)["wsc"]
    outcomes = run_locally(plan, place.store)
    assert outcomes.ok, outcomes.by_key
    files = place.store.verify(stages["tasks"]).files
    assert set(files) == {"super_glue_wsc.validation.jsonl", "super_glue_wsc_train.train.jsonl"}
    assert place.result(outcomes, stages["tasks"]) == {"super_glue_wsc_train.train": 12, "super_glue_wsc.validation": 8}
    assert place.result(outcomes, stages["finetune"])["rates"] == {"super_glue_wsc_train": 1.0}
    assert set(place.result(outcomes, stages["evaluate"])["scores"]) == {"super_glue_wsc"}
    pair = read_pairs(place.store.path(stages["tasks"]) / "super_glue_wsc.validation.jsonl")[0]
    assert (pair.inputs, pair.targets) == ("wsc: The reader saw the packet when *it* bridges 0 .", "reader")


# what is refused


def test_data_that_changed_after_the_plan_was_made_is_refused(place: Place, tmp_path: Path) -> None:
    folder = write_set(tmp_path / "cola", train=sentences(9), validation=sentences(4, first=70))
    plan = place.plan(row("own", objective=None), baseline=place.baseline("glue_cola", data_dir=tmp_path))
    write_set(folder, train=sentences(9, first=1))
    outcomes = run_locally(plan, place.store)
    refused = failed(outcomes)
    assert refused.error == "tasks='glue_cola': their data changed since the plan was made; run again"
    assert refused.refused and refused.attempts == 1
    stages = roles_of(plan)["own"]
    because = [outcomes[stages[role].key] for role in ("finetune", "evaluate")]
    assert because == [Skipped(because=stages["tasks"].key)] * 2
    again = place.plan(row("own", objective=None), baseline=place.baseline("glue_cola", data_dir=tmp_path))
    assert roles_of(again)["own"]["tasks"].key != stages["tasks"].key


def test_a_users_file_that_changed_after_the_plan_was_made_is_refused(place: Place, tmp_path: Path) -> None:
    (tmp_path / "reviews").symlink_to(place.folder / "own" / "reviews")
    (tmp_path / "task.yaml").write_text(REVIEWS + "chance: 40\n", encoding="utf-8")
    plan = place.plan(row("own", objective=None), baseline=place.baseline(str(tmp_path / "task.yaml")))
    (tmp_path / "task.yaml").write_text(REVIEWS + "chance: 50\n", encoding="utf-8")
    assert failed(run_locally(plan, place.store)).error.startswith("tasks='reviews': their data changed since")


@pytest.mark.parametrize(
    ("train", "said"),
    [
        (
            [*sentences(2), {"sentence": "x", "label": 7}],
            "{folder}/cola/train.jsonl:3: label=7: ",
        ),
        ([*sentences(2), {"text": "x", "label": 1}], "{folder}/cola/train.jsonl:3: sentence=None: "),
        ([], "tasks='glue_cola': its set gives no train examples of this task; leave it out"),
    ],
)
def test_examples_that_cannot_be_used_are_told_in_one_line(
    train: list[dict[str, Any]], said: str, place: Place, tmp_path: Path
) -> None:
    write_set(tmp_path / "cola", train=train, validation=sentences(3))
    plan = place.plan(row("own", objective=None), baseline=place.baseline("glue_cola", data_dir=tmp_path))
    error = failed(run_locally(plan, place.store))
    assert error.error.startswith(said.format(folder=tmp_path)), error.error
    assert "\n" not in error.error and error.refused and error.attempts == 1


def test_no_right_candidate_is_no_training_example(place: Place, tmp_path: Path) -> None:
    write_set(tmp_path / "wsc", train=wsc(6, right=0), validation=wsc(3, right=1))
    baseline = place.baseline("super_glue_wsc", "super_glue_wsc_train", data_dir=tmp_path)
    error = failed(run_locally(place.plan(row("wsc", objective=None), baseline=baseline), place.store))
    assert error.error == "tasks='super_glue_wsc_train': its set gives no train examples of this task; leave it out"


def test_weights_that_miss_a_task_are_told_in_one_line(place: Place) -> None:
    mixture = MixtureConfig(kind="weights", weights=(TaskWeight(name=TASKS[0], weight=1.0),))
    outcomes = run_locally(place.plan(row("mixed", objective=None, mixture=mixture)), place.store)
    error = failed(outcomes)
    assert error.error == "weights='doc_cloze': has no weight: give every task one, 0 to leave it out"
    assert not error.refused


# the command


@pytest.mark.slow
def test_the_command_takes_a_data_directory_and_a_users_file_to_table_and_mlflow(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locally(plan: Plan, store: Store, *, events: Any, **_: Any) -> Outcomes:
        return run_locally(plan, store, events=events)

    def run(*argv: str) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        always = ["--store", str(place.folder / "store"), "--tracking-uri", f"sqlite:///{tmp_path}/mlflow.db", "--json"]
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(study, {"micro": micro_study.scale(place.corpus)}, [*always, *argv])
        return code, out.getvalue(), err.getvalue()

    monkeypatch.setattr("orchestrator.commands.study.run_plan", locally)
    monkeypatch.chdir(place.file.parent)
    study = Study(name="multi", title="Multi", rows=(row("own", objective=None),), baseline="own")
    sets = ["--data-dir", str(place.data), "--tasks", "task.yaml,glue_cola"]
    code, out, err = run(*sets, "--train-examples", "12", "--finetune-steps", "2", "--targets-length", "3")
    assert code == 0, err
    table = json.loads(out)
    assert [(t["task"], t["label"]) for t in table["tasks"]] == [
        ("glue_cola", "glue_cola matthews_corrcoef"),
        ("reviews", "reviews f1"),
    ]
    assert table["tasks"][0]["majority"] == 0.0 and table["tasks"][1]["majority"] == pytest.approx(100 * 1.6 / 1.8)
    assert set(table["rows"][0]["cells"]) == {"glue_cola", "reviews", "average"}

    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    experiment = client.get_experiment_by_name("t5grid/multi/micro")
    assert experiment is not None
    (parent,) = client.search_runs([experiment.experiment_id], "tags.`t5grid.kind` = 'row'")
    told = [(given.dataset.name, given.tags[0].value) for given in parent.inputs.dataset_inputs]
    assert sorted(told) == [
        ("corpus", "pretrain"),
        *((name, split) for name in ("glue_cola", "reviews") for split in ("train", "validation")),
    ]

    write_set(tmp_path / "cola", train=[{"sentence": "x", "label": 7}], validation=sentences(3))
    code, out, err = run("--tasks", "glue_cola", "--data-dir", str(tmp_path))
    assert (code, out) == (2, "")
    assert (
        err.splitlines()[-1].startswith(f"error: {tmp_path}/cola/train.jsonl:1: label=7: ") and "Traceback" not in err
    )
