"""One HTML page about one study: the table and a dot plot, nothing fetched from anywhere when it is opened.

A study writes its comparison into its store, ``reports/STUDY-SCALE.json`` (``orchestrator.results.compare.to_json``);
`dashboards.pages` draws it.
"""

import json
from pathlib import Path
from typing import Any

import fsspec

from dashboards.pages.page import render_page
from orchestrator.store import open_store
from t5core.errors import ConfigError
from t5core.uris import masked


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
    store_uri = open_store(store_uri).uri  # says in one line what is wrong with an address
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
