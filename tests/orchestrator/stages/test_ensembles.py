"""Ensembles on a study of one layer, from the plan to the table: what members share, and how they answer together."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import micro_study
import numpy as np
import pytest
import torch
from torch import Tensor

from orchestrator.engine.inline import run_locally
from orchestrator.engine.outcomes import Finished
from orchestrator.plan.ensembles import EnsembleConfig, trained_role
from orchestrator.plan.plan import Plan, PlannedRow
from orchestrator.plan.stage import Stage
from orchestrator.plan.study import Row, Scale, plan_of
from orchestrator.results.rows import comparison_of, row_results
from orchestrator.stages import run_stage
from orchestrator.stages.work import likelihood_file
from orchestrator.store import Store, open_store
from t5core.config import ObjectiveConfig
from t5core.corpora import identify
from t5core.devices import open_device
from t5core.model import T5
from t5core.training import checkpoint
from t5core.training.kept import kept_folder
from t5core.vocabulary import EOS_ID, Vocabulary

NEW_TOKENS = 4
ENSEMBLES = ("apart", "tuned")


class Done:
    """A study with an ensemble of each kind, run once with two seeds."""

    def __init__(self, folder: Path) -> None:
        baseline = micro_study.experiment(micro_study.write_documents(folder / "text.jsonl"))
        kept = baseline.finetune.replace(keep_last=2, keep_every=3)
        baseline = baseline.replace(corpus=identify(baseline.corpus), finetune=kept)
        spans = {"objective": ObjectiveConfig()}
        apart = {**spans, "ensemble": EnsembleConfig(members=3)}
        tuned = {**spans, "ensemble": EnsembleConfig(members=3, kind="finetuned")}
        study = micro_study.study(
            Row(name="apart", label="Pre-trained and fine-tuned apart", changes=apart),
            Row(name="tuned", label="Fine-tuned apart", changes=tuned),
        ).select("spans,apart,tuned")
        self.plan: Plan = plan_of(study, Scale(name="micro", purpose="a test", baseline=baseline), 2)
        self.store: Store = open_store(folder / "store")
        self.outcomes = run_locally(self.plan, self.store)
        assert self.outcomes.ok

    def row(self, name: str, seed: int = 0) -> PlannedRow:
        return next(row for row in self.plan.rows if (row.name, row.seed) == (name, seed))

    def stage(self, name: str, role: str, seed: int = 0) -> Stage:
        return self.plan.stages[self.row(name, seed).stages[role]]

    def inputs(self, stage: Stage) -> dict[str, Path]:
        return {role: self.store.path(self.plan.stages[key]) for role, key in stage.inputs.items()}

    def result(self, name: str, role: str) -> Mapping[str, Any]:
        outcome = self.outcomes[self.stage(name, role).key]
        assert isinstance(outcome, Finished)
        return outcome.manifest.result


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    return Done(tmp_path_factory.mktemp("ensembles"))


def test_members_are_the_stages_of_the_rows_of_their_seeds(done: Done) -> None:
    spans, apart = done.row("spans").stages, done.row("apart").stages
    behind, next_apart = done.row("spans", 1).stages, done.row("apart", 1).stages
    assert [apart[role] for role in ("pretrain", "finetune")] == [spans["pretrain"], spans["finetune"]]
    assert apart["pretrain:member2"] == behind["pretrain"] == next_apart["pretrain"]
    assert apart["finetune:member2"] == behind["finetune"] == next_apart["finetune"]
    assert apart["finetune:member3"] == next_apart["finetune:member2"]
    tuned = done.row("tuned").stages
    assert "pretrain:member2" not in tuned and tuned["pretrain"] == spans["pretrain"]
    assert tuned["finetune"] == spans["finetune"]
    kinds = [stage.kind for stage in done.plan.stages.values()]
    # seeds 0 to 3; and three fine-tunings of each of two pre-trainings, of which one each is the baseline's
    assert (kinds.count("pretrain"), kinds.count("finetune")) == (4, 4 + 2 + 2)


def test_an_evaluation_reads_every_member(done: Done) -> None:
    for name in ENSEMBLES:
        stages = done.row(name).stages
        for role in ("evaluate", "likelihood"):
            inputs = done.plan.stages[stages[role]].inputs
            assert [inputs[r] for r in ("trained", "trained2", "trained3")] == [
                stages[r] for r in ("finetune", "finetune:member2", "finetune:member3")
            ]
    seeds = [done.stage("tuned", f"finetune{of}").config["train"]["seed"] for of in ("", ":member2", ":member3")]
    assert seeds == [0, 1, 2]


@torch.no_grad()
def averaged(models: list[T5], given: Tensor, labels: Tensor) -> Tensor:
    return torch.stack([model(given, labels=labels).logits[0] for model in models]).mean(0)


def greedily(models: list[T5], given: Tensor) -> list[int]:
    """Decodes without a cache: each token is the best by the mean of the members' logits."""
    found: list[int] = []
    while len(found) < NEW_TOKENS and EOS_ID not in found:
        found.append(int(averaged(models, given, torch.tensor([[*found, 0]]))[-1].argmax()))
    return found


def given_of(done: Done, stage: Stage, task: str) -> tuple[Vocabulary, list[dict[str, Any]], list[Tensor]]:
    """The vocabulary, and the first few examples of a task with what the model reads of each."""
    inputs = done.inputs(stage)
    vocabulary = Vocabulary.load(inputs["vocabulary"] / "vocabulary.model")
    text = (inputs["tasks"] / f"{task}.validation.jsonl").read_text(encoding="utf-8")
    pairs = [json.loads(line) for line in text.splitlines()][:5]
    return vocabulary, pairs, [torch.tensor([[*vocabulary.encode(p["inputs"])[:47], EOS_ID]]) for p in pairs]


