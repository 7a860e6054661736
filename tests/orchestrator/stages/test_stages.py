"""Every kind of stage, on made-up text with a model of one layer, from documents to scores; without Ray."""

import json
import math
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import micro_study
import numpy as np
import pytest

from orchestrator.engine.events import Event, StageFinished, StageProgress, StageStarted
from orchestrator.engine.inline import run_locally
from orchestrator.engine.outcomes import Failed, Finished, Outcomes
from orchestrator.plan.experiment import Experiment
from orchestrator.plan.plan import Plan, PlannedRow
from orchestrator.plan.stage import Stage
from orchestrator.plan.study import Row, Scale, Study, plan_of
from orchestrator.stages import run_stage
from orchestrator.store import open_store
from studies import architectures
from t5core.config import ObjectiveConfig, TasksConfig
from t5core.corpora import identify, read_documents
from t5core.devices import open_device
from t5core.errors import ConfigError
from t5core.feeds import TokenStore
from t5core.tasks import get_task, identify_tasks
from t5core.training.measures import repeatable
from t5core.vocabulary import Vocabulary

ROOT = Path(__file__).resolve().parents[3]


def planned(corpus: Path, study: Study, tasks: tuple[str, ...] = micro_study.TASK_NAMES) -> Plan:
    """Returns a study's plan at the micro scale, the corpus identified."""
    scale = micro_study.scale(corpus)
    baseline = scale.baseline
    baseline = baseline.replace(corpus=identify(baseline.corpus), tasks=baseline.tasks.replace(names=tasks))
    return plan_of(study, Scale(name=scale.name, purpose=scale.purpose, baseline=baseline))


class Done:
    """The micro study, run once: its plan, store and outcomes, and the stages of its two rows by role."""

    def __init__(self, folder: Path) -> None:
        self.corpus = micro_study.write_documents(folder / "text.jsonl")
        self.plan = planned(self.corpus, micro_study.study())
        self.store = open_store(folder / "store")
        self.outcomes: Outcomes = run_locally(self.plan, self.store)
        self.spans, self.none = (
            {role: self.plan.stages[key] for role, key in row.stages.items()} for row in self.plan.rows
        )

    def folder(self, stage: Stage) -> Path:
        return self.store.path(stage)

    def result(self, stage: Stage) -> Mapping[str, Any]:
        outcome = self.outcomes[stage.key]
        assert isinstance(outcome, Finished), outcome
        return outcome.manifest.result


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    return Done(tmp_path_factory.mktemp("stages"))


