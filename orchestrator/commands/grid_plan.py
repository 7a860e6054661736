"""``t5grid plan``: what a plan over studies takes, row by row, and what it changes about an earlier one.

Its JSON is the plan as a store keeps it, with its costs beside: ``--diff`` reads either from a file. It starts nothing.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from orchestrator.commands.plan_shown import device_rates
from orchestrator.engine.steering import held
from orchestrator.plan.cost import critical_path, plan_cost, row_costs
from orchestrator.plan.diff import PlanDiff, diff_of
from orchestrator.plan.fields import shown
from orchestrator.plan.plan import Plan, PlannedRow
from orchestrator.store import Store
from t5core.errors import ConfigError
from t5core.readable import readable_bytes, readable_count
from t5core.tables import Column, print_table

HOURS_OF_A_YEAR = 8766
_NAMED_AT_ONCE = 6


@dataclass(frozen=True, kw_only=True)
class Device:
    """What hours and money are counted by.

    Attributes:
        name: as the plan calls it: ``H100``, ``cpu, as measured here``.
        flops_per_s: that it reaches.
        why: from where the rate is.
        price: of an hour; None where nobody said.
    """

    name: str
    flops_per_s: float
    why: str
    price: float | None = None

    def hours(self, flops: float) -> float:
        """Returns how long one device takes."""
        return flops / self.flops_per_s / 3600

    def money(self, flops: float) -> float | None:
        """Returns what that costs; None without a price."""
        return None if self.price is None else self.hours(flops) * self.price


def device_of(name: str | None, price: float | None, store: Store, flops: float) -> Device:
    """Returns the device that a user names, or else the first of which a rate was measured; a CPU where none was.

    Where that would take over a year it is the fastest of those with assumed rates.

    Raises:
        ConfigError: no such device, or a price that is none.
    """
    if price is not None and not 0 <= price < math.inf:
        raise ConfigError("price", price, "give what an hour of one device costs, 0 or more")
    known = [Device(name=of, flops_per_s=rate, why=why, price=price) for of, rate, why in device_rates(store)]
    if name is not None:
        found = [device for device in known if device.name == name or device.name.partition(",")[0] == name]
        if not found:
            names = list(dict.fromkeys(device.name.partition(",")[0] for device in known))
            raise ConfigError("device", name, f"rates are known of {', '.join(names)}", choices=names)
        return found[0]
    if known[0].hours(flops) <= HOURS_OF_A_YEAR:
        return known[0]
    return max((device for device in known if device.why.startswith("assumed")), key=lambda device: device.flops_per_s)


def earlier_plan(file: str) -> Plan:
    """Returns the plan in a file, of ``t5grid plan --json`` or of a store; raises ConfigError where there is none."""
    try:
        return Plan.from_json(Path(file).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError("diff", file, f"{error.strerror}: give a file that `t5grid plan --json` wrote") from None
    except ValueError as error:
        way_out = "give what `t5grid plan --json` wrote, or a file of a store's plans/"
        raise ConfigError("diff", file, f"{error}; {way_out}" if "format" in str(error) else way_out) from None


def costs_json(plan: Plan, store: Store, device: Device) -> dict[str, Any]:
    """Returns what a plan takes as JSON values: operations, hours of one device, money, bytes."""
    cost = plan_cost(plan)
    named, distinct = plan.shared()
    finished = held(plan, store)
    return {
        "stages_named": named,
        "stages_distinct": distinct,
        "stages_finished": len(finished),
        "flops": cost.flops,
        "flops_without_sharing": cost.unshared_flops,
        "flops_left": sum(stage.cost for key, stage in plan.stages.items() if key not in finished),
        "tokens": cost.tokens,
        "checkpoint_bytes": cost.checkpoint_bytes,
        "device": {"name": device.name, "flops_per_s": device.flops_per_s, "from": device.why, "price": device.price},
        "device_hours": device.hours(cost.flops),
        "money": device.money(cost.flops),
        "critical_path": [
            {"stage": stage.folder, "flops": stage.cost, "device_hours": device.hours(stage.cost)}
            for stage in critical_path(plan)
        ],
        "rows": [
            {
                "row": of.row.address,
                "seed": of.row.seed,
                "flops": of.flops,
                "added_flops": of.added_flops,
                "device_hours": device.hours(of.added_flops),
                "money": device.money(of.added_flops),
            }
            for of in row_costs(plan)
        ],
        "rates": [
            {"device": name, "flops_per_s": rate, "from": why, "device_hours": cost.flops / rate / 3600}
            for name, rate, why in device_rates(store)
        ],
    }


def grid_plan_json(
    plan: Plan, store: Store, device: Device, *, left_out: Mapping[str, str], diff: PlanDiff | None
) -> dict[str, Any]:
    """Returns the plan as it is kept in a store, its costs, and what it changes, as JSON values."""
    kept = json.loads(plan.to_json())
    compared = {} if diff is None else {"diff": _diff_json(diff)}
    return {**kept, "costs": costs_json(plan, store, device), "left_out": dict(left_out), **compared}


def render_grid_plan(
    plan: Plan, store: Store, device: Device, console: Console, *, left_out: Mapping[str, str], diff: PlanDiff | None
) -> None:
    """Prints ``grid_plan_json`` for people: a line a row, then what holds for all of them."""
    c = costs_json(plan, store, device)
    priced = device.price is not None
    columns = [
        Column(head="row", kind="text", priority=0),
        Column(head="seed", priority=2),
        Column(head="FLOPs alone", short="alone", priority=2),
        Column(head="FLOPs it adds", short="adds", priority=0),
        Column(head="hours", priority=1),
        *([Column(head="money", priority=1)] if priced else []),
    ]
    rows = [
        (
            row["row"],
            str(row["seed"]),
            f"{row['flops']:.2e}",
            f"{row['added_flops']:.2e}" if row["added_flops"] else "shared",
            f"{row['device_hours']:,.2f}",
            *([f"{row['money']:,.2f}"] if priced else []),
        )
        for row in c["rows"]
    ]
    totals = ["all", "", f"{c['flops_without_sharing']:.2e}", f"{c['flops']:.2e}", f"{c['device_hours']:,.2f}"]
    totals += [f"{c['money']:,.2f}"] if priced else []
    title = f"{', '.join(study.name for study in plan.studies)} at scale {plan.scale}"
    print_table(columns, rows, title=title, totals=totals, see_all="| cat, or --json", console=console)
    for line in (*(f"left out: {name}: {why}" for name, why in left_out.items()), *_lines(c), *_diff_lines(diff)):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _lines(c: Mapping[str, Any]) -> list[str]:
    device = c["device"]
    saved = 1 - c["flops"] / c["flops_without_sharing"] if c["flops_without_sharing"] else 0.0
    steps = [f"{step['stage']} ({step['device_hours']:,.2f} h)" for step in c["critical_path"] if step["flops"]]
    longest_h = sum(step["device_hours"] for step in c["critical_path"])
    price = "" if device["price"] is None else f", at {device['price']:g} an hour"
    return [
        f"stages: {c['stages_named']} asked for, {c['stages_distinct']} distinct, {c['stages_finished']} finished",
        f"FLOPs: {c['flops_without_sharing']:.2e} if each row ran alone, {c['flops']:.2e} with shared stages "
        f"({saved:.0%} saved), {c['flops_left']:.2e} still to do; only training counts",
        f"hours{' and money' if price else ''}: one {device['name']} at {device['flops_per_s'] / 1e12:,.4g} TFLOP/s "
        f"({device['from']}){price}",
        f"critical path, {longest_h:,.2f} h with any number of such devices: {' → '.join(steps) or 'nothing trains'}",
        f"{readable_count(c['tokens'])} input tokens, {readable_bytes(c['checkpoint_bytes'])} of checkpoints",
        *(f"on {r['device']}: {r['device_hours']:,.2f} device-hours ({r['from']})" for r in c["rates"]),
    ]


def _diff_json(diff: PlanDiff) -> dict[str, Any]:
    return {
        "new_rows": [_row(row) for row in diff.new_rows],
        "gone_rows": [_row(row) for row in diff.gone_rows],
        "same_rows": diff.same_rows,
        "changed_rows": [
            {
                "row": _row(changed.row),
                "stages": dict(changed.stages),
                "changes": [
                    {"stage": role, "field": d.field, "old": d.there, "new": d.here} for role, d in changed.changes
                ],
            }
            for changed in diff.changed_rows
        ],
        "new_stages": list(diff.new_stages),
        "gone_stages": list(diff.gone_stages),
    }


def _diff_lines(diff: PlanDiff | None) -> list[str]:
    if diff is None:
        return []
    lines = [
        f"against the earlier plan: rows {len(diff.new_rows)} new, {len(diff.gone_rows)} gone, "
        f"{len(diff.changed_rows)} changed, {diff.same_rows} as before; stages {len(diff.new_stages)} new, "
        f"{len(diff.gone_stages)} gone"
    ]
    lines += [f"  new: {_names(diff.new_rows)}"] if diff.new_rows else []
    lines += [f"  gone: {_names(diff.gone_rows)}"] if diff.gone_rows else []
    for (role, d), rows in diff.by_change().values():
        lines.append(f"  changed: {role} {d.field}: {shown(d.there)} → {shown(d.here)} in {_names(rows)}")
    for how in ("new", "gone"):
        for role in dict.fromkeys(r for row in diff.changed_rows for r, what in row.stages.items() if what == how):
            rows = [changed.row for changed in diff.changed_rows if changed.stages.get(role) == how]
            lines.append(f"  {how} stage {role} in {_names(rows)}")
    return lines


def _names(rows: Sequence[PlannedRow]) -> str:
    names = [_row(row) for row in rows]
    more = f" and {len(names) - _NAMED_AT_ONCE} more" if len(names) > _NAMED_AT_ONCE else ""
    return f"{', '.join(names[:_NAMED_AT_ONCE])}{more}"


def _row(row: PlannedRow) -> str:
    return f"{row.address} seed {row.seed}"


def compared(plan: Plan, file: str) -> PlanDiff:
    """Returns what a plan changes about the one in a file; both as they are kept, with passwords masked."""
    return diff_of(Plan.from_json(plan.to_json()), earlier_plan(file))
