"""How far the baseline's runs lie apart: by column, with how little few runs say of it."""

import numpy as np
import pytest

from orchestrator.results.compare import RowResult, TaskColumn, compare, to_dict
from orchestrator.results.deviation import baseline_deviations
from orchestrator.results.table import footer

TASKS = (
    TaskColumn(task="cola", paper_column="GLUE"),
    TaskColumn(task="sst2", paper_column="GLUE"),
    TaskColumn(task="own"),
)


def run(name: str, seed: int, cola: float, sst2: float, own: float, *, status: str = "done") -> RowResult:
    scores = {"cola": cola, "sst2": sst2, "own": own} if status == "done" else {}
    return RowResult(name=name, label=name, seed=seed, scores=scores, status=status)  # type: ignore[arg-type]


RUNS = [run("base", 0, 10.0, 30.0, 50.0), run("base", 1, 12.0, 30.0, 50.0), run("base", 2, 10.0, 32.0, 56.0)]


def test_a_column_of_several_tasks_deviates_as_their_mean_does() -> None:
    found = baseline_deviations(RUNS, TASKS)
    assert list(found) == ["GLUE", "own", "average"]
    # means 20, 21, 21; 50, 50, 56; 30, 92/3, 98/3
    assert found["GLUE"].sd == pytest.approx(np.std([20, 21, 21], ddof=1))
    assert found["own"].sd == pytest.approx(np.std([50, 50, 56], ddof=1))
    assert found["average"].sd == pytest.approx(np.std([90, 92, 98], ddof=1) / 3)
    assert found["own"].runs == 3


@pytest.mark.parametrize(("runs", "low", "high"), [(3, 0.5207, 6.2847), (10, 0.6878, 1.8256)])
def test_few_runs_say_little_of_how_far_others_would_lie_apart(runs: int, low: float, high: float) -> None:
    results = [run("base", seed, float(seed), 0.0, 0.0) for seed in range(runs)]
    d = baseline_deviations(results, TASKS[:1])["GLUE"]
    assert (d.low / d.sd, d.high / d.sd) == pytest.approx((low, high), abs=1e-4)


def test_two_runs_or_ones_that_lack_a_score_say_nothing() -> None:
    assert baseline_deviations(RUNS[:2], TASKS) == {}
    failed = run("base", 3, 0, 0, 0, status="failed")
    assert baseline_deviations([*RUNS, failed], TASKS) == baseline_deviations(RUNS, TASKS)
    lacking = RowResult(name="base", label="", seed=3, scores={"own": 50.0})
    assert list(baseline_deviations([*RUNS, lacking], TASKS)) == ["own"]


def test_the_deviation_stands_under_the_table_beside_the_papers_and_in_its_json() -> None:
    results = [*RUNS, run("other", 0, 11.0, 31.0, 52.0)]
    c = compare(results, TASKS, baseline="base", paper_sd={"GLUE": 0.235})
    told = (
        "one standard deviation between the 3 runs of the baseline, and its 95 % interval: "
        "GLUE 0.58 (0.30 to 3.63), own 3.46 (1.80 to 21.77), average 1.39 (0.72 to 8.72)"
    )
    assert told in footer(c)
    written = to_dict(c)["baseline_deviations"]
    assert written["GLUE"] == {"sd": 0.5774, "interval": [0.3006, 3.6285], "runs": 3}
    assert to_dict(compare(results[1:], TASKS, baseline="base"))["baseline_deviations"] == {}