def lines(path: Path) -> list[dict[str, Any]]:
    """Returns the rows of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_stage_leaves_the_files_that_the_next_ones_read(done: Done) -> None:
    assert done.outcomes.ok
    tasks = micro_study.TASK_NAMES
    expected = {
        "corpus": {"train.jsonl", "validation.jsonl"},
        "vocabulary": {"vocabulary.model", "vocabulary.json"},
        "tokens": {f"{split}.{part}.npy" for split in ("train", "validation") for part in ("tokens", "offsets")},
        "tasks": {f"{task}.{split}.jsonl" for task in tasks for split in ("train", "validation")},
        "evaluate": {f"{task}.{part}" for task in tasks for part in ("predictions.jsonl", "scores.npy")},
        "likelihood": {f"{task}.likelihood.npy" for task in tasks},
    }
    for role, stage in done.spans.items():
        manifest = done.store.verify(stage)
        assert manifest.kind == role and manifest.config == stage.config
        if role in expected:
            assert set(manifest.files) == expected[role]
        else:
            assert "metrics.jsonl" in manifest.files
            assert any(name.startswith("final/") and name.endswith(".safetensors") for name in manifest.files)
            assert not any(name.startswith("checkpoints/") for name in manifest.files)


def test_text_vocabulary_and_tokens_agree(done: Done) -> None:
    corpus, vocabulary, tokens = (done.result(done.spans[role]) for role in ("corpus", "vocabulary", "tokens"))
    folder = done.folder(done.spans["corpus"])
    for split in ("train", "validation"):
        assert len(list(read_documents(folder / f"{split}.jsonl"))) == corpus[f"{split}_documents"] > 20
        store = TokenStore.open(done.folder(done.spans["tokens"]), split)
        assert len(store.tokens) == tokens[f"{split}_tokens"] > 5_000
        assert len(store) == corpus[f"{split}_documents"]
        assert int(store.tokens.max()) < tokens["vocab_size"]
    assert vocabulary == {"num_pieces": 400, "num_sentinels": 32, "size": 432}
    assert Vocabulary.load(done.folder(done.spans["vocabulary"]) / "vocabulary.model").size == 432
    assert (tokens["vocab_size"], tokens["num_sentinels"]) == (432, 32)


def test_no_evaluation_input_and_no_evaluation_sentence_is_trained_on(done: Done) -> None:
    folder = done.folder(done.spans["tasks"])
    counts = done.result(done.spans["tasks"])
    train_texts = " ".join(d["text"] for d in read_documents(done.folder(done.spans["corpus"]) / "train.jsonl"))
    for task in micro_study.TASK_NAMES:
        train, held_out = (lines(folder / f"{task}.{split}.jsonl") for split in ("train", "validation"))
        assert (len(train), len(held_out)) == (60, 20) == (counts[f"{task}.train"], counts[f"{task}.validation"])
        inputs = {pair["inputs"] for pair in train}
        assert len(inputs) == 60
        assert not inputs & {pair["inputs"] for pair in held_out}
        if task == "doc_cloze":
            for pair in held_out:
                whole = pair["inputs"].removeprefix("cloze passage: ").replace("<extra_id_0>", pair["targets"])
                assert whole not in train_texts


def test_training_learns_and_says_what_it_did(done: Done) -> None:
    result = done.result(done.spans["pretrain"])
    assert result["steps"] == 20
    assert math.isfinite(result["last_loss"]) and result["last_loss"] < result["first_loss"]
    # Below an even guess over the vocabulary, on text that was not trained on.
    assert 1.0 < result["validation_loss"] < math.log(432)
    assert result["flops"] == done.spans["pretrain"].cost > 0
    assert result["decisions"][0]["what"] == "device" and result["decisions"][0]["value"] == "cpu"
    curve = lines(done.folder(done.spans["pretrain"]) / "metrics.jsonl")
    assert [row["step"] for row in curve] == [5, 8, 10, 15, 16, 20]  # every 5, and at checkpoints
    assert curve[0]["loss"] == result["first_loss"] and curve[0]["learning_rate"] == 0.01
    fine_tuned, from_random = (done.result(stages["finetune"]) for stages in (done.spans, done.none))
    assert fine_tuned["steps"] == from_random["steps"] == 10
    # What was learnt before shows at once.
    assert fine_tuned["first_loss"] < from_random["first_loss"] - 0.3


def test_fine_tuning_goes_on_with_the_step_counter_of_pre_training(done: Done) -> None:
    from t5core.training import checkpoint

    for stages, total in ((done.spans, 30), (done.none, 10)):
        last = checkpoint.load(done.folder(stages["finetune"]) / "final")
        assert last.step == 10 and last.state["total_step"] == total


def test_fine_tuning_with_fresh_moments_reads_none_and_counts_on(done: Done, monkeypatch: pytest.MonkeyPatch) -> None:
    from t5core.training import checkpoint

    def refuse(_: checkpoint.Checkpoint) -> dict[str, Any]:
        raise AssertionError("moments of the pre-training are read")

    def fresh(e: Experiment) -> dict[str, Any]:
        return {"objective": ObjectiveConfig(), "finetune": e.finetune.replace(fresh_moments=True)}

    monkeypatch.setattr(checkpoint.Checkpoint, "optimizer", refuse)
    plan = planned(done.corpus, micro_study.study(Row(name="fresh", label="Fresh", changes=fresh)))
    stages = plan.by_role(plan.rows[-1])
    outcomes = run_locally(replace(plan, rows=plan.rows[-1:]), done.store)
    assert outcomes.ok and stages["pretrain"].key == done.spans["pretrain"].key
    last = checkpoint.load(done.folder(stages["finetune"]) / "final")
    assert last.step == 10 and last.state["total_step"] == 30
    usual = checkpoint.load(done.folder(done.spans["finetune"]) / "final")
    assert last.state["sha256"] != usual.state["sha256"]


def test_scores_follow_from_predictions_and_per_example_scores(done: Done) -> None:
    for stages in (done.spans, done.none):
        folder = done.folder(stages["evaluate"])
        scores = done.result(stages["evaluate"])["scores"]
        assert threads(done.result(stages["evaluate"]))["value"] == "1"
        assert set(scores) == set(micro_study.TASK_NAMES)
        for name in micro_study.TASK_NAMES:
            task = get_task(name)
            pairs = lines(done.folder(stages["tasks"]) / f"{name}.validation.jsonl")
            predicted = lines(folder / f"{name}.predictions.jsonl")
            assert [row["inputs"] for row in predicted] == [pair["inputs"] for pair in pairs]
            targets = [row["target"] for row in predicted]
            again = task.score(
                targets,
                [row["prediction"] for row in predicted],
                [pair["context"] for pair in pairs],
            )
            assert scores[name] == pytest.approx(again)
            assert set(scores[name]) == set(task.metric_names)
            per_example_Nk = np.load(folder / f"{name}.scores.npy", allow_pickle=False)
            assert per_example_Nk.shape[0] == 20
            assert task.aggregate(per_example_Nk) == pytest.approx(scores[name][task.main.name])


def test_a_second_run_does_nothing(done: Done) -> None:
    def refuse(*_: Any) -> dict[str, Any]:
        raise AssertionError("nothing is left to do")

    events: list[Event] = []
    again = run_locally(done.plan, done.store, run_stage=refuse, events=events.append)
    assert again.ok and all(isinstance(outcome, Finished) and outcome.cached for outcome in again.values())
    assert len(events) == len(done.plan.stages)
    assert all(isinstance(event, StageFinished) and event.cached for event in events)


def test_a_stage_that_was_killed_half_way_is_unfinished_and_goes_on_to_the_same_weights(
    done: Done, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed on two threads, it goes on with two where the next process has one, though its sums depend on them."""
    from t5core.training.program import LossProgram

    code = f"""
        import sys
        sys.path += [{str(Path(__file__).parents[1])!r}, {str(Path(__file__).parent)!r}]
        from pathlib import Path
        import micro_study, test_stages
        from orchestrator.engine.inline import run_locally
        from orchestrator.store import open_store
        from t5core.devices import open_device
        from t5core.training.program import LossProgram
        LossProgram.forward = test_stages.bound_to_threads(LossProgram.forward)
        device = open_device("cpu", threads=2)
        plan = test_stages.planned(Path({str(done.corpus)!r}), micro_study.study())
        run_locally(test_stages.pretraining(plan), open_store({str(tmp_path / "undisturbed")!r}), device=device)
        run_locally(plan, open_store({str(tmp_path / "store")!r}), run_stage=test_stages.killed_at_15, device=device)
    """
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, timeout=280, check=False)
    assert killed.returncode == -signal.SIGKILL
    store, pretrain = open_store(tmp_path / "store"), done.spans["pretrain"]
    assert store.finished(done.spans["tokens"]) is not None
    assert store.finished(pretrain) is None
    assert [left.key for left in store.partial()] == [pretrain.key]
    assert pretrain.key not in {manifest.key for manifest in store.manifests()}

    events: list[Event] = []
    plan = planned(done.corpus, micro_study.study().select("spans"))
    monkeypatch.setattr(LossProgram, "forward", bound_to_threads(LossProgram.forward))
    outcomes = run_locally(plan, store, events=events.append)
    assert outcomes.ok
    started = {plan.stages[event.key].kind for event in events if isinstance(event, StageStarted)}
    assert {"pretrain", "finetune", "evaluate"} <= started and not {"corpus", "vocabulary", "tokens"} & started
    steps = [event.step for event in events if isinstance(event, StageProgress) and event.key == pretrain.key]
    assert steps and min(step for step in steps if step is not None) > 8  # the checkpoint that was there
    undisturbed = open_store(tmp_path / "undisturbed")
    (weights,) = (undisturbed.path(pretrain) / "final").glob("model*.safetensors")
    assert (store.path(pretrain) / "final" / weights.name).read_bytes() == weights.read_bytes()
    curves = [lines(where.path(pretrain) / "metrics.jsonl") for where in (store, undisturbed)]
    assert list(map(repeatable, curves[0])) == list(map(repeatable, curves[1]))
    results = [where.verify(pretrain).result for where in (undisturbed, store)]
    assert results[0]["validation_loss"] == results[1]["validation_loss"]
    # on one thread it would have come to other weights, and a stage that begins here has one
    assert (done.folder(pretrain) / "final" / weights.name).read_bytes() != weights.read_bytes()
    assert [threads(result)["value"] for result in results] == ["2", "2"]
    assert threads(results[1])["why"].startswith("as the attempt before began with")
    fine_tuned = threads(store.verify(done.spans["finetune"]).result)
    assert (fine_tuned["value"], fine_tuned["why"]) == ("1", "as many as were asked for")


