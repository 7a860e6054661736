"""One HTML page about one study: the table and a dot plot, nothing fetched from anywhere when it is opened.

A study writes its comparison into its store, ``reports/STUDY-SCALE.json`` (``orchestrator.results.table.to_json``); this room
only draws it. A dot is a row's score on a task, its bar 1.96 standard deviations to both sides, the line the
baseline.
"""

import io
import json
from pathlib import Path
from typing import Any

import fsspec
import jinja2

from orchestrator.results.table import duration
from orchestrator.store import Store
from t5core.errors import ConfigError
from t5core.uris import masked

THRESHOLD_SD = 1.96


def write_report(store_uri: str, study: str, scale: str, out: Path) -> Path:
    """Draws the page of a study's last comparison and returns where it is.

    Raises:
        ConfigError: the study left no comparison in this store, or ``out`` cannot be written.
    """
    page = render_page(load_comparison(store_uri, study, scale), study=study, scale=scale)
    try:
        out.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ConfigError("out", str(out), f"{error.strerror}: name another file with --out") from None
    return out.absolute()


def load_comparison(store_uri: str, study: str, scale: str) -> dict[str, Any]:
    """Reads ``reports/STUDY-SCALE.json`` of a store, a folder or a bucket; raises ConfigError if it is not there."""
    store_uri = Store.open(store_uri).uri  # says in one line what is wrong with an address
    files, root = fsspec.core.url_to_fs(store_uri)
    folder = f"{root.rstrip('/')}/reports"
    wanted = f"{study}-{scale}"
    try:
        content: dict[str, Any] = json.loads(files.cat_file(f"{folder}/{wanted}.json"))
    except FileNotFoundError:
        there = sorted(Path(name).stem for name in (files.ls(folder, detail=False) if files.isdir(folder) else []))
        known = f"there are {', '.join(there)}" if there else f"run `python studies/{study}.py --scale {scale}` first"
        raise ConfigError("report", wanted, f"none in {masked(store_uri)}: {known}", choices=there) from None
    except ValueError:
        raise ConfigError("report", wanted, f"{folder}/{wanted}.json is not JSON: run the study again") from None
    return content


def render_page(comparison: dict[str, Any], *, study: str, scale: str) -> str:
    """Returns the page: HTML with its style and its plot inside."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parents[1] / "pages"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["duration"] = duration
    template = environment.get_template("page.html")
    return template.render(c=comparison, study=study, scale=scale, plot=dot_plot(comparison))


def dot_plot(comparison: dict[str, Any]) -> str:
    """Returns an SVG with one panel per task, one line per row; "" when no row has a score."""
    rows = [row for row in comparison["rows"] if row["cells"]][::-1]  # matplotlib counts from below
    tasks = comparison["tasks"]
    if not rows or not tasks:
        return ""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.hashsalt": "t5grid", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(2.2 + 1.7 * len(tasks), 1.0 + 0.26 * len(rows)), layout="constrained")
        panels = figure.subplots(1, len(tasks), sharey=True, squeeze=False)[0]
        for panel, task in zip(panels, tasks, strict=True):
            _draw_panel(panel, task, rows, comparison["baseline"])
        panels[0].set_yticks(range(len(rows)), [row["label"] or row["name"] for row in rows])
        drawn = io.StringIO()
        figure.savefig(drawn, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    svg = drawn.getvalue()
    return svg[svg.index("<svg") :]


def _draw_panel(panel: Any, task: dict[str, str], rows: list[dict[str, Any]], baseline: str) -> None:
    for y, row in enumerate(rows):
        cell = row["cells"].get(task["task"])
        if cell is None:
            continue
        if row["name"] == baseline:
            panel.axvline(cell["score"], color="#888", linewidth=0.8, zorder=0)
        color = {"▲": "#1a7f37", "▼": "#c0362c"}.get(cell["mark"], "#57606a")
        bar = THRESHOLD_SD * cell["sd"] if cell["sd"] is not None else None
        panel.errorbar(cell["score"], y, xerr=bar, fmt="o", markersize=4, linewidth=1, color=color)
    panel.set_title(task["label"].replace("_", " "), fontsize=9)
    panel.set_ylim(-0.6, len(rows) - 0.4)
    panel.grid(axis="x", linewidth=0.3)
    for side in ("top", "right", "left"):
        panel.spines[side].set_visible(False)
    panel.tick_params(axis="y", length=0)
