"""--profile: traces of trainings, which stay the same stages."""

from pathlib import Path
from typing import Any

import micro_study
import pytest

from orchestrator.commands.flags import PROFILED_STEPS, Options
from orchestrator.commands.study import main
from orchestrator.engine.inline import run_locally
from orchestrator.plan.plan import Plan
from orchestrator.plan.study import plan_of
from orchestrator.store import Store, open_store

COMMAND = ("--tracking-uri", "sqlite:///{tmp}/mlflow.db", "--store", "{tmp}/store")


def command(folder: Path, *more: str) -> list[str]:
    return [*(word.format(tmp=folder) for word in COMMAND), *more]


def plan_in(folder: Path, *more: str) -> Plan:
    scales = {"micro": micro_study.scale(micro_study.write_documents(folder / "text.jsonl"))}
    options = Options.parse("", ["micro"], command(folder, *more))
    return plan_of(micro_study.study().select("none"), options.scale_of(scales))


def test_a_profiled_study_has_the_same_keys(tmp_path: Path) -> None:
    plain, profiled = plan_in(tmp_path), plan_in(tmp_path, "--profile")
    assert list(plain.stages) == list(profiled.stages)
    trained = [stage.settings["train"]["profile_steps"] for stage in profiled.stages.values() if stage.trains]
    assert trained and set(trained) == {PROFILED_STEPS}


@pytest.mark.slow
def test_a_profiled_study_says_where_its_traces_lie_and_that_a_stored_one_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def locally(plan: Plan, store: Store, *, events: Any, **_: Any) -> Any:
        return run_locally(plan, store, events=events)

    monkeypatch.setattr("orchestrator.commands.study.run_plan", locally)
    trained = [stage for stage in plan_in(tmp_path).stages.values() if stage.trains]
    scales, study = {"micro": micro_study.scale(tmp_path / "text.jsonl")}, micro_study.study().select("none")
    assert main(study, scales, command(tmp_path, "--profile")) == 0
    store = open_store(tmp_path / "store")
    said = [line.split()[1] for line in capsys.readouterr().out.splitlines() if line.startswith("profile ")]
    ours = [f"{tmp_path / 'store'}/{stage.folder}/profile/trace.json" for stage in trained]
    assert said == ours and all(Path(path).stat().st_size > 1000 for path in said)
    assert store.verify(trained[0]).result["decisions"][-1]["what"] == "profile"

    assert main(study, scales, command(tmp_path, "--profile")) == 0
    assert "none: every training was in the store already; take another --store" in capsys.readouterr().out
