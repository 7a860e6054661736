"""``--init`` from a command line to scores: checkpoints of others and of our own, and what cannot be started from."""

import json
from collections.abc import Mapping
from pathlib import Path

import micro_study
import published
import pytest
import torch
from micro_place import RUN_PLAN, Place, only_what_is_there

from orchestrator.commands.init import from_checkpoint
from orchestrator.commands.study import main
from orchestrator.engine.inline import run_locally
from orchestrator.engine.outcomes import Failed
from orchestrator.plan.init import init_stages
from orchestrator.plan.plan import Plan, PlannedRow
from orchestrator.plan.stage import Stage
from orchestrator.plan.study import AS_IT_IS, Row, plan_of
from orchestrator.results.rows import rejected_input
from orchestrator.store import Store, open_store
from orchestrator.tracking.datasets import dataset_inputs
from studies import architectures, mixing, objectives
from studies.scales import SCALES
from t5core.config import MixtureConfig, ObjectiveConfig, ScheduleConfig
from t5core.corpora import identify
from t5core.interchange import from_hf
from t5core.start import identify_start
from t5core.training import checkpoint

Weights = Mapping[str, torch.Tensor]
SPANS = {"objective": ObjectiveConfig()}
MULTITASK = Row(
    name="multitask",
    label="Multi-task training",
    changes={**SPANS, "multitask": MixtureConfig(kind="equal", unsupervised=1e9), "parts": 2},
)
ADAPTERS = Row(
    name="adapters",
    label="Adapters",
    changes=lambda e: {
        **SPANS,
        "model": e.model.replace(adapter_size=8),
        "finetune": e.finetune.replace(trainable="adapters_and_norms"),
    },
)


class Ran:
    """The micro study from a checkpoint, run to its end in a store: its stages by row and role, and their weights."""

    def __init__(self, folder: Path, given: Path, *rows: Row, further: bool = False, only: str = "*") -> None:
        scale = micro_study.scale(micro_study.write_documents(folder / "text.jsonl"))
        baseline = scale.baseline.replace(corpus=identify(scale.baseline.corpus))
        baseline = from_checkpoint(baseline, str(given), further=further)
        study = micro_study.study(*rows).select(only)
        if further:
            study = study.with_checkpoint_as_it_is()
        self.plan: Plan = plan_of(study, micro_study.Scale(name="micro", purpose="", baseline=baseline))
        self.store: Store = open_store(folder / "store")
        self.outcomes = run_locally(self.plan, self.store)
        self.rows = {
            row.name: {role: self.plan.stages[key] for role, key in row.stages.items()} for row in self.plan.rows
        }

    def weights(self, stage: Stage) -> Weights:
        return checkpoint.load(self.store.path(stage) / "final").model().state_dict()


def moved(before: Weights, after: Weights) -> float:
    """How far the weights of a model moved that learnt from there: at most this share of any tensor's norm."""
    return max(float((after[name] - before[name]).norm() / before[name].norm()) for name in before)


@pytest.fixture(scope="module")
def hf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return published.hf_folder(tmp_path_factory.mktemp("published") / "flan")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, hf: Path) -> Ran:
    return Ran(tmp_path_factory.mktemp("in-place"), hf, MULTITASK, ADAPTERS)


def test_all_rows_come_to_scores_with_the_checkpoints_vocabulary(ran: Ran) -> None:
    assert ran.outcomes.ok
    for roles in ran.rows.values():
        manifest = ran.store.finished(roles["vocabulary"])
        assert manifest and manifest.result == {"num_pieces": 400, "num_sentinels": 32, "size": 432}
        scores = ran.store.finished(roles["evaluate"])
        assert scores and set(scores.result["scores"]) == set(micro_study.TASK_NAMES)


def test_the_checkpoint_is_taken_as_it_is_and_says_where_it_came_from(ran: Ran, hf: Path) -> None:
    stage = ran.rows["spans"]["init"]
    expected = from_hf(hf).state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in ran.weights(stage).items())
    manifest = ran.store.verify(stage)
    assert {"final/vocabulary.model", "final/vocabulary.json", "final/state.json"} < set(manifest.files)
    content = identify_start(str(hf)).content
    assert manifest.result == {"source": str(hf), "content": content, "parameters": 72_256, "total_step": 0}
    assert manifest.config["init"]["content"] == content and str(hf) not in json.dumps(manifest.config)


