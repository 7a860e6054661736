"""Each task answered by its best checkpoint, as the paper chooses."""

import json
from dataclasses import replace
from pathlib import Path

import micro_study
import numpy as np
import pytest

from orchestrator.engine.inline import run_locally
from orchestrator.engine.outcomes import Finished
from orchestrator.plan.study import Row, Scale, Study, plan_of
from orchestrator.results.notes import chosen_checkpoints
from orchestrator.store import open_store
from t5core.corpora import identify
from t5core.errors import ConfigError
from t5core.tasks import get_task


def test_every_task_has_what_its_best_checkpoint_answers(tmp_path: Path) -> None:
    plain = micro_study.experiment(micro_study.write_documents(tmp_path / "text.jsonl"))
    kept = plain.finetune.replace(keep_last=3, keep_every=4)
    baseline = plain.replace(corpus=identify(plain.corpus), finetune=kept)
    rows = tuple(Row(name=which, label=which, changes={"checkpoint": which}) for which in ("last", "best"))
    study = Study(name="checkpoints", title="Checkpoints", rows=rows, baseline="last")
    plan = plan_of(study, Scale(name="micro", purpose="a test", baseline=baseline))
    last, best = plan.rows
    assert last.stages["finetune"] == best.stages["finetune"] and last.stages["evaluate"] != best.stages["evaluate"]
    store = open_store(tmp_path / "store")
    outcomes = run_locally(plan, store)
    assert outcomes.ok
    of_last, of_best = (outcomes[row.stages["evaluate"]] for row in plan.rows)
    assert isinstance(of_last, Finished) and isinstance(of_best, Finished)
    assert "chosen" not in of_last.manifest.result
    result = of_best.manifest.result
    folders = [store.path(plan.stages[row.stages["evaluate"]]) for row in plan.rows]
    for name in micro_study.TASK_NAMES:
        at = result["main_scores_at"][name]
        assert sorted(map(int, at)) == [2, 6, 10]
        task = get_task(name)
        assert at["10"] == task.main_score(of_last.manifest.result["scores"][name])
        assert task.main_score(result["scores"][name]) == max(at.values())
        assert result["chosen"][name] == max(int(step) for step in at if at[step] == max(at.values()))
        if result["chosen"][name] == 10:
            files = [folder / f"{name}.predictions.jsonl" for folder in folders]
            assert files[0].read_bytes() == files[1].read_bytes()
        lines = (folders[1] / f"{name}.predictions.jsonl").read_text(encoding="utf-8").splitlines()
        found = [json.loads(line) for line in lines]
        scores = task.score([f["target"] for f in found], [f["prediction"] for f in found], None)
        assert scores == pytest.approx(result["scores"][name])
        per_example_Nk = np.load(folders[1] / f"{name}.scores.npy", allow_pickle=False)
        assert len(per_example_Nk) == len(found)
    (note,) = chosen_checkpoints(plan, outcomes)
    assert note.startswith("scores of best are of each task's best of 3 checkpoints, chosen by the examples")
    assert note.endswith("which flatters them against the rows that had no choice")
    (alone,) = chosen_checkpoints(replace(plan, rows=plan.rows[1:]), outcomes)
    assert alone.startswith("scores are of each task's best of 3") and "flatters" not in alone


def test_the_best_of_one_checkpoint_is_refused(tmp_path: Path) -> None:
    baseline = micro_study.experiment(tmp_path / "text.jsonl")
    with pytest.raises(ConfigError, match="checkpoint='best': there is one checkpoint"):
        baseline.replace(checkpoint="best")
