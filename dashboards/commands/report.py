"""One HTML page about one study, nothing fetched from anywhere when it is opened.

A study keeps its comparison in its store, ``reports/STUDY-SCALE-KEY.json``; ``dashboards.pages`` draws it.
"""

from pathlib import Path

from dashboards.pages.page import render_page
from orchestrator.store import open_store
from orchestrator.store.reports import read_report
from t5core.errors import ConfigError


def write_page(store_uri: str, study: str, scale: str, out: Path, *, key: str = "") -> Path:
    """Draws the page of a study's comparison and returns where it is.

    Args:
        store_uri: of the store.
        study: name of the study.
        scale: name of its scale.
        out: file to write.
        key: of the plan, or how it begins; "" for the newest.

    Raises:
        ConfigError: the study left no comparison in this store, or ``out`` cannot be written.
    """
    report = read_report(open_store(store_uri), study, scale, key)
    page = render_page(report.comparison, study=study, scale=scale)
    try:
        out.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ConfigError("out", str(out), f"{error.strerror}: name another file with --out") from None
    return out.absolute()
