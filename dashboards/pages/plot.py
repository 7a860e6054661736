"""The plot of a study: a dot for each score, its noise as a bar, the baseline as a line."""

import io
from collections.abc import Mapping
from typing import Any

THRESHOLD_SD = 1.96


def dot_plot(comparison: Mapping[str, Any]) -> str:
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
        found = "" if cell.get("within_run") else cell["mark"][:1]
        color = {"▲": "#1a7f37", "▼": "#c0362c"}.get(found, "#57606a")
        bar = THRESHOLD_SD * cell["sd"] if cell["sd"] is not None else None
        panel.errorbar(cell["score"], y, xerr=bar, fmt="o", markersize=4, linewidth=1, color=color)
    panel.set_title(task["label"].replace("_", " "), fontsize=9)
    panel.set_ylim(-0.6, len(rows) - 0.4)
    panel.grid(axis="x", linewidth=0.3)
    for side in ("top", "right", "left"):
        panel.spines[side].set_visible(False)
    panel.tick_params(axis="y", length=0)
