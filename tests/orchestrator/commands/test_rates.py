"""``--rates`` from a command line to the table, the report, its page and MLflow."""

import json
import re

import micro_study
import pytest
from micro_place import RUN_PLAN, Place, finished, locally, only_what_is_there

from dashboards.commands.report import write_page
from orchestrator.commands.search import main as search

AT_TWO = ["--rates", "1x,2x"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return finished(tmp_path_factory.mktemp("rates"), *AT_TWO)


@pytest.fixture(autouse=True)
def nothing_runs(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes beginning anything else an error."""
    monkeypatch.setattr(RUN_PLAN, only_what_is_there)


def test_rows_stand_at_their_best_rate_in_table_and_json(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert place.run(*AT_TWO, "--json") == 0
    said = capsys.readouterr()
    assert "2 rows, 1 seed(s) each, each at 2 learning rates (1x, 2x)" in " ".join(said.err.split())
    values = json.loads(said.out)
    rates = values["learning_rates"]
    assert rates["tried"] == [1.0, 2.0]
    assert {name: row["chosen_by"] for name, row in rates["rows"].items()} == {
        "spans": "held-out loss",
        "none": "standing",
    }
    for row in values["rows"]:
        of_row = rates["rows"][row["name"]]
        assert row["rate"] == of_row["rate"] and row["seeds"] == 1
        tried = {t["rate"]: t for t in of_row["tried"]}
        if row["name"] == "spans":
            assert tried[row["rate"]]["held_out_loss"] == min(t["held_out_loss"] for t in tried.values())
        assert tried[row["rate"]]["standing"] == row["standing"]["value"]


def test_the_plan_says_what_the_rates_cost(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert place.run(*AT_TWO, "--plan") == 0
    shown = capsys.readouterr().out
    assert place.run(*AT_TWO, "--plan", "--json") == 0
    values = json.loads(capsys.readouterr().out)
    twice, once = values["flops"], values["flops_at_own_rate"]
    assert f"learning rates 1x, 2x: {twice:.2e} FLOPs, where 1x alone takes {once:.2e}\n" in shown
    assert values["learning_rates"] == [1.0, 2.0]
    assert values["flops"] == pytest.approx(2 * values["flops_at_own_rate"])
    assert [(row["name"], row["rate"]) for row in values["rows"]] == [
        ("spans", 1.0),
        ("spans", 2.0),
        ("none", 1.0),
        ("none", 2.0),
    ]


def test_finished_only_asks_for_all_rates_and_1x_is_the_study_without_them(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert place.run(*AT_TWO, "--finished-only") == 0
    assert place.run("--finished-only") == 0
    assert "learning rate" not in capsys.readouterr().out.partition("A trial, scale micro\n")[2].partition("A trial")[2]
    assert place.run("--rates", "1x,2x,4x", "--finished-only") == 3
    assert place.run(*AT_TWO, "--rows", "spans", "--finished-only") == 0


def test_the_page_of_a_report_has_the_rates(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert place.run(*AT_TWO, "--finished-only", "--json") == 0
    rates = {row["name"]: row["rate"] for row in json.loads(capsys.readouterr().out)["rows"]}
    page = write_page(str(place.folder / "store"), "trial", "micro", place.folder / "page.html").read_text()
    assert "<th>rate</th>" in page and len(rates) == 2
    assert sorted(re.findall(r"<td>(\dx)</td>", page)) == sorted(f"{rate:g}x" for rate in rates.values())
    assert "rate: the one with the lowest held-out loss of pre-training" in page


def test_runs_in_mlflow_tell_their_rate(place: Place) -> None:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(place.tracking_uri)
    experiment = client.get_experiment_by_name("t5grid/trial/micro")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], "tags.`t5grid.kind` = 'row'")
    assert {run.info.run_name: run.data.tags["t5grid.rate"] for run in runs} == {
        "spans seed 0": "1x",
        "spans at 2x seed 0": "2x",
        "none seed 0": "1x",
        "none at 2x seed 0": "2x",
    }
    note = next(r for r in runs if r.info.run_name == "spans at 2x seed 0").data.tags["mlflow.note.content"]
    assert note.startswith("**Spans**, seed 0, at 2x its learning rate: finished")


def test_a_rate_that_diverges_leaves_the_row_its_others(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(RUN_PLAN, locally)
    mad = "1" + 32 * "0" + "x"
    assert place.run("--rates", f"1x,{mad}", "--rows", "spans", "--json") == 1
    values = json.loads(capsys.readouterr().out)
    (row,) = values["rows"]
    assert (row["status"], row["rate"], row["seeds"]) == ("done", 1.0, 1)
    (note,) = [note for note in values["notes"] if note.startswith("not chosen from, since a run failed")]
    assert "spans at 1e+32x (pretrain: " in note and re.search("loss=(nan|inf)", note)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--rates=0.5x,2x"], "rates='0.5x,2x': give 1x"),
        (["--rates=-1x"], "rates='-1x': give multiples"),
        (["--rates", "1x,2x", "--seeds", "auto"], "rates='1x,2x': --seeds auto adds seeds by the order at one rate"),
    ],
)
def test_what_makes_no_sense_is_one_line(
    argv: list[str], message: str, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert place.run(*argv) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1


def test_a_search_takes_no_rates(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """It has one row at a time, and none to rank it among."""
    assert search(micro_study.study(), lambda _: (), {"micro": place.scales["micro"]}, AT_TWO, unsupervised=1.0) == 2
    assert "unrecognized arguments: --rates 1x,2x" in capsys.readouterr().err
