"""Several studies as one plan: shared stages run once, every study has its table and report, bad input is one line."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import micro_study
import pytest
from micro_place import RUN_PLAN, only_what_is_there

from orchestrator.commands.grid import ALL, Listed, main
from orchestrator.commands.study import main as study_main
from orchestrator.engine.events import Event, StageFinished, StageStarted
from orchestrator.engine.inline import run_locally
from orchestrator.plan.plan import Plan
from orchestrator.plan.study import Row, Scale, Study
from orchestrator.store import Store, open_store
from orchestrator.store.plans import plan_names, read_plan
from orchestrator.store.reports import read_report, report_names
from t5core.arguments import OneLineParser
from t5core.config import ObjectiveConfig
from t5core.errors import ConfigError

SPANS_OF_3 = ObjectiveConfig(mean_noise_span_length=3.0)


def lengths(name: str = "lengths") -> Study:
    """A second study, whose baseline is the first one's under another name."""
    return Study(
        name=name,
        title="Lengths",
        baseline="base",
        rows=(
            Row(name="base", label="Single tokens", changes={"objective": ObjectiveConfig()}),
            Row(name="span-3", label="Spans of 3", changes={"objective": SPANS_OF_3}),
        ),
    )


CATALOGUE = (Listed.of(micro_study.study()), Listed.of(lengths()))


