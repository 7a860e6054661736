"""Two reports of a study beside each other, from the command line to what it prints."""

import json
import shutil

import pytest
from stored_study import store_study

from dashboards.cli import main
from orchestrator.store import open_store
from orchestrator.store.reports import report_names

TINY = {"base": 0.5, "a": 1.0, "b": 0.0, "x": 0.2}
DESK = {"base": 0.5, "a": 1.0, "b": 0.7, "y": 0.2}


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Two scales of a study, the first also in a plan of one seed, and another study."""
    folder = tmp_path_factory.mktemp("store")
    store = open_store(folder)
    plans = {
        "one": store_study(store, "tiny", TINY, seeds=(0,)),
        "tiny": store_study(store, "tiny", TINY),
        "desk": store_study(store, "desk", DESK),
        "far": store_study(store, "far", {"base": 0.5, "z": 1.0}),
        "other": store_study(store, "tiny", TINY, study="other"),
    }
    return folder, plans


def compared(stored, *more, study="trial"):
    return main(["report", study, "--store", str(stored[0]), "--compare", *more])


def test_the_console_says_what_the_larger_scale_confirms(stored, capsys):
    assert compared(stored, "tiny", "desk") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [
        "trial: what tiny tells apart, and what desk says of it",
        "of 3 pairs of rows that tiny told apart, desk confirms 2, contradicts 1, leaves 0 open; "
        "of 0 that tiny left open desk tells 0",
    ]
    assert [line.split()[0::4] for line in lines[4:7]] == [
        ["base", "contradicts"],
        ["a", "confirms"],
        ["a", "confirms"],
    ]
    assert {"only in tiny: x", "only in desk: y", "seeds of each row: tiny 3, desk 3"} <= set(lines)
    assert not any("behind both tables" in line for line in lines)


def test_the_json_holds_the_same(stored, capsys):
    assert compared(stored, "tiny", "desk", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["study"], found["reports"]) == ("trial", [stored[1]["tiny"].name, stored[1]["desk"].name])
    counts = {name: found["standing"][name] for name in ("told_by_first", "confirmed", "contradicted", "open")}
    assert counts == {"told_by_first": 3, "confirmed": 2, "contradicted": 1, "open": 0}
    assert [(p["better"], p["worse"], p["verdict"]) for p in found["standing"]["told"]] == [
        ("a", "base", "confirmed"),
        ("a", "b", "confirmed"),
        ("base", "b", "contradicted"),
    ]
    assert [line["by"] for line in found["lines"]] == ["doc_pair", "doc_cloze"]
    assert found["second"]["only"] == ["y"]


def test_plans_of_one_scale_go_by_their_keys_and_runs_of_both_are_told(stored, capsys):
    one, tiny = (stored[1][name] for name in ("one", "tiny"))
    assert compared(stored, tiny.key, f"tiny-{one.key[:10]}") == 0
    out = capsys.readouterr().out
    assert f"what tiny-{tiny.key[:8]} tells apart, and what tiny-{one.key[:8]} says of it" in out
    assert "can say nothing of them: the noise of its training is not known (use --seeds 2 or more)" in out
    assert "4 trainings are behind both tables" in out
    assert compared(stored, one.name, tiny.name) == 0
    assert f"tiny-{one.key[:8]} tells no two of the 4 rows apart" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("tiny", "dest"), "report='dest': is neither a scale nor a plan among the reports of trial: desk-"),
        (("tiny", "tiny"), "compare='tiny tiny': both are the report trial-tiny-"),
        (("tiny", ""), "report='': is neither a scale nor a plan"),
        (("tiny", "far"), "compare='tiny far': no two rows have a standing in both: tiny ranks "),
        (("tiny", "other-tiny"), "report='other-tiny': is neither a scale nor a plan among the reports of trial"),
        (("tiny", "OTHER"), "is a plan of another study (other-tiny-"),
        (("tiny",), "arguments='argument --compare: expected 2 arguments': see t5grid report --help"),
        (("tiny", "desk", "--scale", "mini"), "scale='mini': goes not with --compare"),
        (("tiny", "desk", "--plan", "01"), "plan='01': goes not with --compare"),
        (("tiny", "desk", "--out", "x.html"), "out='x.html': goes not with --compare"),
    ],
)
def test_what_cannot_be_compared_is_one_line_and_exit_code_2(stored, capsys, arguments, message):
    assert compared(stored, *(stored[1]["other"].key if x == "OTHER" else x for x in arguments)) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert (out, err.count("\n")) == ("", 1)


def test_a_study_without_reports_and_json_without_a_comparison_are_refused(stored, capsys):
    assert compared(stored, "tiny", "desk", study="trail") == 2
    assert capsys.readouterr().err.startswith("report='trail': none of this study in ")
    assert main(["report", "trial", "--store", str(stored[0]), "--json"]) == 2
    assert capsys.readouterr().err.startswith("json=True: goes with --compare")


def test_a_report_of_which_plan_or_stages_are_gone_is_one_line(stored, tmp_path, capsys):
    shutil.copytree(stored[0], tmp_path / "store")
    store = open_store(tmp_path / "store")
    assert len(report_names(store)) == 5
    shutil.rmtree(tmp_path / "store" / "evaluate")
    assert compared((tmp_path / "store", {}), "tiny", "desk") == 2
    assert "nothing of its rows is in" in capsys.readouterr().err
    store.remove_record(f"plans/{stored[1]['tiny'].name}.json")
    assert compared((tmp_path / "store", {}), "tiny", "desk") == 2
    assert "is of an earlier release, which did not keep what a comparison takes" in capsys.readouterr().err
