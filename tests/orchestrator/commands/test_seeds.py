"""``--seeds``: a number, or seeds until the order of the rows is told."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import micro_study
import pytest

from orchestrator.commands.seeds import BASELINE_FIRST, FIRST, MOST, Seeds, outcome
from orchestrator.commands.study import main
from orchestrator.engine.inline import run_locally
from orchestrator.plan.plan import Plan
from orchestrator.plan.study import Row, Study, plan_of
from orchestrator.results.noise import Measured, Sample
from orchestrator.results.sequential import decide
from orchestrator.store import Store, open_store
from orchestrator.store.plans import read_plans
from t5core.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("1", Seeds(each=1)),
        ("12", Seeds(each=12)),
        ("auto", Seeds(each=FIRST, most=MOST)),
        ("auto:3", Seeds(each=FIRST, most=3)),
    ],
)
def test_a_number_or_auto_with_a_limit_is_read(text: str, seeds: Seeds) -> None:
    assert Seeds.parse(text) == seeds


@pytest.mark.parametrize("text", ["0", "-1", "two", "", "auto:", "auto:2", "auto:x", "auto8", "1.5", "²"])
def test_anything_else_is_refused_with_a_way_out(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^seeds=.*give "):
        Seeds.parse(text)


def measured(**rows: tuple[float, ...]) -> Measured:
    """Returns numbers of which more is better, by row and seed."""
    return Measured({row: Sample(runs=dict(enumerate(values))) for row, values in rows.items()})


def test_only_rows_whose_order_is_open_get_another_seed() -> None:
    seeds = Seeds.parse("auto:4")
    far = measured(base=(0.0, 0.01, -0.01), near=(0.001, 0.012), far=(9.0, 9.01), other=(20.0, 20.01))
    decision = decide(far, ["base", "near", "far", "other"], "base", looks=seeds.looks)
    assert seeds.looks == 3
    assert decision.rows == ("near", "base")
    more = seeds.next_more(seeds.first_more("base", {}), decision)
    assert more == {"base": 2, "near": 1}
    more = seeds.next_more(more, decision)
    assert more == {"base": 2, "near": 2}  # the baseline has its 4
    assert seeds.next_more(more, decision) == more
    assert outcome(decision, ["near"], "") == "open: near over base; one more seed of near"
    assert outcome(decision, [], "the hours are over") == "undecided, the hours are over: near over base"
    lost = decide(far, ["far", "lost"], "far", looks=1)
    assert outcome(lost, [], "4 seeds").endswith("lost, which lacks a number on a task that counts")


def test_rows_may_have_more_seeds_than_others_counted_from_any_number(tmp_path: Path) -> None:
    scale = micro_study.scale(tmp_path / "text.jsonl")
    plan = plan_of(micro_study.study(), scale, 1, first_seed=7, more_seeds={"spans": 2})
    assert [(row.name, row.seed) for row in plan.rows] == [("spans", 7), ("none", 7), ("spans", 8), ("spans", 9)]
    with pytest.raises(ConfigError, match="first_seed=-1: give 0 or more"):
        plan_of(micro_study.study(), scale, first_seed=-1)


TEN = Study(
    name="ten",
    title="Ten",
    baseline="spans",
    rows=(
        Row(name="spans", label="Spans", seeds=lambda scale: 3 if scale.name == "micro" else 10),
        Row(name="none", label="None", changes={"objective": None}),
    ),
)


@pytest.mark.parametrize(("asked", "spans", "none"), [(1, 3, 1), (3, 3, 3), (4, 4, 4)])
def test_a_row_has_at_least_the_seeds_that_the_study_gives_it(
    tmp_path: Path, asked: int, spans: int, none: int
) -> None:
    scale = micro_study.scale(tmp_path / "text.jsonl")
    plan = plan_of(TEN, scale, asked, first_seed=5)
    assert [row.seed for row in plan.rows if row.name == "spans"] == list(range(5, 5 + spans))
    assert [row.seed for row in plan.rows if row.name == "none"] == list(range(5, 5 + none))
    assert plan_of(TEN, replace(scale, name="large")).rows[-1].seed == 9
    # one more of a row is one beyond what all have, not beyond its own
    assert plan_of(TEN, scale, more_seeds={"spans": 1}).rows == plan_of(TEN, scale).rows
    assert len(plan_of(TEN, scale, more_seeds={"spans": 3}).rows) == 5


def test_the_seeds_of_a_study_are_told_and_auto_adds_to_them(tmp_path: Path) -> None:
    own = TEN.own_seeds(replace(micro_study.scale(tmp_path / "text.jsonl"), name="large"), 1)
    assert own == {"spans": 10}
    assert Seeds.parse("1").said(2, own) == "2 rows, 1 seed(s) each (but spans 10)"
    assert Seeds.parse("10").said(2, {}) == "2 rows, 10 seed(s) each"
    auto = Seeds.parse("auto")
    assert auto.said(2, own).endswith("to 6 where the order is open; at least spans 10")
    assert Seeds.parse("1").first_more("spans", own) == {"spans": 9}
    more = auto.first_more("spans", own)
    assert more == {"spans": 8}
    near = decide(measured(spans=(0.0, 1.0), none=(0.5, 0.4)), ["none", "spans"], "spans", looks=auto.looks)
    assert auto.next_more(more, near) == {"spans": 8, "none": 1}  # the baseline has more than 6 already


@pytest.fixture
def on_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs plans in this process: quicker, where how they run does not matter."""

    def locally(plan: Plan, store: Store, *, events: Any, **_: Any) -> Any:
        return run_locally(plan, store, events=events)

    monkeypatch.setattr("orchestrator.commands.study.run_plan", locally)


