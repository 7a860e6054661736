"""Does a larger scale confirm what a smaller one tells? Two reports of a study, beside each other.

Both are made anew from the stages in the store, since a report alone does not say which of its rows can be told apart.
"""

import json

from orchestrator.results.confirm import confirm
from orchestrator.results.confirm_shown import render, to_dict
from orchestrator.results.stored import Stored, stored_comparison
from orchestrator.store import open_store
from orchestrator.store.reports import find_report
from t5core.errors import ConfigError

_KEY_DIGITS = 8


def show_comparison(store_uri: str, study: str, first: str, second: str, *, as_json: bool = False) -> None:
    """Prints what the first report tells apart and what the second one says of it.

    Args:
        store_uri: of the store that holds both.
        study: name of the study.
        first: a scale, for its newest report, or a plan's key, as ``find_report`` takes it.
        second: likewise.
        as_json: one JSON object in place of tables.

    Raises:
        ConfigError: a report is not there or not whole, both are the same, or they have not two rows in common.
    """
    store = open_store(store_uri)
    reports = [find_report(store, study, wanted) for wanted in (first, second)]
    asked = f"{first} {second}"
    if reports[0].name == reports[1].name:
        way_out = "name another one, or the keys of two plans"
        raise ConfigError("compare", asked, f"both are the report {reports[0].name}: {way_out}")
    one, other = (stored_comparison(store, report) for report in reports)
    names = _names(one, other)
    try:
        shared_runs = len(one.runs & other.runs)
        remarks = (one.remarks, other.remarks)
        found = confirm(one.comparison, other.comparison, names, shared_runs=shared_runs, remarks=remarks)
    except ValueError:
        rows = [
            ", ".join(row.name for row in s.comparison.rows if row.name in s.comparison.standing) for s in (one, other)
        ]
        told = "; ".join(f"{name} ranks {of or 'none'}" for name, of in zip(names, rows, strict=True))
        raise ConfigError("compare", asked, f"no two rows have a standing in both: {told}") from None
    if as_json:
        values = {"study": study, "reports": [one.report, other.report], **to_dict(found)}
        print(json.dumps(values, ensure_ascii=False, indent=1, allow_nan=False))
    else:
        render(found, f"{study}: what {names[0]} tells apart, and what {names[1]} says of it")


def _names(one: Stored, other: Stored) -> tuple[str, str]:
    """The scales; with the plans' keys where both are of one."""
    if one.plan.scale != other.plan.scale:
        return one.plan.scale, other.plan.scale
    first, second = (f"{s.plan.scale}-{s.plan.key[:_KEY_DIGITS]}" for s in (one, other))
    return first, second
