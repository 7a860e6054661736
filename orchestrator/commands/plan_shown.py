"""What ``--plan`` prints: stages, what sharing saves, operations, tokens, device-hours. Starts nothing."""

import json
from collections.abc import Mapping
from typing import Any

from rich.console import Console

from orchestrator.plan.cost import ASSUMED_FLOPS_PER_S, measured_flops_per_s, plan_cost
from orchestrator.plan.kinds import KINDS
from orchestrator.plan.plan import LIKELIHOOD, Plan
from orchestrator.plan.rates import OWN, said
from orchestrator.store import Store
from t5core.readable import readable_count
from t5core.tables import Column, print_table
from t5core.uris import masked


def plan_json(plan: Plan, store: Store) -> dict[str, Any]:
    """Returns the plan with its costs as JSON values: bytes, operations, tokens, seconds on one device."""
    cost = plan_cost(plan)
    named, distinct = plan.shared()
    return {
        "study": plan.study,
        "scale": plan.scale,
        "rows": [
            {"name": row.name, "seed": row.seed, "rate": row.rate, "stages": dict(row.stages)} for row in plan.rows
        ],
        "learning_rates": list(plan.rates),
        "checkpoints": _checkpoints(plan),
        "stages": [
            {
                "kind": c.stage.kind,
                "folder": c.stage.folder,
                "rows": len(plan.rows_of(c.stage.key)),
                "finished": store.finished(c.stage) is not None,
                "parameters": c.parameters,
                "tokens": c.tokens,
                "flops": c.flops,
            }
            for c in cost.stages
        ],
        "data": _data(plan),
        "stages_named": named,
        "stages_distinct": distinct,
        "flops": cost.flops,
        "flops_without_sharing": cost.unshared_flops,
        "flops_at_own_rate": plan_cost(plan.at(OWN)).flops,
        "tokens": cost.tokens,
        "checkpoint_bytes": cost.checkpoint_bytes,
        "rates": [
            {"device": device, "flops_per_s": rate, "from": why, "device_hours": cost.flops / rate / 3600}
            for device, rate, why in device_rates(store)
        ],
    }


def show_plan(plan: Plan, store: Store, console: Console, *, as_json: bool) -> int:
    """Prints a plan for people, or as JSON on standard output; returns the exit code of ``--plan``."""
    if as_json:
        print(json.dumps(plan_json(plan, store), indent=1))
    else:
        render_plan(plan, store, console)
    return 0


def render_plan(plan: Plan, store: Store, console: Console) -> None:
    """Prints ``plan_json`` for people."""
    p = plan_json(plan, store)
    columns = [
        Column(head="stage", kind="text", priority=0),
        Column(head="rows", priority=2),
        Column(head="state", kind="name"),
        Column(head="parameters", short="params", priority=2),
        Column(head="tokens"),
        Column(head="FLOPs"),
    ]
    rows = [
        (
            s["folder"],
            str(s["rows"]),
            "finished" if s["finished"] else "to do",
            readable_count(s["parameters"]),
            readable_count(s["tokens"]),
            f"{s['flops']:.2e}" if s["flops"] else "",
        )
        for s in p["stages"]
    ]
    print_table(columns, rows, title=f"{p['study']} at scale {p['scale']}", see_all="| cat, or --json", console=console)
    saved = p["stages_named"] - p["stages_distinct"]
    left = sum(s["flops"] for s in p["stages"] if not s["finished"])
    for line in (
        *(f"data: {line}" for line in p["data"]),
        f"{p['stages_distinct']} stages; the rows name {p['stages_named']}, so sharing saves {saved} of them"
        f" ({p['flops_without_sharing']:.2e} FLOPs would be {p['flops']:.2e})",
        *_of_rates(p),
        *_of_checkpoints(p),
        f"{readable_count(p['tokens'])} input tokens, {p['checkpoint_bytes'] / 1e9:.2f} GB of checkpoints,"
        f" {left:.2e} FLOPs still to do",
        *(f"on {r['device']}: {r['device_hours']:,.2f} device-hours ({r['from']})" for r in p["rates"]),
    ):
        console.print(line, highlight=False, soft_wrap=True)


def _of_rates(p: Mapping[str, Any]) -> list[str]:
    """What trying several learning rates costs."""
    if len(p["learning_rates"]) < 2:
        return []
    rates = said(p["learning_rates"])
    return [f"learning rates {rates}: {p['flops']:.2e} FLOPs, where 1x alone takes {p['flops_at_own_rate']:.2e}"]


def _checkpoints(plan: Plan) -> list[int]:
    """How many checkpoints of a row are judged, the end counted: one number if all rows are alike."""
    judged = {key for row in plan.rows for key in row.of_role(LIKELIHOOD)}
    return sorted({1 + len(plan.stages[key].settings["likelihood"].get("also_at", ())) for key in judged})


def _of_checkpoints(p: Mapping[str, Any]) -> list[str]:
    """What judging several checkpoints takes."""
    if not p["checkpoints"] or p["checkpoints"][-1] < 2:
        return []
    counts = " or ".join(map(str, p["checkpoints"]))
    return [
        f"likelihoods at {counts} checkpoints of each row; fine-tunings that keep them are not those of a study without"
    ]


def _data(plan: Plan) -> list[str]:
    """What a plan reads, a line for each corpus, each choice of tasks and each checkpoint."""
    told = []
    for stage in plan.stages.values():
        if stage.kind == "corpus":
            corpus = stage.settings["corpus"]
            told.append(", ".join(map(masked, corpus["paths"])) or f"{corpus['source']} text")
        elif stage.kind == "init":
            given = stage.settings["init"]
            told.append(f"checkpoint {masked(given['source'])} (sha256 {given['content'][:12]})")
        elif stage.kind == "tasks":
            tasks = stage.settings["tasks"]
            own = {content["name"] for content in tasks["content"]}
            where = f"in {tasks['data_dir']}" if tasks["data_dir"] else "on the hub, or in files of your own"
            made = [name for name in tasks["names"] if name not in own]
            told += [f"tasks {', '.join(name for name in tasks['names'] if name in own)} ({where})"] if own else []
            told += [f"tasks {', '.join(made)} (made from the corpus)"] if made else []
    return told


def device_rates(store: Store) -> list[tuple[str, float, str]]:
    """Measured rates by device first: what finished stages' last attempts reached; then the assumptions."""
    runs: dict[str, list[tuple[float, float]]] = {}
    for m in store.manifests():
        if m.kind in KINDS and KINDS[m.kind].trains and m.result.get("steps_run"):
            share = m.result["steps_run"] / m.result["steps"]
            runs.setdefault(m.result["device"], []).append((m.result["flops"] * share, m.result["seconds"]))
    measured = [
        (f"{device}, as measured here", rate, f"median of {len(found)} finished stages, one lane each")
        for device, found in sorted(runs.items())
        if (rate := measured_flops_per_s(found)) is not None
    ]
    return measured + [(device, rate, f"assumed: {why}") for device, (rate, why) in ASSUMED_FLOPS_PER_S.items()]