def test_auto_goes_on_until_the_limit_where_rows_do_not_differ(
    on_this_process: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two rows that change nothing are one run: nobody can tell them apart. What has run is not run again."""
    corpus = micro_study.write_documents(tmp_path / "text.jsonl")
    same = Study(name="same", title="Twice the same", baseline="one", rows=tuple(map(_unchanged, ("one", "other"))))
    argv = ["--store", str(tmp_path / "store"), "--tracking-uri", f"sqlite:///{tmp_path / 'mlflow.db'}"]
    argv += ["--accelerator", "cpu", "--seeds", "auto:3", "--first-seed", "5", "--json"]
    assert main(same, {"micro": micro_study.scale(corpus)}, argv) == 0
    said = capsys.readouterr()
    table = json.loads(said.out)  # one, the last
    assert {row["name"]: row["seeds"] for row in table["rows"]} == {"one": 3, "other": 3}
    assert {row["rank"] for row in table["rows"]} == {1}
    told = " ".join(said.err.split())
    assert "2 rows, from 2 seeds (baseline 3) to 3 where the order is open" in told
    assert "one more seed of other" in told
    assert "undecided, 2 tables were looked at, as many as share the level: " in told
    rounds = [sorted((row.name, row.seed) for row in plan.rows) for plan in read_plans(open_store(tmp_path / "store"))]
    ones = [("one", 5), ("one", 6), ("one", 7)]
    assert sorted(rounds, key=len) == [
        [*ones, ("other", 5), ("other", 6)],
        [*ones, ("other", 5), ("other", 6), ("other", 7)],
    ]


def _unchanged(name: str) -> Row:
    return Row(name=name, label=name, changes={})


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--seeds", "auto", "--rows", "spans"], "seeds='auto': there is one row, so no order to be told"),
        (["--seeds", "auto", "--hours", "0"], "hours=0.0: give a time above 0"),
        (["--seeds", "auto", "--hours", "nan"], "hours=nan: give a time above 0"),
        (["--seeds", "3", "--hours", "2"], "hours=2.0: give a time above 0, and --seeds auto, which it ends"),
        (["--seeds", "auto:1"], f"seeds='auto:1': the baseline begins with {BASELINE_FIRST}"),
        (["--first-seed", "-2"], "first_seed=-2: give 0 or more"),
    ],
)
def test_what_makes_no_sense_is_one_line(
    argv: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scales = {"micro": micro_study.scale(micro_study.write_documents(tmp_path / "text.jsonl"))}
    assert main(micro_study.study(), scales, ["--store", str(tmp_path / "store"), *argv]) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1
