"""Table 11 as a study, and the mixtures that a search begins with."""

import math

import pytest

from orchestrator.commands.flags import Options
from orchestrator.plan.expand import stages_of
from orchestrator.plan.study import Scale, plan_of
from studies.mixing import fixed_mixtures, study
from studies.paper import paper_table
from studies.scales import SCALES
from t5core.config import TaskContent
from t5core.mixing import PAPER_SIZES, UNSUPERVISED, mixture_rates, share_rte

TINY = study().baseline_of(study().adapted(SCALES["tiny"]))


def with_sizes(sizes: dict[str, int]) -> Scale:
    """The paper's scale with tasks whose sizes are known, as after ``identify_tasks``."""
    scale = SCALES["paper"]
    content = tuple(TaskContent(name=name, train_examples=size) for name, size in sizes.items())
    tasks = scale.baseline.tasks.replace(names=tuple(sizes), train_examples=2**40, content=content)
    return Scale(name="paper", purpose="", baseline=scale.baseline.replace(tasks=tasks))


def test_the_rows_are_those_of_the_table_with_its_numbers() -> None:
    rows = study().rows
    assert [row.paper_cell.partition(", ")[2] for row in rows] == [row.name for row in paper_table(11).rows]
    assert {row.name: row.paper["SQuAD"] for row in rows}["K-2^20"] == 80.36


def test_all_rows_but_the_baseline_train_on_text_and_tasks_at_once_for_the_steps_of_both_phases() -> None:
    plan = plan_of(study(), study().adapted(SCALES["tiny"]))
    for row in plan.rows:
        kinds = [plan.stages[key].kind for key in row.stages.values()]
        trained = [plan.stages[k] for k in row.stages.values() if plan.stages[k].kind == "multitask"]
        if row.name == "baseline":
            assert not trained and "finetune" in kinds
            continue
        assert "pretrain" not in kinds and "finetune" not in kinds
        assert [stage.config["train"]["steps"] for stage in trained] == [700, 700, 700]
        assert [stage.inputs.get("earlier") for stage in trained[1:]] == [stage.key for stage in trained[:-1]]
    assert len({row.stages["evaluate"] for row in plan.rows}) == 11


def test_at_the_papers_scale_steps_and_limits_are_the_papers() -> None:
    experiment = study().baseline_of(with_sizes(dict(PAPER_SIZES)))
    assert experiment.multitask_train.steps == 2**19 + 2**18
    limits = [fixed.mixture.maximum for fixed in fixed_mixtures(experiment)]
    assert limits == [None, *(2.0**p for p in range(16, 22)), 2.0**21, 2.0**21, 2.0**21]
    assert [fixed.mixture.temperature for fixed in fixed_mixtures(experiment)][-3:] == [2.0, 4.0, 8.0]


def test_the_rates_are_the_papers_for_its_sizes_with_the_text_at_the_limit() -> None:
    experiment = study().baseline_of(with_sizes(dict(PAPER_SIZES)))
    fixed = {f.name: f.mixture for f in fixed_mixtures(experiment)}
    rates = mixture_rates(fixed["K-2^19"], PAPER_SIZES)
    sizes = share_rte(PAPER_SIZES)  # the same examples stand in both benchmarks
    assert sizes["glue_rte"] == sizes["super_glue_rte"] == 1_245
    limited = {name: min(size, 2**19) for name, size in sizes.items()} | {UNSUPERVISED: 2**19}
    total = sum(limited.values())
    assert rates == pytest.approx({name: size / total for name, size in limited.items()})
    hot = mixture_rates(fixed["T-2"], PAPER_SIZES)
    assert hot["squad"] / hot[UNSUPERVISED] == pytest.approx(math.sqrt(PAPER_SIZES["squad"] / 2**21))
    assert len(set(mixture_rates(fixed["equal"], PAPER_SIZES).values())) == 1


def test_limits_of_sets_that_are_made_first_lie_evenly_between_the_smallest_and_the_largest() -> None:
    places = [fixed.mixture.maximum_between for fixed in fixed_mixtures(TINY)]
    assert places[1:7] == pytest.approx([1 / 12, 3 / 12, 5 / 12, 7 / 12, 9 / 12, 11 / 12])
    assert places[7:] == [places[6]] * 3


def test_a_place_stands_for_the_limit_it_is_shown_as() -> None:
    experiment = study().baseline_of(with_sizes(dict(PAPER_SIZES)))
    low, high = min(PAPER_SIZES.values()), max(PAPER_SIZES.values())
    for fixed in fixed_mixtures(experiment)[1:]:
        assert low * (high / low) ** fixed.place == pytest.approx(fixed.mixture.maximum)


def test_a_searchs_first_trials_are_the_rows_own_stages() -> None:
    plan = plan_of(study(), study().adapted(SCALES["tiny"]))
    rows = {row.name: row.stages["evaluate"] for row in plan.rows}
    for fixed in fixed_mixtures(TINY):
        assert stages_of(TINY.replace(multitask=fixed.mixture), "trial")["evaluate"].key == rows[fixed.name]


@pytest.mark.parametrize(
    ("scale", "flags", "limit"),
    [
        ("tiny", [], 2**17),
        ("tiny", ["--train-examples", "8000"], 8_000),
        ("mini", [], 2**17),
        ("mini", ["--train-examples", "300000"], 300_000),
        ("paper", [], 2**40),
    ],
)
def test_all_examples_are_mixed_unless_a_flag_says_otherwise(scale: str, flags: list[str], limit: int) -> None:
    options = Options.parse("", list(SCALES), ["--scale", scale, *flags])
    experiment = study().baseline_of(options.scale_of({scale: embedded(SCALES[scale])}, study()))
    assert experiment.tasks.train_examples == limit


def embedded(scale: Scale) -> Scale:
    """A scale whose data are the embedded ones, so that nothing is looked up."""
    tiny = SCALES["tiny"].baseline
    tasks = scale.baseline.tasks.replace(names=tiny.tasks.names, content=())
    return Scale(
        name=scale.name, purpose="", baseline=scale.baseline.replace(corpus=tiny.corpus, tasks=tasks, tasks_corpus=None)
    )
