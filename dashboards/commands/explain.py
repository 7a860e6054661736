"""``t5grid explain``: why a stage, or each stage of a row, is in the store or not.

    t5grid explain objectives/span-3 --scale tiny         # a row, as these flags would have it
    t5grid explain objectives/span-3 --finetune-steps 900
    t5grid explain pretrain/span-3-seed0                  # stages by their folder's beginning
    t5grid explain 1e78c086                               # or by their key's

A stage is looked for in the store, in the plans that lie there, and in the plan of all studies at ``--scale``.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console

from orchestrator.commands.console import plain_console
from orchestrator.commands.grid import ALL, chosen_of, parse, planned
from orchestrator.plan.fields import shown
from orchestrator.plan.plan import Plan, PlannedRow
from orchestrator.results.explained import Explained, Explanations, rows_with, stages_by_prefix
from orchestrator.store import Store, open_store
from orchestrator.store.plans import read_plans
from studies.catalogue import CATALOGUE
from studies.scales import SCALES
from t5core.errors import ConfigError

_MOST_STAGES = 12
_ROWS_NAMED = 4


def explain(about: str, flags: Sequence[str]) -> int:
    """Explains a row's stages, or the stages that a key or a folder begins; returns the exit code, 0.

    Raises:
        ConfigError: nothing is called so, or too much is.
    """
    study, _, name = about.partition("/")
    if name and any(listed.name == study for listed in CATALOGUE):
        row = _explain_row(study, name, flags)
        if row:
            return 0
    _explain_stages(about, flags)
    return 0


def _explain_row(study: str, name: str, flags: Sequence[str]) -> bool:
    """Explains the stages of a row, with every seed and rate that the flags ask for; False where there is no such."""
    options = parse(chosen_of(study, CATALOGUE), SCALES, flags, prog="t5grid explain")
    plan = planned(study, CATALOGUE, SCALES, options).plan
    rows = [row for row in plan.rows if name in (row.name, row.called)]
    if not rows:
        return False
    store = open_store(options.store)
    explanations = Explanations(store, plan.stages)
    told = [(row, [(role, explanations.of(key)) for role, key in row.stages.items()]) for row in rows]
    if options.json:
        print(json.dumps({"store": store.shown_uri, "rows": [_row_json(*of) for of in told]}, indent=1))
        return True
    console = plain_console(to_stderr=False)
    for row, stages in told:
        stored = sum(stage.state == "stored" for _, stage in stages)
        _line(console, f"{row.address} seed {row.seed} at scale {plan.scale}: {stored} of {len(stages)} stages stored")
        for role, stage in stages:
            _show(stage, console, f"{role}: ")
    return True


def _explain_stages(about: str, flags: Sequence[str]) -> None:
    options = parse(chosen_of(ALL, CATALOGUE), SCALES, flags, prog="t5grid explain")
    store = open_store(options.store)
    today = planned(ALL, CATALOGUE, SCALES, options).plan
    plans = [today, *read_plans(store)]
    found, known = stages_by_prefix(about, plans, store)
    if not found:
        raise _unknown(about, today, store)
    if len(found) > _MOST_STAGES:
        way_out = f"{len(found)} stages begin so, like {next(iter(found.values()))}: write more of it"
        raise ConfigError("stage", about, way_out)
    explanations = Explanations(store, known)
    told = [(explanations.of(key), rows_with(key, plans)) for key in found]
    if options.json:
        stages = [{**asdict(stage), "rows": [_called(row) for row in rows]} for stage, rows in told]
        print(json.dumps({"store": store.shown_uri, "stages": stages}, indent=1))
        return
    console = plain_console(to_stderr=False)
    for stage, rows in told:
        _show(stage, console)
        names = ", ".join(map(_called, rows[:_ROWS_NAMED]))
        more = f" and {len(rows) - _ROWS_NAMED} more" if len(rows) > _ROWS_NAMED else ""
        _line(console, f"    for {names}{more}" if rows else "    no row of a plan that is known needs it")


def _unknown(about: str, plan: Plan, store: Store) -> ConfigError:
    rows = {row.address for row in plan.rows}
    way_out = f"no row of a study, and no stage in {store.shown_uri} or in a plan begins so: give STUDY/ROW, or a stage"
    return ConfigError("stage", about, way_out, choices=sorted(rows))


def _show(stage: Explained, console: Console, before: str = "") -> None:
    _line(console, f"  {before}{stage.folder}: {stage.state}, {stage.said}")
    near = stage.neighbour
    if near is None:
        if stage.state != "stored":
            _line(console, "    there is no other of its kind")
        return
    alone = ", and differs by what it reads alone" if near.by_reading else ""
    _line(console, f"    nearest: {near.folder}, {near.equal} of {near.fields} fields alike{alone}")
    for d in near.differences:
        _line(console, f"    {d.field}: {shown(d.here)}, there {shown(d.there)}")


def _line(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def _called(row: PlannedRow) -> str:
    return f"{row.address} seed {row.seed}"


def _row_json(row: PlannedRow, stages: Sequence[tuple[str, Explained]]) -> dict[str, Any]:
    return {"row": row.address, "seed": row.seed, "stages": {role: asdict(stage) for role, stage in stages}}
