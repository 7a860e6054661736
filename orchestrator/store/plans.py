"""Plans as files of a store, ``plans/STUDY-SCALE-KEY.json``, written before anything runs.

Whatever happens after a run (reports, MLflow, cleaning up, explaining) reads them and needs no study file.
"""

import logging
from collections.abc import Iterator

from orchestrator.plan.plan import Plan
from orchestrator.store.store import Store
from t5core.errors import ConfigError

FOLDER = "plans"
_logger = logging.getLogger(__name__)


def write_plan(store: Store, plan: Plan, name: str = "") -> str:
    """Keeps a plan and returns its name; the same rows of the same experiments have one file.

    Args:
        store: of the run.
        plan: that is about to run.
        name: "" for STUDY-SCALE-KEY; one of its own for a plan that grows.
    """
    called = name or plan.name
    store.write_record(f"{FOLDER}/{called}.json", plan.to_json())
    return called


def read_plan(store: Store, name: str) -> Plan:
    """Returns the plan called STUDY-SCALE-KEY.

    Raises:
        ConfigError: there is none of that name, or it cannot be read.
    """
    text = store.read_record(f"{FOLDER}/{name}.json")
    if text is None:
        there = plan_names(store)
        known = f"there are {', '.join(there)}" if there else "none is kept there yet"
        raise ConfigError("plan", name, f"not in {store.shown_uri}: {known}", choices=there)
    try:
        return Plan.from_json(text)
    except ValueError as error:
        raise ConfigError("plan", name, str(error)) from None


def plan_names(store: Store) -> list[str]:
    """Returns the names of the plans that a store keeps, in order."""
    return [name.removesuffix(".json") for name in store.record_names(FOLDER)]


def read_plans(store: Store) -> Iterator[Plan]:
    """Iterates over a store's plans; one that cannot be read is passed over with a warning."""
    for name in plan_names(store):
        try:
            yield read_plan(store, name)
        except ConfigError as error:
            _logger.warning("passed over: %s", error)
