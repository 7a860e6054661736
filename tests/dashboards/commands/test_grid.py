"""``t5grid run``, ``plan`` and ``explain``: what they say, and what they refuse in one line."""

import json
import subprocess
import sys
from collections import Counter

import pytest

from dashboards.cli import main
from orchestrator.plan.cost import critical_path, row_costs
from orchestrator.plan.plan import Plan
from orchestrator.store import open_store
from studies.catalogue import CATALOGUE

ROWS = "objectives/span-3,mixing/equal"


@pytest.fixture
def asked(tmp_path, capsys, monkeypatch):
    """Runs a verb with a store in ``tmp_path``; returns its exit code, output and errors."""
    monkeypatch.setenv("T5GRID_HOME", str(tmp_path / "home"))

    def ask(*argv):
        code = main([*argv, "--store", str(tmp_path / "store")])
        said = capsys.readouterr()
        return code, said.out, said.err

    return ask


def test_the_catalogue_is_in_the_papers_order_and_names_each_study_as_it_names_itself():
    names = [listed.name for listed in CATALOGUE]
    papers = (
        *("baseline", "architectures", "objectives", "corpora", "data_size"),
        *("finetuning", "mixing", "multitask", "scaling", "limits"),
    )
    assert names == [name for name in papers if name in names]
    assert {"architectures", "objectives", "corpora", "data_size", "mixing"} <= set(names)


def test_a_plan_says_what_each_row_adds_and_what_sharing_saves(asked, tmp_path):
    code, out, err = asked("plan", "mixing,objectives", "--rows", ROWS, "--price", "2", "--device", "H100", "--json")
    assert (code, err) == (0, "")
    said = json.loads(out)
    plan = Plan.from_json(out)  # it is a plan as a store keeps one
    assert not (tmp_path / "store").exists()
    assert [study.name for study in plan.studies] == ["objectives", "mixing"]  # in the paper's order
    assert [row.address for row in plan.rows] == [
        "objectives/replace-spans",
        "objectives/span-3",
        "mixing/baseline",
        "mixing/equal",
    ]
    costs, of_rows = said["costs"], row_costs(plan)
    assert [row["row"] for row in costs["rows"]] == [row.address for row in plan.rows]
    assert [row["flops"] for row in costs["rows"]] == [of.flops for of in of_rows]
    assert sum(row["added_flops"] for row in costs["rows"]) == pytest.approx(costs["flops"])
    assert sum(row["flops"] for row in costs["rows"]) == pytest.approx(costs["flops_without_sharing"])
    assert costs["flops"] < costs["flops_without_sharing"]  # both baselines pre-train alike
    hours = costs["flops"] / (0.4 * 989e12) / 3600
    assert costs["device"]["name"] == "H100" and costs["device_hours"] == pytest.approx(hours)
    assert costs["money"] == pytest.approx(2 * hours)
    assert (costs["stages_distinct"], costs["stages_finished"]) == (len(plan.stages), 0)
    path = [step["stage"] for step in costs["critical_path"]]
    assert path == [stage.folder for stage in critical_path(plan)]
    # three parts of training on everything take longer than pre-training and fine-tuning one after the other
    assert [folder.partition("/")[0] for folder in path if "part" in folder] == ["multitask"] * 3


def test_a_plan_for_people_states_its_assumptions(asked):
    code, out, _ = asked("plan", "objectives", "--rows", "span-3", "--scale", "paper", "--price", "2.5")
    assert code == 0
    assert "objectives at scale paper" in out and "objectives/span-3" in out
    assert "one H100 at 395.6 TFLOP/s (assumed: one card at 40 % of 989 TFLOP/s), at 2.5 an hour" in out
    assert "stages: " in out and " distinct, 0 finished" in out
    assert "critical path, " in out and "only training counts" in out


def test_all_at_the_papers_scale_can_be_planned_without_a_network(asked):
    code, out, _ = asked("plan", "all", "--scale", "paper", "--json")
    said = json.loads(out)
    assert code == 0
    assert "give --corpus" in said["left_out"]["corpora"]
    assert {study["name"] for study in said["studies"]} == {listed.name for listed in CATALOGUE} - {"corpora"}


def test_what_is_new_gone_or_changed_since_an_earlier_plan(asked, tmp_path):
    old = tmp_path / "old.json"
    old.write_text(asked("plan", "objectives", "--rows", "span-2,span-3", "--json")[1])
    code, out, _ = asked(
        *("plan", "objectives", "--rows", "span-3,span-5", "--finetune-steps", "900", "--diff", str(old))
    )
    assert code == 0
    lines = out[out.index("against the earlier plan") :].splitlines()
    assert lines[0].startswith("against the earlier plan: rows 1 new, 1 gone, 2 changed, 0 as before; stages ")
    assert lines[1:] == [
        "  new: objectives/span-5 seed 0",
        "  gone: objectives/span-2 seed 0",
        "  changed: finetune train.steps: 800 → 900 in objectives/replace-spans seed 0, objectives/span-3 seed 0",
    ]
    same = json.loads(asked("plan", "objectives", "--rows", "span-2,span-3", "--diff", str(old), "--json")[1])["diff"]
    assert (same["same_rows"], same["changed_rows"], same["new_stages"]) == (3, [], [])


