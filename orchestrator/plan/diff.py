"""What a plan asks for that an earlier one did not: rows and stages that are new, gone or others, and why."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.plan.fields import READS, Difference, differences
from orchestrator.plan.plan import Plan, PlannedRow

Change = tuple[str, Difference]
"""Role of the stage, and the field in which it differs."""


@dataclass(frozen=True, kw_only=True)
class ChangedRow:
    """A row that is in both plans, with other stages.

    Attributes:
        row: as it is now.
        changes: in what its stages differ themselves; not those that differ by what they read alone.
        stages: role -> kind of change: "new", "gone", "changed", or "reads" where it differs by what it reads alone.
    """

    row: PlannedRow
    changes: tuple[Change, ...]
    stages: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class PlanDiff:
    """Two plans beside each other.

    Attributes:
        new_rows, gone_rows, changed_rows: by study, name and seed.
        new_stages, gone_stages: folders of stages by their keys.
        same_rows: how many rows have the same stages in both.
    """

    new_rows: tuple[PlannedRow, ...]
    gone_rows: tuple[PlannedRow, ...]
    changed_rows: tuple[ChangedRow, ...]
    same_rows: int
    new_stages: tuple[str, ...]
    gone_stages: tuple[str, ...]

    def by_change(self) -> dict[str, tuple[Change, list[PlannedRow]]]:
        """Returns every change with the rows that it is in: the same one often touches many."""
        found: dict[str, tuple[Change, list[PlannedRow]]] = {}
        for changed in self.changed_rows:
            for change in changed.changes:
                found.setdefault(repr(change), (change, []))[1].append(changed.row)
        return found


def diff_of(new: Plan, old: Plan) -> PlanDiff:
    """Compares a plan with an earlier one."""
    before = {row.identity: row for row in old.rows}
    now = {row.identity: row for row in new.rows}
    kept = [(row, before[row.identity]) for row in new.rows if row.identity in before]
    return PlanDiff(
        new_rows=tuple(row for row in new.rows if row.identity not in before),
        gone_rows=tuple(row for row in old.rows if row.identity not in now),
        changed_rows=tuple(_changed(new, old, row, other) for row, other in kept if row.stages != other.stages),
        same_rows=sum(row.stages == other.stages for row, other in kept),
        new_stages=tuple(stage.folder for key, stage in new.stages.items() if key not in old.stages),
        gone_stages=tuple(stage.folder for key, stage in old.stages.items() if key not in new.stages),
    )


def _changed(new: Plan, old: Plan, row: PlannedRow, other: PlannedRow) -> ChangedRow:
    ours, theirs = new.by_role(row), old.by_role(other)
    changes: dict[str, list[Difference]] = defaultdict(list)
    stages = {}
    for role in dict.fromkeys([*ours, *theirs]):
        if role not in theirs or role not in ours:
            stages[role] = "new" if role in ours else "gone"
        elif ours[role].key != theirs[role].key:
            changes[role] = [d for d in differences(ours[role], theirs[role]) if not d.field.startswith(READS)]
            stages[role] = "changed" if changes[role] else "reads"
    return ChangedRow(
        row=row, changes=tuple((role, d) for role, found in changes.items() for d in found), stages=stages
    )
