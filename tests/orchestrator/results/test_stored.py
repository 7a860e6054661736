"""A report made anew from its store says what it said; what is missing there is told."""

import shutil
from dataclasses import replace

import pytest
from stored_study import store_study

from orchestrator.engine.outcomes import Failed, Finished, Skipped
from orchestrator.plan.plan import Plan, PlannedRow
from orchestrator.plan.stage import Stage
from orchestrator.results.compare import to_dict
from orchestrator.results.stored import stored_comparison, stored_outcomes
from orchestrator.store import open_store
from orchestrator.store.failures import write_failure
from orchestrator.store.reports import find_report, read_report
from t5core.errors import ConfigError

LEVELS = {"base": 0.5, "better": 1.0, "worse": 0.1}


def test_a_report_made_anew_is_the_report_but_for_times(tmp_path):
    store = open_store(tmp_path)
    plan = store_study(store, "tiny", LEVELS, looks=4, failed=("worse",))
    report = read_report(store, "trial", "tiny")
    found = stored_comparison(store, report)
    assert (found.report, found.plan) == (plan.name, plan)
    assert found.comparison.level == report.comparison["level"] == 0.0125
    anew = to_dict(found.comparison)

    def timeless(table):
        return [
            {name: value for name, value in row.items() if name not in ("seconds", "reason")} for row in table["rows"]
        ]

    assert timeless(anew) == timeless(report.comparison)
    assert [row["status"] for row in anew["rows"]] == ["done", "done", "failed"]
    assert len(found.runs) == 6 and found.remarks[0].startswith("worse: ")


def test_rows_stand_at_the_rates_of_the_report_and_only_those_runs_are_behind_them(tmp_path):
    store = open_store(tmp_path)
    plan = store_study(store, "tiny", LEVELS, rates={0.5: (3.0, 0.9), 1.0: (2.0, 0.0), 2.0: (1.5, 0.4)})
    report = read_report(store, "trial", "tiny")
    found = stored_comparison(store, report)
    chosen = {name: (row.rate, row.by) for name, row in found.comparison.rates.rows.items()}
    assert chosen == dict.fromkeys(LEVELS, (2.0, "held-out loss"))
    assert to_dict(found.comparison)["rows"] == report.comparison["rows"]
    assert found.runs == {row.stages["pretrain"] for row in plan.rows if row.rate == 2.0} and len(found.runs) == 9
    assert found.remarks == ("rows at the best of several learning rates: base 2x, better 2x, worse 2x",)


def test_without_the_pre_trainings_that_chose_the_rates_a_report_is_not_made_anew(tmp_path):
    store = open_store(tmp_path)
    plan = store_study(store, "tiny", LEVELS, rates={1.0: (2.0, 0.0), 2.0: (1.5, 0.4)})
    shutil.rmtree(store.path(plan.stages[plan.rows[0].stages["pretrain"]]))
    problem = r"the pre-training of base at 1x, by which its rate is chosen, is gone: run the study again"
    with pytest.raises(ConfigError, match=problem):
        stored_comparison(store, read_report(store, "trial", "tiny"))


def test_a_training_that_keeps_weights_is_the_same_training(tmp_path):
    store = open_store(tmp_path)
    runs = []
    for train in ({"steps": 5}, {"steps": 5, "keep_last": 2, "keep_every": 1}, {"steps": 6}):
        plan = store_study(store, "tiny", LEVELS, train=train)
        runs.append(stored_comparison(store, find_report(store, "trial", plan.key)).runs)
    assert [len(of) for of in runs] == [9, 9, 9]
    assert runs[0] == runs[1] and not runs[0] & runs[2]


def test_what_rows_were_trained_from_may_be_gone(tmp_path):
    store = open_store(tmp_path)
    plan = store_study(store, "tiny", LEVELS)
    shutil.rmtree(tmp_path / "tasks")
    found = stored_comparison(store, read_report(store, "trial", "tiny"))
    assert [row.name for row in found.comparison.rows] == ["better", "base", "worse"]
    for stage in plan.stages.values():
        if stage.kind == "evaluate":
            shutil.rmtree(store.path(stage))
    with pytest.raises(ConfigError, match=r"report='trial-tiny-\w+': nothing of its rows is in .* any more: run the "):
        stored_comparison(store, read_report(store, "trial", "tiny"))


def test_reports_of_before_plans_or_levels_were_kept_are_refused(tmp_path):
    store = open_store(tmp_path)
    plan = store_study(store, "tiny", LEVELS)
    report = read_report(store, "trial", "tiny")
    old = {name: value for name, value in report.comparison.items() if name != "level"}
    for before in (replace(report, comparison=old), replace(report, name="trial-tiny")):
        with pytest.raises(ConfigError, match=f"report='{before.name}': is of an earlier release"):
            stored_comparison(store, before)
    store.remove_record(f"plans/{plan.name}.json")
    with pytest.raises(ConfigError, match="is of an earlier release"):
        stored_comparison(store, report)


def test_outcomes_are_those_that_the_store_tells(tmp_path):
    store = open_store(tmp_path)
    there, broken = (Stage.of("corpus", name, corpus={"source": name}) for name in ("there", "broken"))
    after = Stage.of("tokens", "after", inputs={"corpus": broken})
    last = Stage.of("pretrain", "last", inputs={"tokens": after})
    lost = Stage.of("tokens", "lost", inputs={"corpus": there})
    (store.work(there) / "text").write_text("text")
    store.commit(there, store.work(there), {})
    write_failure(store, broken, "no space", 2, "Traceback ...")
    rows = [
        (PlannedRow(name="a"), {"corpus": there, "tokens": lost}),
        (PlannedRow(name="b"), {"corpus": broken, "tokens": after, "pretrain": last}),
    ]
    outcomes = stored_outcomes(Plan.of("trial", "tiny", rows), store)
    assert isinstance(outcomes[there.key], Finished) and outcomes[there.key].cached
    assert outcomes[broken.key] == Failed(error="no space", attempts=2)
    assert outcomes[after.key] == outcomes[last.key] == Skipped(because=broken.key)
    assert outcomes[lost.key] == Failed(error="it is not in the store", attempts=0)
