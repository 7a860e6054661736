"""What a plan costs, before anything runs."""

import io
import json
from dataclasses import replace
from pathlib import Path

import micro_study
import pytest
from rich.console import Console

from orchestrator.commands.plan_shown import plan_json, render_plan
from orchestrator.commands.study import main
from orchestrator.plan.cost import (
    ASSUMED_FLOPS_PER_S,
    bytes_left,
    finetune_flops,
    measured_flops_per_s,
    plan_cost,
    pretrain_flops,
    stage_cost,
)
from orchestrator.plan.plan import Plan
from orchestrator.plan.study import Row, Study, plan_of
from orchestrator.store import open_store
from studies.objectives import study as objectives
from studies.scales import SCALES
from t5core.config import DecodeConfig, ModelConfig, ObjectiveConfig, TrainConfig

BASE_PARAMETERS = 222_903_552
PARTS = 7
"""Fine-tunings of a row at the paper's scale: GLUE, SuperGLUE, SQuAD, CNN/DailyMail and three pairs of languages."""


def paper_plan(rows: str = "*", seeds: int = 1) -> Plan:
    """Returns the objectives study at the paper's scale."""
    return plan_of(objectives().select(rows), SCALES["paper"], seeds)


def test_pre_training_base_on_the_papers_baseline_takes_3_3e19_operations() -> None:
    stage = next(stage for stage in paper_plan().stages.values() if stage.kind == "pretrain")
    cost = stage_cost(stage)
    assert stage.name == "replace-spans-seed0"
    assert cost.flops == pytest.approx(3.3e19, rel=0.01)
    assert cost.tokens == 2**35  # 2^19 steps of 2^16 tokens
    assert cost.parameters == BASE_PARAMETERS
    assert cost.checkpoint_bytes == 8 * BASE_PARAMETERS
    # Six operations per parameter of a stack and token that goes through it; attention and logits come on top.
    stack = 12 * (4 * 768 * 768 + 2 * 768 * 3072)
    least = 6 * 2**19 * 128 * (512 * stack + 192 * (stack + 12 * 4 * 768 * 768))
    assert least < cost.flops < 1.3 * least


def test_kept_weights_take_four_bytes_a_parameter_each() -> None:
    study, scale = objectives().select("replace-spans"), SCALES["paper"]
    finetune = scale.baseline.finetune.replace(keep_last=5, keep_every=1000)
    plan = plan_of(study, replace(scale, baseline=scale.baseline.replace(finetune=finetune)))
    assert plan_cost(plan).checkpoint_bytes == (8 + PARTS * (8 + 4 * 4)) * BASE_PARAMETERS


def test_longer_targets_and_more_steps_cost_more() -> None:
    model, train = ModelConfig(), TrainConfig()
    baseline = pretrain_flops(model, ObjectiveConfig(), train)
    assert pretrain_flops(model, ObjectiveConfig(kind="bert_style"), train) > 1.5 * baseline
    assert pretrain_flops(model, ObjectiveConfig(mean_noise_span_length=3.0), train) < baseline
    assert pretrain_flops(model, ObjectiveConfig(), train.replace(steps=2 * train.steps)) == 2 * baseline
    same = train.replace(targets_length=512)
    assert pretrain_flops(model, ObjectiveConfig(), same) == finetune_flops(model, train)


def test_a_plan_counts_the_stages_that_rows_share_once() -> None:
    objective = ObjectiveConfig()
    rows = tuple(
        Row(
            name=f"decode-{n}", label=f"{n}", changes={"objective": objective, "decode": DecodeConfig(max_new_tokens=n)}
        )
        for n in (1, 2, 3, 4)
    )
    study = Study(name="lengths", title="Lengths", baseline="decode-1", rows=rows)
    cost = plan_cost(plan_of(study, SCALES["paper"]))
    one = plan_cost(paper_plan("replace-spans"))
    assert cost.flops == one.flops and cost.tokens == one.tokens == 2**35 + PARTS * 2**34
    assert cost.unshared_flops == 4 * one.flops == 4 * one.unshared_flops
    assert cost.checkpoint_bytes == (1 + PARTS) * 8 * BASE_PARAMETERS


def test_every_seed_costs_as_much_as_the_first() -> None:
    assert plan_cost(paper_plan("span-3", seeds=3)).flops == pytest.approx(3 * plan_cost(paper_plan("span-3")).flops)


def test_a_rate_is_the_median_of_what_was_measured() -> None:
    assert measured_flops_per_s([]) is None
    assert measured_flops_per_s([(0.0, 5.0), (5.0, 0.0)]) is None
    assert measured_flops_per_s([(10.0, 1.0), (1e6, 1.0), (40.0, 2.0), (0.0, 1.0)]) == 20.0


