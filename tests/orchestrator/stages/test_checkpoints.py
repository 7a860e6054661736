"""Likelihoods at several checkpoints: their files, the mean that a row's bits are, and how far they lie apart."""

from pathlib import Path

import micro_study
import numpy as np
import pytest

from orchestrator.engine.inline import run_locally
from orchestrator.engine.outcomes import Finished
from orchestrator.plan.plan import Plan
from orchestrator.plan.study import Scale, plan_of
from orchestrator.results.compare import compare
from orchestrator.results.rows import columns_of, row_results
from orchestrator.stages import run_stage
from orchestrator.store import open_store
from t5core.corpora import identify
from t5core.devices import open_device
from t5core.errors import CheckpointError

TASKS = micro_study.TASK_NAMES
STEPS = ("step-00000004", "step-00000007")
"""Besides the end at 10."""


class Done:
    """The micro study's rows, judged at their last three checkpoints."""

    def __init__(self, folder: Path) -> None:
        baseline = micro_study.experiment(micro_study.write_documents(folder / "text.jsonl"))
        baseline = baseline.replace(
            corpus=identify(baseline.corpus), finetune=baseline.finetune.replace(keep_last=3, keep_every=3)
        )
        self.plan = plan_of(
            micro_study.study().select("none"), Scale(name="micro", purpose="a test", baseline=baseline)
        )
        self.store = open_store(folder / "store")
        self.outcomes = run_locally(self.plan, self.store)
        assert self.outcomes.ok

    def folder(self, row: int, role: str) -> Path:
        return self.store.path(self.plan.stages[self.plan.rows[row].stages[role]])

    def tables(self, row: int, task: str) -> list[np.ndarray]:
        """Of the three checkpoints, the end last."""
        folder = self.folder(row, "likelihood")
        return [np.load(place / f"{task}.likelihood.npy") for place in (*(folder / step for step in STEPS), folder)]


def bits(table_Nk: np.ndarray) -> float:
    return float(table_Nk[:, 0].sum() / table_Nk[:, 1].sum() / np.log(2))


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    return Done(tmp_path_factory.mktemp("checkpoints"))


def test_the_result_has_the_bits_of_each_their_mean_and_their_deviation(done: Done) -> None:
    outcome = done.outcomes[done.plan.rows[0].stages["likelihood"]]
    assert isinstance(outcome, Finished)
    result = outcome.manifest.result
    for task in TASKS:
        of_each = [bits(table_Nk) for table_Nk in done.tables(0, task)]
        assert len({round(b, 9) for b in of_each}) == 3, "weights differ, so do their bits"
        assert result["bits_per_byte_at"][task] == {
            step: pytest.approx(b) for step, b in zip(("4", "7", "10"), of_each, strict=True)
        }
        assert result["bits_per_byte"][task] == pytest.approx(np.mean(of_each))
        assert result["bits_per_byte_sd"][task] == pytest.approx(np.std(of_each, ddof=1))
    figures = {"label_accuracy", "label_nats", "label_auc", "examples", "truncated", "seconds", "decisions"}
    assert set(result) == figures | {"bits_per_byte", "bits_per_byte_at", "bits_per_byte_sd"}
    end_Nk = done.tables(0, "doc_acceptability")[-1]
    assert result["label_nats"] == {"doc_acceptability": pytest.approx(end_Nk[:, 2].mean())}, "of the end alone"


def test_each_is_measured_with_its_own_weights(done: Done, tmp_path: Path) -> None:
    """As the stage without checkpoints measures them where they lie as a run's end."""
    stage = done.plan.stages[done.plan.rows[0].stages["likelihood"]]
    inputs = {role: done.store.path(done.plan.stages[key]) for role, key in stage.inputs.items()}
    trained = tmp_path / "trained"
    trained.mkdir()
    (trained / "final").symlink_to(done.folder(0, "finetune") / "kept" / STEPS[1])
    settings = {**stage.settings, "likelihood": {"max_target_tokens": 1024, "batch_size": 20}}
    alone = type(stage)(kind=stage.kind, name="alone", config={}, settings=settings, inputs=stage.inputs)
    result = run_stage(alone, {**inputs, "trained": trained}, tmp_path / "work", open_device("cpu"), lambda _: None)
    for task in TASKS:
        assert np.array_equal(np.load(tmp_path / "work" / f"{task}.likelihood.npy"), done.tables(0, task)[1])
    assert "bits_per_byte_at" not in result


def test_a_row_has_the_mean_over_its_checkpoints(done: Done) -> None:
    results = row_results(done.plan, done.outcomes, done.store)
    assert [list(r.checkpoints.likelihoods) for r in results if r.checkpoints] == [[4, 7, 10]] * 2
    assert all(r.checkpoints is not None and r.checkpoints.steady for r in results)
    table = compare(results, columns_of(done.plan, done.outcomes), baseline="spans")
    for row in table.rows:
        at = [r.name for r in results].index(row.name)
        for task in TASKS:
            found = row.cells[task].bits
            assert found is not None
            assert found.value == pytest.approx(np.mean([bits(t_Nk) for t_Nk in done.tables(at, task)]))


def test_plans_of_before_have_the_end_alone(done: Done) -> None:
    key = done.plan.rows[0].stages["likelihood"]
    values = done.plan.stages[key].to_dict()
    del values["settings"]["likelihood"]["also_at"]
    stages = {**done.plan.stages, key: type(done.plan.stages[key]).from_dict(values)}
    old = Plan(scale=done.plan.scale, studies=done.plan.studies, rows=done.plan.rows, stages=stages)
    assert [r.checkpoints is None for r in row_results(old, done.outcomes, done.store)] == [True, False]


def test_weights_that_are_not_there_are_named(done: Done, tmp_path: Path) -> None:
    stage = done.plan.stages[done.plan.rows[0].stages["likelihood"]]
    inputs = {role: done.store.path(done.plan.stages[key]) for role, key in stage.inputs.items()}
    settings = {**stage.settings, "likelihood": {"also_at": [5]}}
    other = type(stage)(kind=stage.kind, name="other", config={}, settings=settings, inputs=stage.inputs)
    with pytest.raises(CheckpointError, match=r"kept/step-00000005"):
        run_stage(other, inputs, tmp_path / "work", open_device("cpu"), lambda _: None)
