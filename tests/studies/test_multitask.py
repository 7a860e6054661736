"""Table 12 as a study."""

from orchestrator.plan.plan import Plan
from orchestrator.plan.stage import Stage
from orchestrator.plan.study import Scale, plan_of
from studies import mixing
from studies.multitask import study
from studies.paper import paper_table
from studies.scales import SCALES


def plan_at(scale: Scale) -> Plan:
    return plan_of(study(), study().adapted(scale))


def stages(plan: Plan, row: str) -> dict[str, Stage]:
    (found,) = [r for r in plan.rows if r.name == row]
    return {role: plan.stages[key] for role, key in found.stages.items()}


def test_the_rows_are_those_of_the_table_with_its_numbers() -> None:
    assert [row.label for row in study().rows] == [row.name for row in paper_table(12).rows]
    assert {row.name: row.paper["SGLUE"] for row in study().rows}["supervised"] == 65.36


def test_at_the_papers_scale_every_row_trains_for_the_papers_steps() -> None:
    plan = plan_at(SCALES["paper"])
    steps = {
        name: [stage.settings["train"]["steps"] for stage in stages(plan, name).values() if stage.trains]
        for name in ("pretrain-finetune", "multitask", "multitask-finetune", "supervised")
    }
    apart = 7 * [2**18]  # GLUE, SuperGLUE, SQuAD, CNN/DailyMail, three pairs of languages
    assert steps["pretrain-finetune"] == steps["multitask-finetune"] == steps["supervised"] == [2**19, *apart]
    assert sum(steps["multitask"]) == 2**19 + 2**18


def test_leave_one_out_trains_once_without_each_benchmark() -> None:
    plan = plan_at(SCALES["paper"])
    row = stages(plan, "leave-one-out")
    before = {role.partition(":")[2]: stage for role, stage in row.items() if stage.kind == "multitask"}
    assert list(before) == ["glue", "super_glue", "squad", "cnn_dailymail", "wmt_en_de", "wmt_en_fr", "wmt_en_ro"]
    assert before["wmt_en_ro"].settings["without"] == ["wmt_en_ro"]
    assert "glue_cola" in before["glue"].settings["without"] and len(before["glue"].settings["without"]) == 9
    assert {stage.settings["train"]["steps"] for stage in before.values()} == {2**19}


def test_training_all_at_once_is_the_run_of_table_11() -> None:
    for scale in (SCALES["tiny"], SCALES["paper"]):
        other = plan_of(mixing.study(), mixing.study().adapted(scale))
        (same,) = [row for row in other.rows if row.name == "K-2^19"]
        (base,) = [row for row in other.rows if row.name == "baseline"]
        rows = {row.name: row for row in plan_at(scale).rows}
        assert rows["multitask"].stages == same.stages
        assert rows["pretrain-finetune"].stages == base.stages


def test_supervised_pre_training_reads_no_text() -> None:
    row = stages(plan_at(SCALES["tiny"]), "supervised")
    assert "tokens" not in row and row["multitask"].settings["mixture"]["unsupervised"] is None
    assert row["finetune"].inputs["pretrain"] == row["multitask"].key