def test_a_row_is_explained_by_its_nearest_neighbour_in_the_store(asked, tmp_path):
    def kept(*flags):
        plan = Plan.from_json(asked("plan", "objectives", "--rows", "span-3", "--json", *flags)[1])
        (row,) = (row for row in plan.rows if row.name == "span-3")
        return plan.by_role(row)

    store = open_store(tmp_path / "store")
    for stage in kept().values():
        work = store.work(stage)
        (work / "x").write_text("x")
        store.commit(stage, work, {})
    code, out, _ = asked("explain", "objectives/span-3")
    assert code == 0 and "objectives/span-3 seed 0 at scale tiny: 8 of 8 stages stored" in out
    code, out, _ = asked("explain", "objectives/span-3", "--finetune-steps", "900", "--json")
    (row,) = json.loads(out)["rows"]
    states = {role: stage["state"] for role, stage in row["stages"].items()}
    assert Counter(states.values()) == {"stored": 5, "missing": 3} and states["finetune"] == "missing"
    steps = {"field": "train.steps", "here": 900, "there": 800}
    assert row["stages"]["finetune"]["neighbour"]["differences"] == [steps]
    (through,) = row["stages"]["evaluate"]["neighbour"]["differences"]
    assert through == {**steps, "field": "trained > train.steps"}
    finetune = kept("--finetune-steps", "900")["finetune"]
    code, out, _ = asked("explain", finetune.key[:8], "--finetune-steps", "900")
    assert code == 0
    assert f"{finetune.folder}: missing, no run has begun it" in out and "train.steps: 900, there 800" in out
    assert "for objectives/span-3 seed 0" in out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["plan"], "arguments='': what it is about comes first: t5grid plan STUDY,STUDY|all"),
        (["run", "--scale", "tiny"], "arguments='--scale tiny': what it is about comes first: t5grid run "),
        (["run", "objektives"], "studies='objektives': there are "),
        (["run", "objectives", "--rows", "prefix-lm-lm"], "rows='prefix-lm-lm': a row of architectures, and what is "),
        (["run", "objectives,mixing", "--seeds", "auto:6"], "seeds='auto:6': seeds are added by the order of one "),
        (["run", "objectives", "--domains", "x"], "arguments='unrecognized arguments: --domains x': see t5grid run "),
        (["plan", "objectives", "--price", "dear"], "price='dear': give a number: what an hour costs"),
        (["plan", "objectives", "--price", "-1"], "price=-1.0: give what an hour of one device costs, 0 or more"),
        (["plan", "objectives", "--device", "H10"], "device='H10': rates are known of cpu, TPU v4, H100 (did you "),
        (["plan", "objectives", "--diff", "none.json"], "diff='none.json': No such file or directory: give a file "),
        (["explain", "objectives/span-33"], "stage='objectives/span-33': no row of a study, and no stage in "),
        (["explain", "finetune/"], "stage='finetune/': "),
    ],
)
def test_bad_input_is_one_line_and_starts_nothing(tmp_path, capsys, monkeypatch, argv, message):
    monkeypatch.setenv("T5GRID_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    assert main(argv) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"error: {message}") and err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_plan_is_refused(tmp_path, asked):
    (tmp_path / "old.json").write_text('{"rows": 3}')
    code, _, err = asked("plan", "objectives", "--rows", "span-3", "--diff", str(tmp_path / "old.json"))
    assert code == 2 and err.count("\n") == 1
    assert "give what `t5grid plan --json` wrote, or a file of a store's plans/" in err


def test_help_names_the_studies(capsys):
    assert main(["run", "--help"]) == 0
    assert "architectures, objectives" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "explain" in capsys.readouterr().out


def test_planning_needs_no_pytorch(tmp_path):
    """It takes longer to import than all studies to plan."""
    asked = ["plan", "all", "--scale", "paper", "--accelerator", "cpu", "--store", str(tmp_path / "store")]
    program = f"""
import sys
from dashboards.cli import main
code = main({asked!r})
print("heavy:", sorted({{"torch", "ray", "mlflow", "optuna", "scipy"}} & set(sys.modules)), "code:", code)
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout.splitlines()[-1] == "heavy: [] code: 0"
