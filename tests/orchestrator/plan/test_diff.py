"""Two plans beside each other: rows and stages that are new, gone, or others by some field."""

import json
from dataclasses import replace
from pathlib import Path

import micro_study

from orchestrator.plan.diff import diff_of
from orchestrator.plan.fields import REVISIONS, VERSION, Difference, deep_differences, differences, flat, shown
from orchestrator.plan.plan import Plan
from orchestrator.plan.stage import Stage
from orchestrator.plan.study import Row, Scale, plan_of
from t5core.config import ObjectiveConfig

SPANS_OF_3 = Row(name="span-3", label="3", changes={"objective": ObjectiveConfig(mean_noise_span_length=3.0)})


def planned(folder: Path, *rows: Row, seeds: int = 1, **changes: object) -> Plan:
    """The micro study with further rows, at its scale with some fields changed."""
    scale = micro_study.scale(folder / "text.jsonl")
    changed = Scale(name=scale.name, purpose="", baseline=scale.baseline.replace(**changes))
    return plan_of(micro_study.study(*rows), changed, seeds)


def test_the_same_plan_has_nothing_to_tell(tmp_path: Path) -> None:
    diff = diff_of(planned(tmp_path), Plan.from_json(planned(tmp_path).to_json()))
    assert (diff.new_rows, diff.gone_rows, diff.changed_rows, diff.same_rows) == ((), (), (), 2)
    assert (diff.new_stages, diff.gone_stages) == ((), ())


def test_rows_and_seeds_that_are_new_or_gone_are_told_with_their_stages(tmp_path: Path) -> None:
    more, less = planned(tmp_path, SPANS_OF_3, seeds=2), planned(tmp_path)
    diff = diff_of(more, less)
    assert [(row.name, row.seed) for row in diff.new_rows] == [("span-3", 0), ("spans", 1), ("none", 1), ("span-3", 1)]
    assert (diff.gone_rows, diff.changed_rows, diff.same_rows) == ((), (), 2)
    kinds = [folder.partition("/")[0] for folder in diff.new_stages]
    assert (kinds.count("pretrain"), kinds.count("finetune"), kinds.count("corpus")) == (3, 4, 0)
    back = diff_of(less, more)
    assert back.gone_rows == diff.new_rows and back.gone_stages == diff.new_stages


def test_a_field_that_changed_is_named_once_with_all_its_rows(tmp_path: Path) -> None:
    old = planned(tmp_path)
    finetune = micro_study.experiment(tmp_path).finetune.replace(steps=12)
    diff = diff_of(planned(tmp_path, finetune=finetune), old)
    assert [changed.row.name for changed in diff.changed_rows] == ["spans", "none"]
    ((change, rows),) = diff.by_change().values()
    assert change == ("finetune", Difference(field="train.steps", here=12, there=10))
    assert [row.name for row in rows] == ["spans", "none"]
    # what reads the other fine-tuning is another stage too, and has changed nothing itself
    assert diff.changed_rows[0].stages == {"finetune": "changed", "evaluate": "reads", "likelihood": "reads"}


def test_stages_that_a_row_has_no_more_are_told(tmp_path: Path) -> None:
    old = planned(tmp_path, Row(name="new", label="", changes={"objective": ObjectiveConfig()}))
    new = planned(tmp_path, Row(name="new", label="", changes={"objective": None}))
    (changed,) = diff_of(new, old).changed_rows
    assert {role: what for role, what in changed.stages.items() if what == "gone"} == {
        "pretrain": "gone",
        "tokens": "gone",
    }


def test_another_version_of_the_code_is_a_difference() -> None:
    stage = Stage.of("finetune", "a", train={"steps": 3})
    older = replace(stage, planned_as=("0" * 16, 1, ("x",)))
    assert differences(stage, older) == (
        Difference(field=VERSION, here=stage.version, there=1),
        Difference(field=REVISIONS, here=[], there=["x"]),
    )


def test_what_is_read_is_followed_to_where_it_differs_and_told_once() -> None:
    def chain(min_chars: int) -> dict[str, Stage]:
        corpus = Stage.of("corpus", "a", corpus={"min_chars": min_chars})
        vocabulary = Stage.of("vocabulary", "a", inputs={"corpus": corpus}, pieces=4)
        tokens = Stage.of("tokens", "a", inputs={"corpus": corpus, "vocabulary": vocabulary})
        return {stage.key: stage for stage in (corpus, vocabulary, tokens)}

    ours, theirs = chain(200), chain(100)
    here, there = list(ours.values())[-1], list(theirs.values())[-1]
    assert deep_differences(here, there, ours, theirs) == (
        Difference(field="corpus > corpus.min_chars", here=200, there=100),
    )
    gone = {key: stage for key, stage in theirs.items() if stage.kind != "corpus"}
    fields = [d.field for d in deep_differences(here, there, ours, gone)]
    assert fields == ["reads corpus", "vocabulary > reads corpus"]


def test_nested_values_are_flat_and_named_ones_go_by_their_names() -> None:
    values = {"a": {"b": 1, "c": [1, 2]}, "content": [{"name": "cola", "n": 3}, {"name": "sst2", "n": 4}], "e": []}
    assert flat(values) == {"a.b": 1, "a.c": [1, 2], "content[cola].n": 3, "content[sst2].n": 4, "e": []}
    assert shown(None) == "–" and shown([1, "é"]) == '[1, "é"]'
    assert shown("x" * 100) == json.dumps("x" * 100)[:60] + "..."
