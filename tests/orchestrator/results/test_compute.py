"""Rows that had another compute than the baseline are named, with how much."""

from dataclasses import replace
from pathlib import Path

import micro_study
import pytest
from stored_study import store_study

from orchestrator.plan.cost import plan_cost
from orchestrator.plan.plan import Plan
from orchestrator.plan.study import Row, Scale, plan_of
from orchestrator.results.compare import to_dict
from orchestrator.results.compute import compute_notes, compute_of
from orchestrator.results.rows import comparison_of
from orchestrator.results.stored import stored_outcomes
from orchestrator.store import open_store
from t5core.arithmetic import num_parameters
from t5core.config import ObjectiveConfig


def planned(folder: Path, *rows: Row, seeds: int = 1) -> Plan:
    scale: Scale = micro_study.scale(folder / "text.jsonl")
    return plan_of(micro_study.study(*rows), scale, seeds)


def wider(baseline):
    """Twice the feed-forward network."""
    return {"objective": ObjectiveConfig(), "model": baseline.model.replace(d_ff=128)}


def longer(baseline):
    """5 % more steps of pre-training: as good as equal."""
    return {"objective": ObjectiveConfig(), "pretrain": baseline.pretrain.replace(steps=21)}


def test_rows_are_put_beside_the_baseline_by_operations_parameters_and_tokens(tmp_path):
    plan = planned(tmp_path, Row(name="wider", label="", changes=wider), Row(name="longer", label="", changes=longer))
    found = compute_of(plan, "spans")
    model = micro_study.experiment(tmp_path).model
    spans, none = found["spans"], found["none"]
    assert spans.parameters == num_parameters(model) and not spans.unequal
    assert spans.tokens == 20 * 8 * 32 + 10 * 8 * 48 and none.tokens == 10 * 8 * 48
    assert spans.flops == plan_cost(planned(tmp_path).at(1.0)).flops - none.flops
    assert none.unequal == {
        "flops": pytest.approx(none.flops / spans.flops),
        "tokens": pytest.approx(3840 / 8960),
    }
    assert set(found["wider"].unequal) == {"flops", "parameters"}
    assert found["longer"].flops > spans.flops and not found["longer"].unequal


def test_the_note_names_rows_of_equal_compute_together(tmp_path):
    other = Row(
        name="other", label="", changes={"objective": None, "mixture": micro_study.experiment(tmp_path).mixture}
    )
    found = compute_of(planned(tmp_path, other, seeds=2), "spans")
    (note,) = compute_notes(found)
    ratio = found["none"].unequal["flops"]
    assert note == (
        f"unequal compute, over 10% from the baseline's: none, other {ratio:.2f}x FLOPs, 0.43x training tokens"
    )
    assert compute_notes({"spans": found["spans"]}) == ()


def test_a_plan_that_names_its_last_stages_alone_tells_the_same(tmp_path):
    plan = planned(tmp_path)
    rows = tuple(replace(row, stages={"evaluate": row.stages["evaluate"]}) for row in plan.rows)
    assert compute_of(replace(plan, rows=rows), "spans") == compute_of(plan, "spans")
    assert compute_of(plan, "gone") == {}


def test_the_table_and_its_json_say_it(tmp_path, monkeypatch):
    store = open_store(tmp_path)
    stored = store_study(store, "tiny", {"base": 0.5, "a": 1.0})  # of made-up stages, which say nothing of models
    comparison = comparison_of(stored, stored_outcomes(stored, store), store)
    assert {row["compute"] for row in to_dict(comparison)["rows"]} == {None}
    found = compute_of(planned(tmp_path), "spans")
    told = {"base": found["spans"], "a": found["none"]}
    monkeypatch.setattr("orchestrator.results.rows.compute_of", lambda *_: told)
    comparison = comparison_of(stored, stored_outcomes(stored, store), store)
    rows = {row["name"]: row["compute"] for row in to_dict(comparison)["rows"]}
    assert rows["base"]["unequal_to_baseline"] == {}
    assert rows["a"]["unequal_to_baseline"]["tokens"] == pytest.approx(0.4286)
    assert rows["a"]["flops"] == found["none"].flops
    assert any(note.startswith("unequal compute") for note in comparison.notes)