def test_a_plan_as_json_says_what_it_is_and_starts_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("T5GRID_HOME", str(tmp_path / "home"))
    assert main(objectives(), SCALES, ["--scale", "paper", "--plan", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert list(tmp_path.iterdir()) == []
    assert set(said) == {
        "study",
        "scale",
        "rows",
        "stages",
        "data",
        "stages_named",
        "stages_distinct",
        "flops",
        "flops_without_sharing",
        "flops_at_own_rate",
        "learning_rates",
        "checkpoints",
        "tokens",
        "checkpoint_bytes",
        "rates",
    }
    assert (said["study"], said["scale"]) == ("objectives", "paper")
    assert (said["stages_named"], said["stages_distinct"]) == (404, 314) == (said["stages_named"], len(said["stages"]))
    assert len(said["rows"]) == 14 and said["rows"][0]["name"] == "replace-spans"
    folders = {stage["folder"].rpartition("-")[2]: stage for stage in said["stages"]}
    assert all(set(row["stages"].values()) <= set(folders) for row in said["rows"])
    corpus = folders[said["rows"][0]["stages"]["corpus"]]
    assert (corpus["kind"], corpus["rows"], corpus["finished"], corpus["flops"]) == ("corpus", 14, False, 0.0)
    pretrain = folders[said["rows"][0]["stages"]["pretrain"]]
    assert pretrain["flops"] == pytest.approx(3.3e19, rel=0.01)
    assert (pretrain["rows"], pretrain["parameters"], pretrain["tokens"]) == (1, BASE_PARAMETERS, 2**35)
    assert said["flops"] == pytest.approx(sum(stage["flops"] for stage in said["stages"]))
    assert said["tokens"] == 13 * 2**35 + 14 * PARTS * 2**34
    assert [rate["device"] for rate in said["rates"]] == list(ASSUMED_FLOPS_PER_S)
    for rate in said["rates"]:
        assert rate["from"].startswith("assumed: ")
        assert rate["device_hours"] == pytest.approx(said["flops"] / rate["flops_per_s"] / 3600)


def test_a_plan_for_people_names_stages_sharing_and_hours(tmp_path: Path) -> None:
    store = open_store(tmp_path / "store")
    out = io.StringIO()
    render_plan(paper_plan(), store, Console(file=out, width=140))
    text = out.getvalue()
    assert "objectives at scale paper" in text
    assert "pretrain/replace-spans-seed0-" in text and "222.9M" in text and "34.4B" in text and "3.29e+19" in text
    assert "314 stages; the rows name 404, so sharing saves 90 of them" in text
    assert "device-hours (assumed: one chip at 40 % of 275 TFLOP/s)" in text


def test_what_is_finished_is_marked_and_gives_the_rate(tmp_path: Path) -> None:
    store = open_store(tmp_path / "store")
    plan = plan_of(micro_study.study(), micro_study.scale(tmp_path / "text.jsonl"))
    stage = next(stage for stage in plan.stages.values() if stage.kind == "pretrain")
    work = store.work(stage)
    (work / "metrics.jsonl").write_text("")
    store.commit(stage, work, {"flops": 8e9, "seconds": 2.0, "steps": 4, "steps_run": 3, "device": "cpu"})
    said = plan_json(plan, store)
    assert [s["folder"] for s in said["stages"] if s["finished"]] == [stage.folder]
    rate = said["rates"][0]
    assert rate["flops_per_s"] == 3e9 and rate["from"] == "median of 1 finished stages, one lane each"
    out = io.StringIO()
    render_plan(plan, store, Console(file=out, width=140))
    left = said["flops"] - stage.cost
    assert f"{left:.2e} FLOPs still to do" in out.getvalue()
    assert stage_cost(replace(stage, cost=0.0)).flops == 0.0


def test_what_is_finished_takes_no_more_space() -> None:
    """The pre-training and two rows' fine-tunings train; the one at work holds two more beside its last."""
    plan = paper_plan("replace-spans,no-pretraining")
    training = [key for key, stage in plan.stages.items() if stage.trains]
    assert len(training) == 1 + 2 * PARTS
    assert bytes_left(plan, ()) == (1 + 2 * PARTS + 2) * 8 * BASE_PARAMETERS
    assert bytes_left(plan, training[:2]) == (2 * PARTS - 1 + 2) * 8 * BASE_PARAMETERS
    assert bytes_left(plan, plan.stages) == 0


def test_a_mean_of_the_last_weights_takes_space_on_the_way() -> None:
    plan = paper_plan("replace-spans")
    (key, stage), *_ = ((key, stage) for key, stage in plan.stages.items() if stage.kind == "pretrain")
    train = {**stage.settings["train"], "average_last": 4, "average_every": 100}
    averaged = replace(stage, settings={**stage.settings, "train": train})
    alone = replace(plan, stages={key: averaged})
    assert bytes_left(alone, ()) == (8 + 2 * (8 + 4)) * BASE_PARAMETERS