@pytest.mark.parametrize("name", ENSEMBLES)
@pytest.mark.parametrize("step", [7, None])
def test_likelihoods_are_those_of_the_average_logits(done: Done, name: str, step: int | None) -> None:
    stage = done.stage(name, "likelihood")
    folders = [done.inputs(stage)[trained_role(member)] for member in range(3)]
    places = [folder / "final" if step is None else kept_folder(folder, step) for folder in folders]
    models = [checkpoint.load(place).model() for place in places]
    for task in micro_study.TASK_NAMES:
        vocabulary, pairs, given = given_of(done, stage, task)
        table = np.load(done.store.path(stage) / likelihood_file(task, step), allow_pickle=False)
        for row, one, pair in zip(table, given, pairs, strict=False):
            ids = [*vocabulary.encode(pair["targets"]), EOS_ID]
            log_TV = torch.log_softmax(averaged(models, one, torch.tensor([ids])), -1)
            assert row[0] == pytest.approx(-float(log_TV[range(len(ids)), ids].sum()), abs=1e-4)


def talkative(trained: Path, folder: Path, seed: int) -> Path:
    """A checkpoint like the trained one, with weights that answer each input with other pieces."""
    model = checkpoint.load(trained / "final").model().initialise(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.split(".")[-2] in ("o", "wo"):
                weight.mul_(4.0)  # otherwise the token before decides all, through the tied embedding
    checkpoint.save(folder / "final", 1, model.config, dict(model.state_dict()), {}, {})
    return folder


def test_answers_are_the_best_by_the_average_logits(done: Done, tmp_path: Path) -> None:
    stage = done.stage("apart", "evaluate")
    inputs = done.inputs(stage)
    for member in range(3):
        inputs[trained_role(member)] = talkative(inputs["trained"], tmp_path / str(member), member)
    models = [checkpoint.load(inputs[trained_role(member)] / "final").model() for member in range(3)]
    run_stage(stage, inputs, tmp_path / "work", open_device("cpu"), lambda _: None)
    found: list[str] = []
    together: list[str] = []
    alone: list[list[str]] = [[], [], []]
    for task in micro_study.TASK_NAMES:
        vocabulary, _, given = given_of(done, stage, task)
        lines = (tmp_path / "work" / f"{task}.predictions.jsonl").read_text(encoding="utf-8").splitlines()
        found += [json.loads(line)["prediction"] for line in lines][:5]
        together += [vocabulary.decode(greedily(models, one)) for one in given]
        for answers, model in zip(alone, models, strict=True):
            answers += [vocabulary.decode(greedily([model], one)) for one in given]
    assert found == together
    assert found not in alone and len(set(found)) > 3


@pytest.mark.parametrize("role", ["evaluate", "likelihood"])
def test_equal_members_are_the_single_model(done: Done, role: str, tmp_path: Path) -> None:
    single, stage = done.stage("spans", role), done.stage("apart", role)
    inputs = done.inputs(stage)
    equal = {**inputs, **{trained_role(member): inputs["trained"] for member in range(4)}}
    four = replace(stage, inputs={**stage.inputs, "trained4": stage.inputs["trained"]})
    result = run_stage(four, equal, tmp_path / "work", open_device("cpu"), lambda _: None)
    expected = done.result("spans", role)
    for path in sorted((tmp_path / "work").rglob("*.npy")):
        alone = done.store.path(single) / path.relative_to(tmp_path / "work")
        np.testing.assert_allclose(np.load(path), np.load(alone), atol=1e-5)
    if role == "evaluate":
        assert (result["scores"], result["invalid"]) == (expected["scores"], expected["invalid"])
        for path in (tmp_path / "work").glob("*.predictions.jsonl"):
            assert path.read_bytes() == (done.store.path(single) / path.name).read_bytes()
    else:
        assert result["bits_per_byte"] == pytest.approx(expected["bits_per_byte"], abs=1e-6)
        assert {*result["bits_per_byte_at"]["doc_qa"]} == {"7", "10"}


def test_rows_count_the_work_of_all_members_and_their_mean_held_out_loss(done: Done) -> None:
    results = {(r.name, r.seed): r for r in row_results(done.plan, done.outcomes, done.store)}
    losses = [done.result("apart", f"pretrain{of}")["validation_loss"] for of in ("", ":member2", ":member3")]
    assert results["apart", 0].held_out_loss == pytest.approx(sum(losses) / 3)
    assert results["tuned", 0].held_out_loss == results["spans", 0].held_out_loss == losses[0]
    trained = [f"{kind}{of}" for kind in ("pretrain", "finetune") for of in ("", ":member2", ":member3")]
    work = [done.stage("apart", role).key for role in (*trained, "evaluate", "likelihood")]
    found = [done.outcomes[key] for key in work]
    assert results["apart", 0].members == {done.stage("apart", role).key for role in trained[3:]}
    assert results["spans", 0].members == frozenset()
    seconds = [one.manifest.seconds for one in found if isinstance(one, Finished)]
    assert len(seconds) == 8 and results["apart", 0].seconds == pytest.approx(sum(seconds))
    table = comparison_of(done.plan, done.outcomes, done.store)
    assert all(row.status == "done" for row in table.rows) and len(table.rows) == 3
    assert [note for note in table.notes if "the runs of apart count as fewer than they are" in note]
