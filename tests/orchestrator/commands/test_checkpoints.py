"""``--checkpoints`` from a command line to the table, the report, its page and MLflow."""

import json
import re

import micro_study
import pytest
from micro_place import RUN_PLAN, Place, finished, only_what_is_there

from dashboards.commands.report import write_page
from orchestrator.commands.search import main as search

THREE = ["--checkpoints", "3:2"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return finished(tmp_path_factory.mktemp("checkpoints"), *THREE)


@pytest.fixture(autouse=True)
def nothing_runs(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes beginning anything else an error."""
    monkeypatch.setattr(RUN_PLAN, only_what_is_there)


def test_the_table_has_the_means_and_marks_by_noise_within_runs(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert place.run(*THREE, "--json") == 0
    said = capsys.readouterr()
    assert "2 rows, 1 seed(s) each, each judged at its last 3 checkpoints (2 steps apart)" in " ".join(said.err.split())
    values = json.loads(said.out)
    by_name = {row["name"]: row for row in values["rows"]}
    for cell in by_name["none"]["cells"].values():
        assert cell["mark"] == "?"
        if cell["bits"]:
            assert cell["bits"]["within_run"] and cell["bits"]["mark"] in ("▲?", "▼?", "≈?")
            assert cell["bits"]["checkpoint_sd"] > 0
    assert all(row["rank_within_run"] for row in values["rows"])
    assert (
        "bits per byte: the mean over the last 3 checkpoints of a run; scores are of its end unless said"
        in values["notes"]
    )


def test_the_plan_says_so_and_what_the_weights_take(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert place.run(*THREE, "--plan") == 0
    assert "likelihoods at 3 checkpoints of each row; fine-tunings that keep them are not" in capsys.readouterr().out
    found = {}
    for argv in (THREE, []):
        assert place.run(*argv, "--plan", "--json") == 0
        found[len(argv)] = json.loads(capsys.readouterr().out)
    assert (found[2]["checkpoints"], found[0]["checkpoints"]) == ([3], [1])
    parameters = sum(s["parameters"] for s in found[0]["stages"] if s["kind"] == "finetune")
    assert found[2]["checkpoint_bytes"] - found[0]["checkpoint_bytes"] == 2 * 4 * parameters
    kinds = [{s["kind"] for s in plan["stages"] if s["finished"]} for plan in (found[2], found[0])]
    assert kinds[0] - kinds[1] == {"finetune", "evaluate", "likelihood"}, "the pre-training is the same one"


def test_a_report_made_anew_and_its_page_have_it(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert place.run(*THREE, "--finished-only", "--json") == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    page = write_page(str(place.folder / "store"), "trial", "micro", place.folder / "page.html").read_text()
    assert "such noise is a lower bound" in page
    assert [row["rank_within_run"] for row in rows] == [True, True]
    ranks = [f"{row['rank']}{'≈' if row['rank_shared'] else ''}?" for row in rows]
    assert re.findall(r"<td>(\d≈?\?)</td>", page) == ranks


def test_another_number_of_checkpoints_is_another_study(place: Place) -> None:
    assert place.run("--finished-only") == 3
    assert place.run("--checkpoints", "2:2", "--finished-only") == 3
    assert place.run(*THREE, "--finished-only") == 0


def test_runs_in_mlflow_have_mean_and_deviation(place: Place) -> None:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(place.tracking_uri)
    experiment = client.get_experiment_by_name("t5grid/trial/micro")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], "tags.`t5grid.kind` = 'row'")
    for run in runs:
        assert run.data.metrics["final/bits/doc_qa"] > 0
        assert run.data.metrics["final/bits_checkpoint_sd/doc_qa"] > 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1", "checkpoints='1': give how many of the last checkpoints, 2 or more, and how many steps apart"),
        ("many", "checkpoints='many': give how many"),
        ("3:", "checkpoints='3:': give how many"),
        ("3:0", "checkpoints='3:0': give how many"),
        ("-3", "checkpoints='-3': give how many"),
        ("11", "checkpoints='11:1': 1 steps apart, a fine-tuning of 10 steps has 10: give fewer, or nearer"),
        ("3:5", "checkpoints='3:5': 5 steps apart, a fine-tuning of 10 steps has 2: give fewer, or nearer"),
    ],
)
def test_what_makes_no_sense_is_one_line(
    text: str, message: str, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert place.run(f"--checkpoints={text}") == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1


def test_a_search_takes_none(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """Its trials are compared by their scores."""
    assert search(micro_study.study(), lambda _: (), {"micro": place.scales["micro"]}, THREE, unsupervised=1.0) == 2
    assert "unrecognized arguments: --checkpoints 3:2" in capsys.readouterr().err
