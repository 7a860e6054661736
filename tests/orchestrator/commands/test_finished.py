"""A study is asked whether it is finished; a script that is none is not, nor one that cannot have been finished."""

from pathlib import Path

import pytest

from orchestrator.commands.finished import shown_if_finished

STUDY = """
import pathlib, sys
if False:
    from orchestrator.commands.study import main
pathlib.Path("asked").write_text(" ".join(sys.argv[1:]))
"""
FINISHED = STUDY + "print('a table: ≈')\nprint('a warning', file=sys.stderr)\n"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A folder that holds a study's report."""
    reports = tmp_path / "store" / "reports"
    reports.mkdir(parents=True)
    (reports / "objectives-tiny-0.json").write_text("{}")
    return tmp_path / "store"


def ask(folder: Path, script: str, *flags: str) -> bool:
    (folder / "study.py").write_text(script, encoding="utf-8")
    return shown_if_finished(["study.py", *flags], {}, folder)


def test_what_a_finished_study_says_is_shown(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(tmp_path, FINISHED, "--store", str(store), "--rows", "span*")
    assert (tmp_path / "asked").read_text() == f"--finished-only --store {store} --rows span*"
    assert capsys.readouterr() == ("looking whether it is finished already ...\na table: ≈\n", "a warning\n")


@pytest.mark.parametrize("end", ["sys.exit(3)", "sys.exit('error: scale=...')", "sys.exit(2)", "1 / 0"])
def test_one_that_is_not_or_cannot_tell_is_left_to_the_job(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], end: str
) -> None:
    assert not ask(tmp_path, f"{FINISHED}{end}\n", f"--store={store}")
    assert (tmp_path / "asked").exists()
    assert capsys.readouterr() == ("looking whether it is finished already ...\n", "")


@pytest.mark.parametrize(
    "script", [FINISHED.replace("commands.study", "commands.flags"), "not Python", "\x00", "# from orchestrator..."]
)
def test_a_script_that_is_no_study_is_not_run(store: Path, tmp_path: Path, script: str) -> None:
    assert not ask(tmp_path, script, "--store", str(store))
    assert not (tmp_path / "asked").exists()


def test_what_is_no_file_is_not_run(store: Path, tmp_path: Path) -> None:
    for command in (["-c", "print(1)"], ["none.py"], [str(tmp_path)]):
        assert not shown_if_finished([*command, "--store", str(store)], {}, tmp_path)


def test_a_store_without_a_report_is_not_asked_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for flags in (["--store", f"{tmp_path}/none"], ["--store", "no://where"], ["--store"]):
        assert not ask(tmp_path, FINISHED, *flags)
    monkeypatch.setenv("T5GRID_HOME", str(tmp_path))  # and so it is where nobody names one
    assert not ask(tmp_path, FINISHED)
    assert not (tmp_path / "asked").exists()
    assert list(tmp_path.iterdir()) == [tmp_path / "study.py"]


def test_the_default_store_is_asked_about(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("T5GRID_HOME", str(tmp_path))
    assert ask(tmp_path, FINISHED)
