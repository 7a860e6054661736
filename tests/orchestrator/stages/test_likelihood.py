"""The stage that measures likelihoods, on a study of one layer: its files, its result, and what rows make of it."""

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import micro_study
import numpy as np
import pytest
import torch

from orchestrator.engine.inline import run_locally
from orchestrator.engine.outcomes import Finished
from orchestrator.plan.plan import Plan
from orchestrator.plan.stage import Stage
from orchestrator.plan.study import Row, Scale, Study, plan_of
from orchestrator.results.notes import cut_answers
from orchestrator.results.rows import row_results
from orchestrator.stages import run_stage
from orchestrator.store import open_store
from studies import architectures
from t5core.corpora import identify
from t5core.devices import open_device
from t5core.feeds import marker_ids
from t5core.tasks import get_task
from t5core.training import checkpoint
from t5core.vocabulary import EOS_ID, Vocabulary

LABELS = ("unacceptable", "acceptable")


class Done:
    """A study, run once."""

    def __init__(self, folder: Path, study: Study) -> None:
        baseline = micro_study.experiment(micro_study.write_documents(folder / "text.jsonl"))
        baseline = baseline.replace(corpus=identify(baseline.corpus))
        self.plan = plan_of(study, Scale(name="micro", purpose="a test", baseline=baseline))
        self.store = open_store(folder / "store")
        self.outcomes = run_locally(self.plan, self.store)
        assert self.outcomes.ok

    def stage(self, row: int, role: str) -> Stage:
        return self.plan.stages[self.plan.rows[row].stages[role]]

    def folder(self, row: int, role: str) -> Path:
        return self.store.path(self.stage(row, role))

    def result(self, row: int, role: str = "likelihood") -> Mapping[str, Any]:
        outcome = self.outcomes[self.stage(row, role).key]
        assert isinstance(outcome, Finished)
        return outcome.manifest.result

    def table(self, row: int, task: str) -> np.ndarray:
        return np.load(self.folder(row, "likelihood") / f"{task}.likelihood.npy", allow_pickle=False)

    def pairs(self, row: int, task: str) -> list[dict[str, Any]]:
        text = (self.folder(row, "tasks") / f"{task}.validation.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    lm = architectures.study().select("lm").rows[-1]
    language_model = Row(name="lm", label="LM", changes=lm.changes)
    study = micro_study.study(language_model)
    return Done(tmp_path_factory.mktemp("likelihood"), study)


def nats(done: Done, row: int, inputs: str, target: str) -> float:
    """What one target costs, by the plain forward pass in float32 and a log-softmax."""
    model = checkpoint.load(done.folder(row, "finetune") / "final").model()
    vocabulary = Vocabulary.load(done.folder(row, "vocabulary") / "vocabulary.model")
    ids = [*vocabulary.encode(target), EOS_ID]
    given = vocabulary.encode(inputs)[:47]  # of 48 columns
    given += list(marker_ids(vocabulary)) if model.config.decoder_only else [EOS_ID]
    with torch.no_grad():
        logits_TV = model(torch.tensor([given]), labels=torch.tensor([ids])).logits[0]
    return -float(torch.log_softmax(logits_TV, -1)[range(len(ids)), ids].sum())


@pytest.mark.parametrize("row", [0, 1, 2], ids=["spans", "none", "lm"])
def test_every_example_has_its_nats_bytes_and_where_there_are_labels_what_tells_them_apart(
    done: Done, row: int
) -> None:
    for task in micro_study.TASK_NAMES:
        pairs, table_Nk = done.pairs(row, task), done.table(row, task)
        labelled = task == "doc_acceptability"
        assert (table_Nk.shape, table_Nk.dtype) == ((20, 4 if labelled else 2), np.float64)
        assert table_Nk[:, 1].tolist() == [len(pair["targets"].encode()) for pair in pairs]
        for pair, found in list(zip(pairs, table_Nk, strict=True))[:4]:
            assert found[0] == pytest.approx(nats(done, row, pair["inputs"], pair["targets"]), abs=1e-4)
            if labelled:
                right, wrong = (-nats(done, row, pair["inputs"], label) for label in _first(pair["targets"]))
                expected = [math.log1p(math.exp(wrong - right)), right - wrong]
                assert found[2:] == pytest.approx(expected, abs=1e-4)


def _first(right: str) -> tuple[str, ...]:
    return right, *(label for label in LABELS if label != right)


def test_the_result_sums_the_examples_up(done: Done) -> None:
    result = done.result(0)
    tables = {task: done.table(0, task) for task in micro_study.TASK_NAMES}
    assert result["bits_per_byte"] == {
        task: pytest.approx(t[:, 0].sum() / t[:, 1].sum() / math.log(2)) for task, t in tables.items()
    }
    assert result["examples"] == dict.fromkeys(micro_study.TASK_NAMES, 20)
    assert result["truncated"] == dict.fromkeys(micro_study.TASK_NAMES, 0)
    right = 100 * (tables["doc_acceptability"][:, 3] > 0).mean()
    assert result["label_accuracy"] == {"doc_acceptability": right}
    assert result["decisions"][0]["value"] == "cpu" and result["seconds"] > 0
    assert result["label_nats"] == {"doc_acceptability": pytest.approx(tables["doc_acceptability"][:, 2].mean())}
    second_N = np.array([pair["targets"] == LABELS[1] for pair in done.pairs(0, "doc_acceptability")])
    odds_N = np.where(second_N, 1, -1) * tables["doc_acceptability"][:, 3]
    above = odds_N[second_N][:, None] - odds_N[~second_N][None, :]
    assert result["label_auc"] == {"doc_acceptability": pytest.approx(100 * ((above > 0) + 0.5 * (above == 0)).mean())}
    figures = {"bits_per_byte", "label_accuracy", "label_nats", "label_auc"}
    assert set(result) == figures | {"examples", "truncated", "seconds", "decisions"}


def test_rows_carry_them_and_plans_of_before_have_none(done: Done) -> None:
    results = row_results(done.plan, done.outcomes, done.store)
    for row, result in enumerate(results):
        assert result.likelihoods is not None and set(result.likelihoods) == set(micro_study.TASK_NAMES)
        for task, table_Nk in result.likelihoods.items():
            assert np.array_equal(table_Nk, done.table(row, task))
            assert result.example_scores is not None and len(result.example_scores[task]) == len(table_Nk)
        assert result.label_auc == done.result(row)["label_auc"]
    key = done.plan.rows[0].stages["likelihood"]
    told = done.outcomes[key]
    assert isinstance(told, Finished)
    of_before = {name: value for name, value in told.manifest.result.items() if name != "label_auc"}
    untold = replace(told, manifest=replace(told.manifest, result=of_before))
    anew = row_results(done.plan, replace(done.outcomes, by_key={**done.outcomes.by_key, key: untold}), done.store)
    assert anew[0].label_auc == results[0].label_auc != {}, "measured before it was told"
    old = replace(
        done.plan,
        rows=tuple(
            replace(row, stages={role: key for role, key in row.stages.items() if role != "likelihood"})
            for row in done.plan.rows
        ),
    )
    before = row_results(Plan.from_json(old.to_json()), done.outcomes, done.store)
    assert [(row.status, row.likelihoods, row.scores) for row in before] == [("done", None, r.scores) for r in results]


def test_answers_above_the_limit_are_counted_and_told_under_the_table(done: Done, tmp_path: Path) -> None:
    stage = done.stage(0, "likelihood")
    short = replace(stage, settings={**stage.settings, "likelihood": {"max_target_tokens": 3, "batch_size": 7}})
    inputs = {role: done.store.path(done.plan.stages[key]) for role, key in stage.inputs.items()}
    result = run_stage(short, inputs, tmp_path / "work", open_device("cpu"), lambda _: None)
    vocabulary = Vocabulary.load(done.folder(0, "vocabulary") / "vocabulary.model")
    long = {
        task: sum(len(vocabulary.encode(pair["targets"])) + 1 > 3 for pair in done.pairs(0, task))
        for task in micro_study.TASK_NAMES
    }
    assert result["truncated"] == long and 0 < long["doc_qa"] <= 20
    outcome = done.outcomes[stage.key]
    assert isinstance(outcome, Finished)
    cut = replace(outcome, manifest=replace(outcome.manifest, result=result))
    told = cut_answers(replace(done.plan, stages={stage.key: short}), replace(done.outcomes, by_key={stage.key: cut}))
    assert len(told) == 1 and f"doc_qa {long['doc_qa']} of 20 (above 3 tokens)" in told[0]
    assert cut_answers(done.plan, done.outcomes) == ()


def test_tasks_without_a_known_answer_have_no_bits(done: Done, tmp_path: Path) -> None:
    stage = done.stage(0, "likelihood")
    inputs = {role: done.store.path(done.plan.stages[key]) for role, key in stage.inputs.items()}
    folder = tmp_path / "tasks"
    folder.mkdir()
    rows = [{"inputs": "wsc: *it* gathers", "targets": "ribbon", "context": {"label": 0, "targets": "ribbon"}}] * 2
    (folder / "super_glue_wsc.validation.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    names = ["super_glue_wsc", "super_glue_wsc_train"]
    this = replace(stage, settings={**stage.settings, "tasks": {**stage.settings["tasks"], "names": names}})
    result = run_stage(this, {**inputs, "tasks": folder}, tmp_path / "work", open_device("cpu"), lambda _: None)
    assert (result["bits_per_byte"], result["examples"]) == ({"super_glue_wsc": None}, {"super_glue_wsc": 0})
    assert get_task("super_glue_wsc").use == "validation"
    assert np.load(tmp_path / "work" / "super_glue_wsc.likelihood.npy").shape == (0, 2)
