"""What a row comes to when one of its stages failed."""

from dataclasses import replace

import numpy as np
import pytest
from stored_study import EXAMPLES, TASKS, store_study

from orchestrator.engine.outcomes import Failed, Skipped
from orchestrator.results.rows import comparison_of, row_result
from orchestrator.results.stored import stored_outcomes
from orchestrator.results.table import render
from orchestrator.store import open_store


@pytest.fixture
def done(tmp_path):
    store = open_store(tmp_path)
    plan = store_study(store, "tiny", {"base": 0.5, "a": 1.0}, seeds=(0, 1))
    return plan, stored_outcomes(plan, store), store


def ended(plan, outcomes, role, outcome):
    """The outcomes, with one of row a's with seed 1 replaced."""
    key = next(row.stages[role] for row in plan.rows if (row.name, row.seed) == ("a", 1))
    return replace(outcomes, by_key={**outcomes.by_key, key: outcome})


@pytest.mark.parametrize("why", ["failed", "skipped"])
def test_a_row_whose_likelihoods_failed_keeps_its_scores_and_says_so(done, why, capsys):
    plan, outcomes, store = done
    tasks = plan.rows[0].stages["tasks"]
    missing = Failed(error="no memory", attempts=2, log="/w/failure.log") if why == "failed" else Skipped(because=tasks)
    less = ended(plan, outcomes, "likelihood", missing)
    whole, found = (row_result(plan, plan.rows[-1], of, store) for of in (outcomes, less))
    assert (plan.rows[-1].name, plan.rows[-1].seed) == ("a", 1)
    assert (found.status, found.scores) == ("done", whole.scores) and set(found.scores) == set(TASKS)
    assert (found.likelihoods, whole.reason) == (None, "")
    told = {
        "failed": "likelihood: no memory (log: /w/failure.log)",
        "skipped": f"likelihood was not run because {plan.stages[tasks].folder} failed",
    }[why]
    assert found.reason == f"seed 1 has its scores and no bits per byte: {told}"
    c = comparison_of(plan, less, store)
    row = next(row for row in c.rows if row.name == "a")
    assert (row.status, row.seeds, row.reason, row.rank is None) == ("done", 2, found.reason, False)
    assert row.cells["doc_cloze"].score > 0 and row.cells["doc_cloze"].bits is None
    assert any("of scores (not of bits per byte, since some row has none)" in note for note in c.notes)
    render(c)
    assert f"– a: {found.reason}" in capsys.readouterr().out


def test_a_row_whose_evaluation_failed_has_failed(done):
    plan, outcomes, store = done
    both = ended(
        plan,
        ended(plan, outcomes, "likelihood", Failed(error="a", attempts=1)),
        "evaluate",
        Failed(error="b", attempts=1),
    )
    found = row_result(plan, plan.rows[-1], both, store)
    assert (found.status, found.reason, found.scores) == ("failed", "evaluate: b", {})


def test_how_well_two_labels_are_told_apart_is_found_anew_where_the_stage_did_not_say(done):
    """doc_pair's labels take turns, and every third right one is less likely than the wrong one by as much."""
    plan, outcomes, store = done
    found = row_result(plan, plan.rows[0], outcomes, store)
    second_N = np.arange(EXAMPLES) % 2 == 1
    right_N = np.arange(EXAMPLES) % 3 != 0
    liked_N = np.where(second_N, right_N, ~right_N)  # the second label, by all alike
    hits, misses = liked_N[second_N].mean(), liked_N[~second_N].mean()
    assert found.label_auc == {"doc_pair": pytest.approx(100 * (0.5 + 0.5 * (hits - misses)))}
    key = plan.rows[0].stages["likelihood"]
    measured = outcomes[key]
    says = replace(measured.manifest, result={**measured.manifest.result, "label_auc": {"doc_pair": 12.5}})
    told = replace(outcomes, by_key={**outcomes.by_key, key: replace(measured, manifest=says)})
    assert row_result(plan, plan.rows[0], told, store).label_auc == {"doc_pair": 12.5}
    gone = {**outcomes.by_key, plan.rows[0].stages["tasks"]: Failed(error="gone", attempts=0)}
    judged = replace(plan.rows[0], stages={r: k for r, k in plan.rows[0].stages.items() if r != "tasks"})
    assert row_result(plan, judged, replace(outcomes, by_key=gone), store).label_auc == {}