def test_what_is_trained_from_it_stays_near_it_and_what_is_not_begins_at_random(ran: Ran) -> None:
    start = ran.weights(ran.rows["spans"]["init"])
    assert 0 < moved(start, ran.weights(ran.rows["spans"]["finetune"])) < 0.1
    assert 0 < moved(start, ran.weights(ran.rows["multitask"]["multitask2"])) < 0.1
    assert moved(start, ran.weights(ran.rows["none"]["finetune"])) > 0.9


def test_adapters_are_trained_on_top_of_it(ran: Ran) -> None:
    start, after = (ran.weights(ran.rows["adapters"][role]) for role in ("init", "finetune"))
    changed = {name for name, tensor in after.items() if name not in start or not torch.equal(tensor, start[name])}
    assert changed and all("adapter" in name or "norm" in name for name in changed)


def test_further_pre_training_and_multi_task_training_go_on_from_it(
    tmp_path_factory: pytest.TempPathFactory, hf: Path
) -> None:
    further = Ran(tmp_path_factory.mktemp("further"), hf, MULTITASK, further=True, only="multitask")
    assert further.outcomes.ok and list(further.rows) == ["spans", "multitask", AS_IT_IS]
    start = further.weights(further.rows["spans"]["init"])
    assert 0 < moved(start, further.weights(further.rows["spans"]["pretrain"])) < 0.1
    assert 0 < moved(start, further.weights(further.rows["multitask"]["multitask2"])) < 0.1
    state = checkpoint.load(further.store.path(further.rows["spans"]["finetune"]) / "final").state
    assert state["total_step"] == 20 + 10
    assert further.rows["multitask"]["multitask2"].settings["train"]["steps"] == 15
    assert 0 < moved(start, further.weights(further.rows[AS_IT_IS]["finetune"])) < 0.1


def test_from_a_pre_training_of_our_own_fine_tuning_is_the_one_behind_it_to_the_bit(tmp_path: Path) -> None:
    corpus = micro_study.write_documents(tmp_path / "text.jsonl")
    scale = micro_study.scale(corpus)
    baseline = scale.baseline.replace(corpus=identify(scale.baseline.corpus))
    whole = plan_of(micro_study.study().select("spans"), micro_study.Scale(name="m", purpose="", baseline=baseline))
    store = open_store(tmp_path / "whole")
    assert run_locally(whole, store).ok
    roles = {role: whole.stages[key] for role, key in whole.rows[0].stages.items()}
    (tmp_path / "own").mkdir()
    own = Ran(tmp_path / "own", store.path(roles["pretrain"]), only="spans")
    stage = own.rows["spans"]["finetune"]
    assert "pretrain" not in own.rows["spans"] and stage.key != roles["finetune"].key
    expected = checkpoint.load(store.path(roles["finetune"]) / "final")
    found = checkpoint.load(own.store.path(stage) / "final")
    assert found.state["sha256"] == expected.state["sha256"]
    assert found.state["total_step"] == expected.state["total_step"] == 30
    names = (own.rows["spans"]["evaluate"], roles["evaluate"])
    scores = [m.result["scores"] for s, n in zip((own.store, store), names, strict=True) if (m := s.finished(n))]
    assert scores[0] == scores[1]


def test_a_checkpoint_that_changed_since_the_plan_is_refused_input(tmp_path: Path) -> None:
    given = published.hf_folder(tmp_path / "given")
    init = identify_start(str(given))
    plan = Plan.of("trial", "micro", [(PlannedRow(name="spans"), init_stages(init))])
    published.hf_folder(given, seed=6)
    outcomes = run_locally(plan, open_store(tmp_path / "store"))
    assert rejected_input(outcomes) == (
        f"init='{given}': it changed since the plan was made (or differs on this node); run again"
    )
    failed = {plan.stages[key].kind for key, outcome in outcomes.items() if isinstance(outcome, Failed)}
    assert failed == {"init"}, "the vocabulary is the same"