class Place:
    """A folder with text, a store and an MLflow database."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.scales = {"micro": micro_study.scale(micro_study.write_documents(folder / "text.jsonl"))}
        self.tracking_uri = f"sqlite:///{folder / 'mlflow.db'}"
        self.store = open_store(folder / "store")

    def argv(self, *argv: str) -> list[str]:
        places = ["--store", str(self.folder / "store"), "--tracking-uri", self.tracking_uri]
        return [*places, "--accelerator", "cpu", *argv]

    def run(self, names: str, *argv: str, catalogue: tuple[Listed, ...] = CATALOGUE) -> int:
        return main(catalogue, self.scales, names, self.argv(*argv))


class Told:
    """Runs plans in this process and writes down what happens, and which reports are there as it does."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.events: list[Event] = []
        self.plan: Plan
        self.reports_when_finished: dict[str, list[str]] = {}

    def __call__(self, plan: Plan, store: Store, *, events: Any, **_: Any) -> Any:
        self.plan = plan

        def told(event: Event) -> None:
            events(event)
            self.events.append(event)
            if isinstance(event, StageFinished):
                self.reports_when_finished[event.key] = report_names(store)

        return run_locally(plan, store, events=told)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """Both studies, run to their end with two seeds."""
    found = Told(Place(tmp_path_factory.mktemp("grid")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RUN_PLAN, found)
        assert found.place.run("lengths,trial", "--seeds", "2") == 0
    return found


def test_a_stage_that_two_studies_need_runs_once(told: Told) -> None:
    started = Counter(event.key for event in told.events if isinstance(event, StageStarted))
    assert set(started) == set(told.plan.stages) and set(started.values()) == {1}
    kinds = Counter(told.plan.stages[key].kind for key in started)
    # three objectives (one of them none) and two seeds; the two baselines are one
    assert kinds["corpus"] == kinds["vocabulary"] == kinds["tokens"] == kinds["tasks"] == 1
    assert (kinds["pretrain"], kinds["finetune"], kinds["evaluate"], kinds["likelihood"]) == (4, 6, 6, 6)
    rows = {(row.study, row.name, row.seed): row for row in told.plan.rows}
    assert len(rows) == 8
    assert rows["trial", "spans", 1].stages == rows["lengths", "base", 1].stages


def test_rows_come_in_the_catalogues_order_whatever_was_typed(told: Told) -> None:
    assert [study.name for study in told.plan.studies] == ["trial", "lengths"]


def test_every_study_has_its_plan_and_report_under_its_own_name(told: Told) -> None:
    store = told.place.store
    own = {name: told.plan.of_study(name) for name in ("trial", "lengths")}
    assert report_names(store) == sorted(plan.name for plan in own.values())
    assert plan_names(store) == sorted([told.plan.name, *(plan.name for plan in own.values())])
    assert told.plan.name.startswith("all-micro-")
    for name, rows in {"trial": ["none", "spans"], "lengths": ["base", "span-3"]}.items():
        report = read_report(store, name, "micro")
        assert sorted(row["name"] for row in report.comparison["rows"]) == rows
        assert {row["seeds"] for row in report.comparison["rows"]} == {2}
        assert read_plan(store, report.name).rows == own[name].rows


def test_a_study_that_is_complete_is_reported_while_the_other_runs(told: Told) -> None:
    keys = [event.key for event in told.events if isinstance(event, StageFinished)]
    trial = told.plan.of_study("trial")
    complete = max(keys.index(key) for key in trial.stages)
    assert complete < len(keys) - 1  # the other study goes on
    before, at = told.reports_when_finished[keys[complete - 1]], told.reports_when_finished[keys[complete]]
    assert (before, at) == ([], [trial.name])


def test_alone_a_study_finds_everything_done(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RUN_PLAN, only_what_is_there)
    before = {name: told.place.store.read_record(f"reports/{name}.json") for name in report_names(told.place.store)}
    assert study_main(lengths(), told.place.scales, told.place.argv("--seeds", "2")) == 0
    assert set(before) == set(report_names(told.place.store))
    again = told.place.store.read_record(f"reports/{told.plan.of_study('lengths').name}.json")
    old = json.loads(before[told.plan.of_study("lengths").name] or "")
    assert {**json.loads(again or ""), "written_at": 0} == {**old, "written_at": 0}


def test_each_study_has_its_own_experiment_in_mlflow(told: Told) -> None:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(told.place.tracking_uri)
    found = {e.name: e.experiment_id for e in client.search_experiments() if e.name != "Default"}
    assert set(found) == {"t5grid/trial/micro", "t5grid/lengths/micro"}
    for study, rows in {"trial": {"spans", "none"}, "lengths": {"base", "span-3"}}.items():
        runs = client.search_runs([found[f"t5grid/{study}/micro"]], "tags.`t5grid.kind` = 'row'")
        assert {(run.data.tags["t5grid.study"], run.info.status) for run in runs} == {(study, "FINISHED")}
        assert sorted((run.data.tags["t5grid.row"], run.data.tags["t5grid.seed"]) for run in runs) == sorted(
            (row, seed) for row in rows for seed in "01"
        )


def test_the_tables_as_json_are_one_object(
    told: Told, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(RUN_PLAN, only_what_is_there)
    assert told.place.run(ALL, "--seeds", "2", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert {name: table["baseline"] for name, table in said["studies"].items()} == {"trial": "spans", "lengths": "base"}
    assert said["accounting"]["lanes"] == 0


def test_a_row_that_fails_leaves_the_other_study_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = Place(tmp_path)
    monkeypatch.setattr(RUN_PLAN, Told(place))
    fails = Study(
        name="fails",
        title="Fails",
        baseline="none",
        rows=(
            Row(name="none", label="None", changes={"objective": None}),
            micro_study.diverging_row(tmp_path / "text.jsonl"),
        ),
    )
    trial = Listed.of(micro_study.study().select("none"))
    assert place.run("fails,trial", catalogue=(Listed.of(fails), trial)) == 1
    tables = {name: read_report(place.store, name, "micro").comparison for name in ("fails", "trial")}
    assert {row["name"]: row["status"] for row in tables["fails"]["rows"]} == {"none": "done", "diverges": "failed"}
    assert {row["status"] for row in tables["trial"]["rows"]} == {"done"}
    assert "Fails, scale micro" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("names", "argv", "message"),
    [
        ("lenghts", [], "studies='lenghts': there are trial, lengths, and all (did you mean 'lengths'?)"),
        ("", [], "studies='': name studies, like trial,lengths, or all alone"),
        ("all,trial", [], "studies='all,trial': name studies, like trial,lengths, or all alone"),
        ("trial,trial", [], "studies='trial': it is there twice: name each study once"),
        (
            "trial",
            ["--rows", "none,span-3"],
            "rows='span-3': a row of lengths, and what is asked for is trial: add the study",
        ),
        (
            "trial",
            ["--rows", "lengths/*"],
            "rows='lengths/*': a row of lengths, and what is asked for is trial: add the study",
        ),
        ("all", ["--rows", "trial/span-3"], "rows='trial/span-3': matches no row of trial, lengths (did you mean "),
        ("all", ["--rows", "spam-3"], "rows='spam-3': matches no row of trial, lengths (did you mean 'span-3'?)"),
        ("all", ["--rows", " , "], "rows=' , ': matches no row of trial, lengths"),
        (
            "all",
            ["--seeds", "auto"],
            "seeds='auto': seeds are added by the order of one study's rows: give a number for several studies",
        ),
        ("all", ["--scale", "mikro"], "scale='mikro': choose one of micro (did you mean 'micro'?)"),
        ("all", ["--boks", "a/"], "arguments='unrecognized arguments: --boks a/': see t5grid run --help"),
    ],
)
def test_bad_input_is_one_line_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], names: str, argv: list[str], message: str
) -> None:
    place = Place(tmp_path)
    assert main(CATALOGUE, place.scales, names, place.argv(*argv), prog="t5grid run") == 2
    err = capsys.readouterr().err
    assert err.startswith(f"error: {message}") and err.count("\n") == 1
    assert not (tmp_path / "store").exists() and not (tmp_path / "mlflow.db").exists()


