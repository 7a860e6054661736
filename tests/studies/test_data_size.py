"""The data size study: the paper's fractions at every scale."""

import pytest

from orchestrator.plan.study import Scale, plan_of
from studies.data_size import study, tokens_read
from studies.paper import paper_table
from studies.scales import SCALES
from t5core.errors import ConfigError


def test_the_rows_are_those_of_the_table() -> None:
    assert [row.paper_cell for row in study().rows] == [f"Table 9, {row.name}" for row in paper_table(9).rows]


def test_at_the_papers_scale_the_parts_are_the_papers() -> None:
    plan = plan_of(study(), SCALES["paper"])
    limits = [plan.stages[row.stages["pretrain"]].config.get("unlabeled_tokens") for row in plan.rows]
    assert limits == [None, 2**29, 2**27, 2**25, 2**23]
    assert tokens_read(study().baseline_of(SCALES["paper"])) == 2**35


@pytest.mark.parametrize("scale", ["tiny", "mini"])
def test_at_other_scales_the_parts_are_the_same_fractions_of_what_is_read(scale: str) -> None:
    baseline = study().baseline_of(SCALES[scale])
    read = tokens_read(baseline)
    limits = [row.changed_fields(baseline)["unlabeled_tokens"] for row in study().rows[1:]]
    assert limits == [read // 64, read // 256, read // 1_024, read // 4_096]


def test_rows_share_all_but_their_training() -> None:
    plan = plan_of(study(), SCALES["tiny"])
    for role, count in {"tokens": 1, "tasks": 1, "pretrain": 5, "finetune": 5, "evaluate": 5}.items():
        assert len({row.stages[role] for row in plan.rows}) == count


def test_too_few_steps_for_a_part_are_refused() -> None:
    scale = SCALES["tiny"]
    short = scale.baseline.replace(pretrain=scale.baseline.pretrain.replace(steps=100))
    with pytest.raises(ConfigError, match="pretrain_steps=100: 4096 repeats leave 28 tokens, less than one sequence"):
        plan_of(study(), Scale(name="tiny", purpose="", baseline=short))
