"""The tables and reports of a plan's studies, each as soon as its study is complete.

    tables = Tables(plan, store, console)
    run_plan(plan, store, events=tables)
    tables.rest(outcomes)                  # those that are not out: rows of theirs failed

A plan of one study has nothing to tell before its end, and is left until then.
"""

import logging
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from rich.console import Console

from orchestrator.engine.events import Event, StageFinished
from orchestrator.engine.outcomes import Outcomes
from orchestrator.plan.plan import Plan
from orchestrator.results.compare import Comparison, to_dict
from orchestrator.results.rows import comparison_of, rejected_input
from orchestrator.results.stored import stored_outcomes
from orchestrator.results.table import render
from orchestrator.store import Store
from orchestrator.store.reports import write_report
from t5core.errors import ConfigError

_logger = logging.getLogger(__name__)


class Tables:
    """Takes a run's events, and what came of them at its end.

    Args:
        plan: of one study or of several.
        store: where results are, and where reports go.
        console: where tables are shown; None: nowhere.
        looks: as in ``compare``.
    """

    def __init__(self, plan: Plan, store: Store, console: Console | None, *, looks: int = 1) -> None:
        self._store = store
        self._console = console
        self._looks = looks
        self._plans = {study.name: plan.of_study(study.name) for study in plan.studies}
        self._left = {name: set(own.stages) for name, own in self._plans.items()} if len(self._plans) > 1 else {}
        self._comparisons: dict[str, Comparison] = {}

    @property
    def comparisons(self) -> Mapping[str, Comparison]:
        """Those that are out, by study, in the plan's order."""
        return MappingProxyType({name: self._comparisons[name] for name in self._plans if name in self._comparisons})

    def __call__(self, event: Event) -> None:
        """Takes one event; a study of which every stage is finished is compared and told of."""
        if not isinstance(event, StageFinished):
            return
        for name, left in list(self._left.items()):
            left.discard(event.key)
            if not left:
                del self._left[name]
                try:
                    self._out(name, stored_outcomes(self._plans[name], self._store))
                except (ConfigError, OSError) as error:  # a store that is away for a moment; the others train on
                    _logger.warning("the table of %s comes at the end: %s", name, error)

    def rest(self, outcomes: Outcomes) -> str:
        """Tells of the studies that are not out, in the plan's order.

        Returns:
            Why preparation refused what one of them was given, "" where it did not: such a study has no table.
        """
        refused = ""
        for name, own in self._plans.items():
            if name in self._comparisons:
                continue
            own_outcomes = replace(outcomes, by_key={key: outcomes[key] for key in own.stages})
            rejected = rejected_input(own_outcomes)
            if rejected is None:
                self._out(name, own_outcomes)
            refused = refused or rejected or ""
        return refused

    def _out(self, name: str, outcomes: Outcomes) -> None:
        comparison = comparison_of(self._plans[name], outcomes, self._store, looks=self._looks)
        write_report(self._store, self._plans[name], to_dict(comparison))
        self._comparisons[name] = comparison
        if self._console is not None:
            render(comparison, self._console)