def threads(result: Mapping[str, Any]) -> Mapping[str, str]:
    """Returns what a training stage's result says of its threads."""
    (found,) = [decision for decision in result["decisions"] if decision["what"] == "threads"]
    return found


def bound_to_threads(forward: Callable[..., Any]) -> Callable[..., Any]:
    """Has the loss and its gradients depend on the number of threads: as MKL's sums do, on every processor."""
    import torch

    def bound(*given: Any) -> Any:
        training, cross_entropy, tokens = forward(*given)
        factor = 1 + (torch.get_num_threads() - 1) / 1000  # one thread computes as ever
        return training * factor, cross_entropy * factor, tokens

    return bound


def pretraining(plan: Plan) -> Plan:
    """Returns the part of a plan's first row that ends with its pre-training."""
    roles = ("corpus", "vocabulary", "tokens", "pretrain")
    stages = {role: plan.stages[plan.rows[0].stages[role]] for role in roles}
    return Plan.of("trial", "micro", [(PlannedRow(name="spans"), stages)])


def killed_at_15(
    stage: Stage, inputs: Mapping[str, Path], work: Path, device: Any, report: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    """``run_stage``, but its process is killed when pre-training reports step 15."""

    def deadly(values: dict[str, Any]) -> None:
        report(values)
        if stage.kind == "pretrain" and values["step"] == 15:
            signal.raise_signal(signal.SIGKILL)

    return run_stage(stage, inputs, work, device, deadly)


def test_a_task_that_the_text_gives_no_example_of_is_named(tmp_path: Path) -> None:
    rows = lines(micro_study.write_documents(tmp_path / "text.jsonl"))
    prose = [json.dumps({"text": row["text"].partition("\n\nParameters")[0]}) for row in rows]
    (tmp_path / "prose.jsonl").write_text("\n".join(prose))
    plan = planned(tmp_path / "prose.jsonl", micro_study.study().select("none"))
    outcomes = run_locally(plan, open_store(tmp_path / "store"))
    failed = [outcome for outcome in outcomes.values() if isinstance(outcome, Failed)]
    assert [f.error for f in failed] == [
        "tasks='doc_qa': the corpus gives no train examples of this task; leave it out"
    ]
    assert failed[0].attempts == 1


def test_the_result_of_sets_on_the_hub_says_at_which_commits_they_were_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hub is simulated: the rows of two sets."""
    rows = {
        "community-datasets/definite_pronoun_resolution": {
            "sentence": "Ann beat Sue, she won.",
            "pronoun": "she",
            "candidates": ["Ann", "Sue"],
            "label": 0,
        },
        "nyu-mll/glue": {"sentence": "So it is.", "label": 1, "idx": 0},
    }

    def load_dataset(path: str, *_: Any, **__: Any) -> Any:
        return datasets.Dataset.from_list([rows[path]] * 3).to_iterable_dataset()

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    stage = Stage.of("tasks", "sets", tasks=identify_tasks(TasksConfig(names=("dpr", "glue_cola"))))
    result = run_stage(stage, {}, tmp_path / "work", open_device("cpu"), lambda _: None)
    assert result["dpr.commit"] == "0fdf659653e37a0a3bf8af0909a43969304b2b19" and result["dpr.train"] == 3
    assert result["glue_cola.commit"] == "bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c"


@pytest.mark.parametrize("name", ["shared", "prefix-lm", "lm-lm", "prefix-lm-lm"])
def test_every_architecture_goes_from_text_to_scores(done: Done, name: str) -> None:
    study = architectures.study().select(name)
    study = replace(study, baseline=name, rows=tuple(row for row in study.rows if row.name == name))
    plan = planned(done.corpus, study)
    outcomes = run_locally(plan, done.store)  # text, vocabulary, tokens and tasks are there already
    results = {plan.stages[key].kind: outcome for key, outcome in outcomes.items()}
    assert all(isinstance(outcome, Finished) for outcome in results.values()), results
    pretrain = results["pretrain"].manifest.result
    assert pretrain["last_loss"] < pretrain["first_loss"]
    assert set(results["evaluate"].manifest.result["scores"]) == set(micro_study.TASK_NAMES)


def test_a_row_with_adapters_shares_its_pre_training_and_trains_little(done: Done) -> None:
    from t5core.training import checkpoint

    baseline = micro_study.scale(done.corpus).baseline
    changes = {
        "objective": ObjectiveConfig(),
        "model": baseline.model.replace(adapter_size=4),
        "finetune": baseline.finetune.replace(trainable="adapters_and_norms"),
    }
    rows = (Row(name="adapters", label="Adapters", changes=changes),)
    plan = planned(done.corpus, Study(name="ours", title="Ours", rows=rows, baseline="adapters"))
    stages = {stage.kind: stage for stage in plan.stages.values()}
    assert stages["pretrain"].key == done.spans["pretrain"].key
    outcomes = run_locally(plan, done.store)
    assert outcomes.ok
    before = checkpoint.load(done.folder(stages["pretrain"]) / "final").model().state_dict()
    after = checkpoint.load(done.folder(stages["finetune"]) / "final").model().state_dict()
    new = after.keys() - before.keys()
    assert len(new) == 2 * 3 and all("adapter" in name for name in new)
    changed = {name for name in before if not before[name].equal(after[name])}
    assert changed == {name for name in before if "norm" in name}
    result = done.store.finished(stages["finetune"]).result
    assert "attention kernel" in {decision["what"] for decision in result["decisions"]}


def test_plain_language_modelling_needs_a_model_without_an_encoder(done: Done) -> None:
    row = Row(name="lm", label="LM", changes={"objective": ObjectiveConfig(kind="lm")})
    study = Study(name="wrong", title="Wrong", rows=(row,), baseline="lm")
    with pytest.raises(ConfigError, match="objective='lm': an encoder needs an input: take prefix_lm"):
        planned(done.corpus, study)
