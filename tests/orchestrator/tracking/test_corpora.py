"""Rows with corpora of their own, at the micro scale: real stages, one vocabulary, nothing held out is trained on."""

import json
from pathlib import Path

import micro_study

from orchestrator.engine.inline import run_locally
from orchestrator.engine.outcomes import Finished
from orchestrator.plan.study import Scale, plan_of
from orchestrator.store import open_store
from studies.corpora import study
from t5core.corpora import identify


def test_two_corpora_are_trained_on_with_one_vocabulary_and_judged_by_what_neither_holds(tmp_path: Path) -> None:
    baseline = micro_study.experiment(micro_study.write_documents(tmp_path / "text.jsonl"))
    baseline = baseline.replace(corpus=identify(baseline.corpus))
    chosen = study(language="none").select("unfiltered")
    plan = plan_of(chosen, Scale(name="micro", purpose="a test", baseline=baseline))
    store = open_store(tmp_path / "store")
    outcomes = run_locally(plan, store)
    assert outcomes.ok
    assert all(isinstance(outcomes[key], Finished) for key in plan.stages)
    corpora = [stage for stage in plan.stages.values() if stage.kind == "corpus"]
    assert len(corpora) == 3
    texts = {stage.name: (store.path(stage) / "train.jsonl").read_text(encoding="utf-8") for stage in corpora}
    assert len(set(texts.values())) == 3 and len(texts["files-c4"]) < len(texts["files-unfiltered"])
    held_out = {(store.path(stage) / "validation.jsonl").read_bytes() for stage in corpora}
    assert len(held_out) == 1
    lines = [line for d in held_out.pop().decode().splitlines() for line in json.loads(d)["text"].split("\n")]
    compared = [line for line in lines if len(line) >= 40 and " : " not in line]
    assert len(compared) > 20
    for text in texts.values():
        assert not [line for line in compared if line in text]
    for row in plan.rows:
        outcome = outcomes[row.stages["corpus"]]
        assert isinstance(outcome, Finished) and outcome.manifest.result["train_chars"] > 0