def test_two_studies_with_one_name_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = Place(tmp_path)
    assert place.run("lengths", catalogue=(*CATALOGUE, Listed.of(lengths()))) == 2
    assert "studies='lengths': two studies have this name" in capsys.readouterr().err
    other = Listed(name="other", study=lambda _: lengths())  # it says another name than its list
    assert place.run(ALL, catalogue=(*CATALOGUE, other)) == 2
    assert "studies='lengths': two studies have this name" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ("trial/none", [("trial", "spans"), ("trial", "none")]),
        ("span-3", [("lengths", "base"), ("lengths", "span-3")]),
        ("none,lengths/*", [("trial", "spans"), ("trial", "none"), ("lengths", "base"), ("lengths", "span-3")]),
        ("*/span*", [("trial", "spans"), ("lengths", "base"), ("lengths", "span-3")]),
    ],
)
def test_globs_choose_rows_of_all_studies_or_of_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rows: str, expected: list[tuple[str, str]]
) -> None:
    place = Place(tmp_path)
    assert place.run(ALL, "--rows", rows, "--plan", "--json") == 0
    said = json.loads(capsys.readouterr().out)["rows"]
    assert [row["name"] for row in said] == [name for _, name in expected]


def choosy() -> Listed:
    """A study that needs a flag of its own."""

    def flags(parser: OneLineParser) -> None:
        parser.add_argument("--list")

    def changes(_: Any) -> dict[str, Any]:
        raise ConfigError("list", None, "the rows need it: give --list")

    study = Study(name="choosy", title="", baseline="a", rows=(Row(name="a", label="A", changes=changes),))
    return Listed(name="choosy", study=lambda _: study, flags=flags)


def test_all_leaves_out_a_study_that_needs_what_was_not_given_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place, catalogue = Place(tmp_path), (*CATALOGUE, choosy())
    ran = []
    monkeypatch.setattr("orchestrator.commands.grid.run_together", lambda studies, *_: ran.append(studies) or _Ran)
    assert place.run(ALL, catalogue=catalogue) == 0
    assert [study.name for study in ran[0]] == ["trial", "lengths"]
    assert "left out     choosy (list=None: the rows need it: give --list)" in capsys.readouterr().out
    for names, argv in (("trial,choosy", []), (ALL, ["--list", "x"])):
        assert place.run(names, *argv, catalogue=catalogue) == 2
        assert capsys.readouterr().err == "error: list=None: the rows need it: give --list\n"


class _Ran:
    code = 0


def test_a_corpus_of_ones_own_is_looked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, looked = Place(tmp_path), []
    from t5core.corpora import identify

    monkeypatch.setattr("orchestrator.commands.flags.identify", lambda c: looked.append(c) or identify(c))
    assert place.run(ALL, "--corpus", str(tmp_path / "text.jsonl"), "--plan", "--json") == 0
    assert len(looked) == 1


def test_scales_that_studies_adapt_each_hold_for_their_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = Place(tmp_path)

    def shorter(baseline: Any) -> dict[str, Any]:
        return {"finetune": baseline.finetune.replace(steps=7)}

    catalogue = (Listed.of(micro_study.study()), Listed.of(replace(lengths(), defaults=shorter)))
    scale: Scale = place.scales["micro"]
    assert scale.baseline.finetune.steps == 10
    assert place.run(ALL, "--plan", "--json", catalogue=catalogue) == 0
    said = json.loads(capsys.readouterr().out)
    tokens = Counter(stage["tokens"] for stage in said["stages"] if stage["kind"] == "finetune")
    assert tokens == {10 * 8 * 48: 2, 7 * 8 * 48: 2}
