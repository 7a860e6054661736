"""The corpora study: the table's rows, one vocabulary, the same tasks, lists of a user's own."""

import json
import socket
from pathlib import Path

import pytest

from orchestrator.plan.study import Scale, plan_of
from studies.corpora import VARIANTS, run, study
from studies.paper import paper_table
from studies.scales import C4, SCALES
from t5core.config import EXTRA_OF_VARIANTS, CorpusConfig
from t5core.corpora import identify
from t5core.errors import ConfigError


def on_files(folder: Path) -> Scale:
    """The scale tiny with some text of a user's own."""
    (folder / "text.jsonl").write_text(json.dumps({"text": "Some text of my own. " * 12, "url": "http://a.org"}) + "\n")
    corpus = identify(CorpusConfig(source="files", paths=(str(folder / "text.jsonl"),)))
    return Scale(name="tiny", purpose="a test", baseline=SCALES["tiny"].baseline.replace(corpus=corpus))


def test_the_rows_are_those_of_the_table() -> None:
    assert [row.paper_cell for row in study().rows] == [f"Table 8, {row.name}" for row in paper_table(8).rows]
    assert study().rows[2].paper["SGLUE"] == 72.38


def test_each_row_has_its_own_text_and_all_have_one_vocabulary_and_the_same_tasks() -> None:
    plan = plan_of(study(), SCALES["tiny"])
    for role, count in {"corpus": 6, "vocabulary": 1, "tasks": 1, "tokens": 6, "pretrain": 6, "evaluate": 6}.items():
        assert len({row.stages[role] for row in plan.rows}) == count
    first = plan.rows[0].stages
    assert plan.stages[first["vocabulary"]].inputs["corpus"] == first["corpus"]
    plain = plan.stages[plan.stages[first["tasks"]].inputs["corpus"]]
    assert "variant" not in plain.config["corpus"] and plain.kind == "corpus"


def test_a_users_text_needs_lists_for_the_rows_that_go_by_them(tmp_path: Path) -> None:
    scale = on_files(tmp_path)
    assert len(plan_of(study().select("unfiltered,wikipedia"), scale).rows) == 3
    with pytest.raises(ConfigError, match="domains=None: row realnews-like needs it: give --domains, or choose other"):
        plan_of(study(), scale)
    lists = {}
    for variant, flag in EXTRA_OF_VARIANTS.items():
        (tmp_path / f"{flag}.txt").write_text("http://a.org 3\n")
        lists[variant] = (str(tmp_path / f"{flag}.txt"),)
    assert len(plan_of(study(lists), scale).rows) == len(VARIANTS)
    with pytest.raises(ConfigError, match="the embedded corpus has stand-ins"):
        plan_of(study(lists), SCALES["tiny"])


def test_c4_on_the_hub_is_what_the_rules_left(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"corpus='hf:allenai/c4.*the rows need pages as they were: give --corpus"):
        plan_of(study(), SCALES["paper"])


def test_pages_as_crawled_on_the_hub_take_lists_and_are_planned_without_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", None)  # whoever asks the network fails
    crawled = ["--corpus", f"hf:allenai/c4:en.noclean@{C4.partition('@')[2]}"]
    common = ["--scale", "paper", "--plan", "--json", "--store", str(tmp_path / "store"), *crawled]
    assert run(common) == 2
    assert "give --domains" in capsys.readouterr().err
    lists = []
    for flag in EXTRA_OF_VARIANTS.values():
        (tmp_path / f"{flag}.txt").write_text("http://a.org 3\n")
        lists += [f"--{flag}", str(tmp_path / f"{flag}.txt")]
    assert run([*common, *lists]) == 0
    plan = json.loads(capsys.readouterr().out)
    kinds = [stage["kind"] for stage in plan["stages"]]
    assert (len(plan["rows"]), kinds.count("corpus"), kinds.count("vocabulary")) == (6, 6, 1)


def test_tasks_of_other_text_than_is_trained_on_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="tasks_corpus='embedded': tasks are judged by what their corpus holds out"):
        on_files(tmp_path).baseline.replace(tasks_corpus=CorpusConfig())


def test_the_command_line_gives_lists_and_plans(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scale = on_files(tmp_path)
    text = ["--corpus", scale.baseline.corpus.paths[0], "--store", str(tmp_path / "store"), "--plan", "--json"]
    assert run([*text, "--rows", "realnews-like"]) == 2
    assert "give --domains" in capsys.readouterr().err
    (tmp_path / "domains.txt").write_text("a.org\n")
    assert run([*text, "--rows", "realnews-like", "--domains", str(tmp_path / "domains.txt")]) == 0
    assert json.loads(capsys.readouterr().out)