def test_a_rows_data_name_the_checkpoint_by_its_digest_and_not_by_its_path(ran: Ran, hf: Path) -> None:
    stage = ran.rows["spans"]["init"]
    manifest = ran.store.finished(stage)
    assert manifest is not None
    (given,) = dataset_inputs(stage, manifest)
    content = identify_start(str(hf)).content
    assert (given.dataset.name, given.dataset.digest) == ("init", content[:36])
    assert given.dataset.source == '{"checkpoint": "flan"}' and given.tags[0].value == "init"


def test_the_scales_schedules_suit_what_they_trained_and_no_published_model(hf: Path, tmp_path: Path) -> None:
    baseline = SCALES["tiny"].baseline
    found = from_checkpoint(baseline, str(hf), further=True)
    constant = ScheduleConfig(kind="constant", learning_rate=0.001)
    assert found.finetune.schedule == found.pretrain.schedule == constant
    own = from_checkpoint(baseline, str(published.own_folder(tmp_path / "own", total_step=9)), further=False)
    assert (own.pretrain, own.finetune) == (baseline.pretrain, baseline.finetune)


def test_a_study_runs_from_its_command_line(
    tmp_path: Path, hf: Path, ran: Ran, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RUN_PLAN, only_what_is_there)  # the store has it from the same rows and the same text
    place = Place(tmp_path)
    store = ["--store", ran.store.uri]
    assert place.run("--init", str(hf), *store) == 0
    said = " ".join(capsys.readouterr().out.split())
    content = identify_start(str(hf)).content[:12]
    assert (
        f"init {hf} (72,256 parameters, 400 pieces, {content}), in place of pre-training; "
        "no moments, so trained at a constant 0.001"
    ) in said
    assert place.run("--init", str(hf), "--finished-only", "--json", *store) == 0
    assert {row["name"] for row in json.loads(capsys.readouterr().out)["rows"]} == {"spans", "none"}
    assert place.run("--init", str(hf), "--further", "--plan", "--json", *store) == 0
    plan = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in plan["rows"]] == ["spans", "none", AS_IT_IS]
    assert f"checkpoint {hf} (sha256 {content})" in plan["data"]
    again = {stage["kind"]: stage["finished"] for stage in plan["stages"]}
    assert again["init"] and again["vocabulary"] and not again["pretrain"]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--init", "{tmp}/absent"], "init='{tmp}/absent': no such folder; from the hub: hf:NAME"),
        (["--init", "{tmp}"], "init='{tmp}': no state.json, no final/state.json and no config.json is there: give"),
        (["--init", "{hf}", "--pretrain-steps", "9"], "pretrain_steps=9: does not go with --init: it takes the place"),
        (["--init", "{hf}", "--vocabulary-pieces", "500"], "vocabulary_pieces=500: does not go with --init: it has"),
        (["--init", "{hf}", "--further", "--vocabulary-mix", "1:x"], "vocabulary_mix=('1:x',): does not go with --in"),
        (["--further"], "further=True: there is no checkpoint to pre-train further from: give --init"),
    ],
)
def test_flags_that_cannot_be_are_one_line_before_anything_starts(
    argv: list[str], message: str, hf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = Place(tmp_path)
    assert place.run(*(arg.format(tmp=tmp_path, hf=hf) for arg in argv)) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {message.format(tmp=tmp_path, hf=hf)}") and said.count("\n") == 1
    assert not (tmp_path / "store").exists()


def test_which_studies_take_a_checkpoint(hf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def said(study: object, *argv: str) -> tuple[int, str, str]:
        common = ["--scale", "tiny", "--tasks", "doc_qa", "--plan", "--store", str(tmp_path / "store")]
        given = micro_study.write_documents(tmp_path / "text.jsonl")
        common += ["--corpus", str(given), "--init", str(hf), "--accelerator", "cpu"]
        code = main(study, SCALES, [*common, *argv])  # type: ignore[arg-type]
        return (code, *capsys.readouterr())

    assert said(mixing.study())[0] == said(mixing.study(), "--further")[0] == 0
    code, _, refused = said(objectives.study())
    assert code == 2 and "replace-spans seed 0 and prefix-lm seed 0 are one run: they differ in pre-tr" in refused
    assert said(objectives.study(), "--further")[0] == said(objectives.study(), "--rows", "no-pretraining")[0] == 0
    code, _, refused = said(architectures.study(), "--further")
    assert code == 2 and f"num_encoder_layers=2: the checkpoint {hf} has 1, and no other size" in refused
