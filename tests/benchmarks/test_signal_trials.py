"""Trials: what may be changed, which rows and seeds are run, and that two processes share one store."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))

import micro_study
import signal_trials
from signal_trials import Trial, changed, plan_of_trial, table

from orchestrator.plan.study import plan_of
from orchestrator.store import open_store
from t5core.corpora import identify
from t5core.errors import ConfigError


@pytest.fixture
def scale(tmp_path: Path):
    from dataclasses import replace

    scale = micro_study.scale(micro_study.write_documents(tmp_path / "text.jsonl"))
    return replace(scale, baseline=scale.baseline.replace(corpus=identify(scale.baseline.corpus)))


def test_fields_are_changed_by_dots_and_the_others_stay(scale):
    found = changed(
        scale.baseline,
        {
            "model.attention_init": "guided",
            "finetune.schedule.kind": "linear",
            "finetune.fresh_moments": True,
            "seed": 3,
        },
    )
    before = scale.baseline
    linear = before.finetune.schedule.replace(kind="linear")
    finetune = before.finetune.replace(schedule=linear, fresh_moments=True)
    assert found == before.replace(model=before.model.replace(attention_init="guided"), finetune=finetune, seed=3)
    assert changed(before, {}) == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model.atention_init": 1}, "changes='model.atention_init': no such field of the baseline (did you mean"),
        ({"finetune.schedule.kind.x": 1}, "changes='finetune.schedule.kind.x': no such field of the baseline"),
        ({"multitask.maximum": 1}, "changes='multitask.maximum': no such field of the baseline"),
        ({"finetune.average_last": 3}, "average_every=None: how many weights and how many steps apart"),
    ],
)
def test_what_cannot_be_changed_is_refused_by_its_name(scale, changes, message):
    with pytest.raises(ConfigError) as caught:
        changed(scale.baseline, changes)
    assert str(caught.value).startswith(message)


def test_a_plan_has_the_seeds_asked_for_and_shares_what_is_not_changed(scale):
    study = micro_study.study()
    plan = plan_of_trial(study, scale, {}, [2, 0])
    assert [(row.name, row.seed) for row in plan.rows] == [("spans", 0), ("none", 0), ("spans", 2), ("none", 2)]
    whole = plan_of(study, scale, 3)
    assert plan.stages.keys() == {key for row in whole.rows if row.seed != 1 for key in row.stages.values()}
    other = plan_of_trial(study, scale, {"finetune.fresh_moments": True}, [0, 2])
    shared = [plan.stages[key].kind for key in plan.stages if key in other.stages]
    assert shared.count("pretrain") == 2 and "corpus" in shared
    assert shared.count("finetune") == 2  # without pre-training there are no moments to carry


def test_a_table_has_a_line_a_trial_and_what_seeds_differ_by():
    trials = [
        Trial(row="spans", seed=0, figures={"loss": 3.0, "doc_qa score": 10.0, "doc_qa bits": 1.5}),
        Trial(row="none", seed=0, figures={"doc_qa score": 4.0}),
        Trial(row="spans", seed=1, figures={"loss": 5.0, "doc_qa score": 14.0, "doc_qa bits": 2.5}),
        Trial(row="none", seed=1, figures={}, reason="finetune: no memory"),
    ]
    assert table(trials) == [
        "row    seed  loss  qa score  qa bits",
        "spans     0  3.000    10.000    1.500",
        "none      0     -     4.000        -",
        "spans     1  5.000    14.000    2.500",
        "none      1     -         -        -  finetune: no memory",
        "spans  mean  4.000    12.000    2.000",
        "spans    sd  1.414     2.828    0.707",
    ]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--changes", "{"], "changes='{': not JSON"),
        (["--changes", "[]"], "changes='[]': give an object"),
        (["--seeds", "0,x"], "seeds='x': give a whole number"),
        (["--processes", "0"], "processes='0': give a whole number from 1 up"),
        (["--study", "nothing"], "study='nothing': no study of this name"),
        (["--rows", "spam"], "rows='spam': matches none of"),
        (["--rates", "1x,2x"], "rates='1x,2x': a study has this flag, a trial has not"),
        (["--first-seed", "3"], "first_seed=3: a study has this flag, a trial has not"),
        (["--changes", '{"model.d_kw": 1}'], "changes='model.d_kw': no such field"),
    ],
)
def test_a_command_line_that_cannot_be_tried_is_refused_in_one_line(argv, message, tmp_path, capsys):
    assert signal_trials.main(["--store", str(tmp_path / "store"), *argv]) == 2
    said = capsys.readouterr().err
    assert said.startswith(message) and said.count("\n") == 1


@pytest.mark.slow
def test_two_processes_share_a_plan_and_another_trial_what_is_there(scale, tmp_path):
    store = open_store(tmp_path / "store")
    plan = plan_of_trial(micro_study.study(), scale, {"model.attention_init": "guided"}, [0, 1])
    outcomes = signal_trials.run(plan, store, 2)
    assert outcomes.ok
    trials = signal_trials.trials_of(plan, outcomes, store)
    assert [(t.row, t.seed, "loss" in t.figures) for t in trials] == [
        ("spans", 0, True),
        ("none", 0, False),
        ("spans", 1, True),
        ("none", 1, False),
    ]
    scores = {f"{task} score" for task in micro_study.TASK_NAMES}
    assert all(scores <= set(trial.figures) and not trial.reason for trial in trials)
    again = signal_trials.run(plan, store, 1)
    assert all(outcome.cached for outcome in again.values())
