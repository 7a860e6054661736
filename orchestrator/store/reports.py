"""Reports as files of a store, ``reports/STUDY-SCALE-KEY.json``: what the rows of a plan came to, the table and all.

A report goes by its plan, so a run of some rows does not replace the table of all of them. By the study and the scale
alone the newest is found.
"""

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.plan.plan import Plan
from orchestrator.store.store import Store
from t5core.errors import ConfigError

FOLDER = "reports"
_KEY = re.compile("-([0-9a-f]{16})$")
"""The key of a report's plan, at the end of its name; those of the first release have none."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """A comparison that a store keeps.

    Attributes:
        name: STUDY-SCALE-KEY, that of its plan.
        written_at: Unix time in seconds; 0 for those of the first release, which did not say.
        comparison: as ``orchestrator.results.compare.to_dict`` gives it.
    """

    name: str
    written_at: float
    comparison: Mapping[str, Any]


def write_report(store: Store, plan: Plan, comparison: Mapping[str, Any]) -> str:
    """Keeps the comparison of a plan's rows and returns the report's name."""
    values = {"plan": plan.name, "written_at": time.time(), **comparison}
    store.write_record(f"{FOLDER}/{plan.name}.json", json.dumps(values, ensure_ascii=False, indent=1))
    return plan.name


def report_names(store: Store) -> list[str]:
    """Returns the names of the reports that a store keeps, in order."""
    return [name.removesuffix(".json") for name in store.record_names(FOLDER)]


def read_report(store: Store, study: str, scale: str, key: str = "") -> Report:
    """Returns a study's report at a scale: that of a plan, or the newest.

    Args:
        store: where it is kept.
        study: name of the study.
        scale: name of its scale.
        key: of the plan, or how it begins; "" for the newest.

    Raises:
        ConfigError: there is none, the key's beginning fits several, or it cannot be read.
    """
    wanted = f"{study}-{scale}"
    there = report_names(store)
    # reports of the first release are called STUDY-SCALE alone
    found = [name for name in there if name == wanted or name.rpartition("-")[0] == wanted]
    if not found:
        known = f"there are {', '.join(there)}" if there else f"run `python studies/{study}.py --scale {scale}` first"
        raise ConfigError("report", wanted, f"none in {store.shown_uri}: {known}", choices=there)
    if key:
        fitting = [name for name in found if name.rpartition("-")[2].startswith(key)]
        if len(fitting) != 1:
            keys = ", ".join(name.rpartition("-")[2] for name in found)
            problem = "fits several" if fitting else "fits none"
            raise ConfigError("plan", key, f"{problem} of {wanted}'s plans: {keys}")
        return _read(store, fitting[0])
    return max((_read(store, name) for name in found), key=lambda report: report.written_at)


def find_report(store: Store, study: str, wanted: str) -> Report:
    """Returns the report of a study that a user names.

    Args:
        store: where it is kept.
        study: name of the study.
        wanted: a scale, for its newest report; or a plan: its key, SCALE-KEY or STUDY-SCALE-KEY, where KEY may be how
            the key begins.

    Raises:
        ConfigError: there is none, it fits several or is another study's, or it cannot be read.
    """
    there = report_names(store)
    of_study = {name: name.removeprefix(f"{study}-") for name in there if name.startswith(f"{study}-")}
    if not of_study:
        known = f"there are {', '.join(there)}" if there else f"run `python studies/{study}.py` first"
        studies = {_KEY.sub("", name).rpartition("-")[0] for name in there}
        raise ConfigError("report", study, f"none of this study in {store.shown_uri}: {known}", choices=studies)
    scales = {_KEY.sub("", short) for short in of_study.values()}
    short = wanted.removeprefix(f"{study}-")
    if short in scales:
        return read_report(store, study, short)
    scale, _, key = short.rpartition("-")
    fitting = [name for name in there if key and _key(name).startswith(key)]
    ours = [name for name in fitting if name in of_study and scale in ("", _KEY.sub("", of_study[name]))]
    if len(ours) == 1:
        return _read(store, ours[0])
    elsewhere = [name for name in fitting if name not in of_study]
    if ours:
        problem = "fits several"
    elif elsewhere:
        problem = f"is a plan of another study ({', '.join(elsewhere)}), and none"
    else:
        problem = "is neither a scale nor a plan"
    known = ", ".join(of_study.values())
    raise ConfigError("report", wanted, f"{problem} among the reports of {study}: {known}", choices=scales)


def _key(name: str) -> str:
    found = _KEY.search(name)
    return found[1] if found else ""


def _read(store: Store, name: str) -> Report:
    text = store.read_record(f"{FOLDER}/{name}.json")
    try:
        values = json.loads(text or "")
        written_at = float(values.get("written_at", 0.0))
    except (ValueError, TypeError, AttributeError):
        raise ConfigError("report", name, f"{FOLDER}/{name}.json is not JSON: run the study again") from None
    return Report(name=name, written_at=written_at, comparison=values)
