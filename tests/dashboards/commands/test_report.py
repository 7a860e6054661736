"""A report is one file that shows the table and fetches nothing."""

import re
from html.parser import HTMLParser

import numpy as np

from dashboards.cli import main
from dashboards.pages.page import render_page
from dashboards.pages.plot import dot_plot
from orchestrator.results.compare import RowResult, TaskColumn, compare, to_dict, to_json


def comparison():
    def accuracy(scores_Nk):
        return 100 * scores_Nk.mean(axis=(-2, -1))

    tasks = [TaskColumn(task="summary_line", paper_column="CNNDM", aggregate=accuracy), TaskColumn(task="order")]
    rows = [RowResult(name="bad", label="<b>Bad</b>", status="failed", reason="no space & no way")]
    for name, right in (("base", 100), ("better", 150), ("worse", 20)):
        for seed in (0, 1):
            examples_Nk = (np.arange(200) < right + 2 * seed).astype(np.float64)[:, None]
            scores = {"summary_line": accuracy(examples_Nk), "order": 50.0 + right / 100}
            nats = 1600 / right * (1 + 0.01 * seed)
            bits_N4 = np.tile([nats, 8.0, 0.25 + 0.5 * seed, 1.0], (200, 1))
            rows.append(
                RowResult(
                    name=name, label=f"Row {name}", seed=seed, scores=scores, seconds=37.5,
                    example_scores={"summary_line": examples_Nk}, likelihoods={"summary_line": bits_N4},
                    label_auc={"summary_line": 75.0 + 10 * seed},
                    paper={"CNNDM": 19.24},
                )
            )  # fmt: skip
    return compare(rows, tasks, baseline="base", title="objectives, scale tiny")


def written(tmp_path):
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "objectives-tiny.json").write_text(to_json(comparison()))
    return tmp_path


def test_a_report_holds_the_table_the_plot_and_nothing_from_elsewhere(tmp_path, capsys):
    out = tmp_path / "page.html"
    assert main(["report", "objectives", "--store", str(written(tmp_path)), "--out", str(out)]) == 0
    assert capsys.readouterr().out.strip() == str(out)
    page = out.read_text(encoding="utf-8")
    assert re.search(
        r'title="standard deviation [^"]*; 1.933▲ bits per byte; labels 0.500 nats, AUC 80.0"><b>75.50</b>▲', page
    )
    assert "<th>standing</th>" in page and "51.00</td>" in page
    assert "19.24" in page
    assert "1:15" in page
    assert page.count("<svg") == 1
    assert not re.search(r"""(src|href)=["'](https?:|//)""", page.replace("xlink:href", "xlink"))
    assert "<script" not in page
    HTMLParser().feed(page)


def test_a_report_of_before_bits_and_standing_is_still_drawn():
    def old(values):
        new = {"bits", "bold", "borrowed", "standing", "rank_known", "takes_part", "tau_interval", "tau_unrelated"}
        new |= {
            "label_nats",
            "label_auc",
            "ranked_by",
            "signal_to_noise",
            "smallest_difference",
            "signal_wanted",
            "level",
        }
        if isinstance(values, dict):
            return {key: old(value) for key, value in values.items() if key not in new}
        return [old(value) for value in values] if isinstance(values, list) else values

    page = render_page(old(to_dict(comparison())), study="objectives", scale="tiny")
    assert "75.50▲" in page and "<svg" in page


def test_labels_and_reasons_are_text_not_markup():
    page = render_page(to_dict(comparison()), study="objectives", scale="tiny")
    assert "<b>Bad</b>" not in page
    assert "&lt;b&gt;Bad&lt;/b&gt;" in page
    assert "no space &amp; no way" in page


def test_the_same_comparison_gives_the_same_plot():
    assert dot_plot(to_dict(comparison())) == dot_plot(to_dict(comparison()))


def test_no_scores_give_no_plot():
    rows = [RowResult(name="base", label="", status="failed", reason="x")]
    empty = to_dict(compare(rows, [TaskColumn(task="order")], baseline="base"))
    assert dot_plot(empty) == ""
    assert "<svg" not in render_page(empty, study="s", scale="tiny")


def test_a_report_that_is_not_there_is_one_line(tmp_path, capsys):
    assert main(["report", "objektives", "--store", str(written(tmp_path))]) == 2
    error = capsys.readouterr().err
    assert "did you mean 'objectives-tiny'" in error
    assert error.count("\n") == 1


def test_a_page_that_cannot_be_written_is_one_line(tmp_path, capsys):
    assert (
        main(["report", "objectives", "--store", str(written(tmp_path)), "--out", str(tmp_path / "no" / "p.html")]) == 2
    )
    assert capsys.readouterr().err.startswith("out=")
