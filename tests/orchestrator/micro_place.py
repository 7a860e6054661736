"""The micro study in a folder of its own, from its command line on, without a Ray."""

from pathlib import Path
from typing import Any

import micro_study
import pytest

from orchestrator.commands.study import main
from orchestrator.engine.inline import run_locally
from orchestrator.plan.plan import Plan
from orchestrator.store import Store

RUN_PLAN = "orchestrator.commands.study.run_plan"
"""What a study's command runs its plan by."""


class Place:
    """A folder with text, a store and an MLflow database, and the study of two rows that runs in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.scales = {"micro": micro_study.scale(micro_study.write_documents(folder / "text.jsonl"))}
        self.tracking_uri = f"sqlite:///{folder / 'mlflow.db'}"

    def run(self, *argv: str) -> int:
        """Runs the study's command and returns its exit code."""
        places = ["--store", str(self.folder / "store"), "--tracking-uri", self.tracking_uri]
        return main(micro_study.study(), self.scales, [*places, "--accelerator", "cpu", *argv])


def finished(folder: Path, *argv: str) -> Place:
    """Returns a place in which the study was run to its end with these flags."""
    place = Place(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RUN_PLAN, locally)
        assert place.run(*argv) == 0
    return place


def locally(plan: Plan, store: Store, *, events: Any, **_: Any) -> Any:
    """Runs a plan in this process, in place of ``RUN_PLAN``."""
    return run_locally(plan, store, events=events)


def only_what_is_there(plan: Plan, store: Store, *, events: Any, **_: Any) -> Any:
    """The same where nothing is left to be run; an error otherwise."""
    assert not [stage.folder for stage in plan.stages.values() if store.finished(stage) is None]
    return run_locally(plan, store, events=events)
