"""What a run of a plan asks while it goes on, where the plan is not known beforehand.

A search decides by the scores of what has finished what to do next. It steers: the run tells it every event, and it
answers with further stages or with nothing, until it says that there will be none.

    run ──StageFinished(evaluate a)──► steering ──Plan(train b, evaluate b)──► run
"""

from typing import Protocol

from orchestrator.engine.events import Event
from orchestrator.plan.plan import Plan
from orchestrator.store import Store


class Steering(Protocol):
    """Adds to a plan that runs. Called in the driver's main thread, event after event."""

    @property
    def open(self) -> bool:
        """Whether there may be more stages."""

    def after(self, event: Event) -> Plan | None:
        """Returns rows and stages to add, with all stages that they read; None for nothing."""


def held(plan: Plan, store: Store) -> set[str]:
    """Returns which of a plan's stages the store holds already."""
    return {key for key, stage in plan.stages.items() if store.finished(stage) is not None}
