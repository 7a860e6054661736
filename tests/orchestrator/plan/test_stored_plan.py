"""A plan in JSON and back: what a store keeps of it says everything, whatever the code says by then."""

import json
from dataclasses import replace
from pathlib import Path

import micro_study
import pytest

from orchestrator.plan.experiment import Experiment
from orchestrator.plan.kinds import KINDS
from orchestrator.plan.plan import Plan, PlannedRow
from orchestrator.plan.stage import Stage
from orchestrator.plan.study import Row, Study, plan_of
from studies.objectives import study as objectives
from studies.scales import SCALES
from t5core.config import ObjectiveConfig, TasksConfig


def test_a_plan_comes_back_from_json_as_it_was() -> None:
    plan = plan_of(objectives(), SCALES["tiny"], seeds=2)
    again = Plan.from_json(plan.to_json())
    assert again == plan and again.key == plan.key
    assert list(again.stages) == list(plan.stages)  # each after what it reads
    assert [row.key for row in again.rows] == [row.key for row in plan.rows]


def test_rows_say_what_a_table_says_of_them() -> None:
    plan = plan_of(objectives(), SCALES["tiny"])
    values = json.loads(plan.to_json())
    assert values["studies"] == [
        {
            "name": "objectives",
            "title": "Pre-training objectives (Tables 4 to 7)",
            "baseline": "replace-spans",
            "baseline_sd": dict(objectives().baseline_sd),
        }
    ]
    row = next(row for row in values["rows"] if row["name"] == "span-3")
    assert (row["study"], row["label"], row["seed"], row["paper_cell"]) == (
        "objectives",
        "Spans of 3",
        0,
        "Table 7, 3",
    )
    assert row["paper"]["SQuAD"] == 81.84
    assert row["axes"]["objective"]["mean_noise_span_length"] == 3.0 and list(row["axes"]) == ["objective"]
    assert row["tasks"] == list(SCALES["tiny"].baseline.tasks.names)
    evaluate = next(stage for stage in values["stages"] if stage["key"] == row["stages"]["evaluate"])
    assert (evaluate["kind"], evaluate["version"], evaluate["revisions"]) == ("evaluate", KINDS["evaluate"].version, [])


def test_rows_that_differ_in_their_tasks_know_their_own(tmp_path: Path) -> None:
    def less(baseline: Experiment) -> dict[str, TasksConfig]:
        return {"tasks": baseline.tasks.replace(names=("doc_qa", "doc_cloze"))}

    study = Study(
        name="trial",
        title="A trial",
        baseline="all",
        rows=(Row(name="all", label="All"), Row(name="less", label="Less", changes=less)),
        changes={"objective": ObjectiveConfig()},
    )
    rows = plan_of(study, micro_study.scale(tmp_path / "text.jsonl")).rows
    assert [row.tasks for row in rows] == [("doc_acceptability", "doc_qa", "doc_cloze"), ("doc_qa", "doc_cloze")]


def test_a_stored_plan_keeps_its_keys_when_the_code_has_moved_on(monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = Stage.of("corpus", "text", corpus={"source": "text"})
    tokens = Stage.of("tokens", "text", inputs={"corpus": corpus})
    plan = Plan.of("trial", "tiny", [(PlannedRow(name="row"), {"corpus": corpus, "tokens": tokens})])
    text = plan.to_json()
    monkeypatch.setattr("orchestrator.plan.stage.KINDS", {**KINDS, "tokens": replace(KINDS["tokens"], version=99)})
    stored = Plan.from_json(text)
    assert list(stored.stages) == [corpus.key, tokens.key]
    assert [stage.version for stage in stored.stages.values()] == [KINDS["corpus"].version, KINDS["tokens"].version]
    assert stored.key == plan.key
    planned_now = Stage.of("tokens", "text", inputs={"corpus": corpus})
    assert planned_now.key != tokens.key and planned_now.version == 99


def test_the_same_rows_have_one_name_and_other_rows_another() -> None:
    whole, again = (plan_of(objectives(), SCALES["tiny"]) for _ in range(2))
    some = plan_of(objectives().select("span*"), SCALES["tiny"])
    assert whole.name == again.name == f"objectives-tiny-{whole.key}"
    assert some.name != whole.name and some.name.startswith("objectives-tiny-")
    more = plan_of(objectives(), SCALES["tiny"], seeds=2)
    assert more.name != whole.name


def test_a_plan_tells_no_passwords() -> None:
    paths = {"paths": ["s3://ann:secret@bucket/text", "/text/plain.txt"]}
    stage = Stage(kind="corpus", name="files", config={"content": "c0ffee"}, settings={"corpus": paths})
    text = Plan.of("trial", "tiny", [(PlannedRow(name="row"), {"corpus": stage})]).to_json()
    assert "secret" not in text and "s3://***@bucket/text" in text and "/text/plain.txt" in text


@pytest.mark.parametrize("text", ["", "{}", '{"format": 1}', "[]", '{"format": 1, "scale": "tiny", "stages": [3]}'])
def test_what_is_no_plan_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        Plan.from_json(text)


def test_a_plan_of_a_later_format_says_so() -> None:
    text = plan_of(objectives().select("mass"), SCALES["tiny"]).to_json().replace('"format": 1', '"format": 2')
    with pytest.raises(ValueError, match="is of format 2: update t5grid to read it"):
        Plan.from_json(text)
