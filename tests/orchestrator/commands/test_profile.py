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


def test_a_profiled_study_has_the_same_keys_and_says_where_its_traces_lie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def locally(plan: Plan, store: Store, *, events: Any, **_: Any) -> Any:
        return run_locally(plan, store, events=events)

    monkeypatch.setattr("orchestrator.commands.study.run_plan", locally)
    scales = {"micro": micro_study.scale(micro_study.write_documents(tmp_path / "text.jsonl"))}
    study = micro_study.study().select("none")
    command = ["--store", str(tmp_path / "store"), "--tracking-uri", f"sqlite:///{tmp_path / 'mlflow.db'}"]
    plans = [
        plan_of(study, Options.parse("", ["micro"], [*command, *more]).scale_of(scales)) for more in ([], ["--profile"])
    ]
    assert list(plans[0].stages) == list(plans[1].stages)
    trained = [stage for stage in plans[1].stages.values() if stage.trains]
    assert [stage.settings["train"]["profile_steps"] for stage in trained] == [PROFILED_STEPS] * len(trained)

    assert main(study, scales, [*command, "--profile"]) == 0
    store = open_store(tmp_path / "store")
    said = [line.split()[1] for line in capsys.readouterr().out.splitlines() if line.startswith("profile ")]
    assert said == [f"{tmp_path / 'store'}/{stage.folder}/profile/trace.json" for stage in trained]
    assert all(Path(path).stat().st_size > 1000 for path in said)
    assert store.verify(trained[0]).result["decisions"][-1]["what"] == "profile"

    assert main(study, scales, [*command, "--profile"]) == 0
    assert "none: every training was in the store already; take another --store" in capsys.readouterr().out
