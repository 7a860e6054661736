"""The architectures study: five models with two objectives each, as in Table 2."""

import pytest

from orchestrator.plan.study import plan_of
from studies.architectures import study
from studies.paper import paper_table
from studies.scales import SCALES
from t5core.model import num_parameters

ROWS = {row.name: row for row in study().rows}


def experiment(scale, name):
    return study().experiment(SCALES[scale], ROWS[name], 0)


def test_the_rows_are_those_of_the_table_with_its_numbers() -> None:
    assert [row.paper_cell.partition(", ")[2] for row in ROWS.values()] == [row.name for row in paper_table(2).rows]
    assert ROWS["prefix-lm-lm"].paper["GLUE"] == paper_table(2).row("Prefix LM / LM").scores["GLUE"]


@pytest.mark.parametrize(
    ("name", "millions"),
    [("encoder-decoder", 222.9), ("shared", 137.95), ("half-depth", 123.79), ("lm", 109.63), ("prefix-lm-lm", 109.63)],
)
def test_models_at_the_papers_scale_have_the_papers_parameters(name: str, millions: float) -> None:
    assert num_parameters(experiment("paper", name).model) / 1e6 == pytest.approx(millions, abs=0.006)


def test_at_the_smallest_scale_every_row_is_a_model_of_its_own() -> None:
    plan = plan_of(study(), SCALES["tiny"])
    assert len({row.stages["pretrain"] for row in plan.rows}) == 10
    assert len({row.stages["tokens"] for row in plan.rows}) == 1
    assert experiment("tiny", "half-depth").model.num_encoder_layers == 1


def test_language_modelling_gives_each_model_what_it_can_read() -> None:
    kinds = {name: experiment("tiny", name).objective.kind for name in ROWS}
    assert {kind for name, kind in kinds.items() if not name.endswith("-lm") or name == "prefix-lm"} == {
        "replace_spans"
    }
    assert kinds["lm-lm"] == "lm"
    assert kinds["encoder-decoder-lm"] == kinds["shared-lm"] == kinds["prefix-lm-lm"] == "prefix_lm"
