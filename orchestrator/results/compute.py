"""What rows cost beside the baseline: a row that is better and had more compute may be better by that alone.

Operations and tokens are those of all training behind a row, counted from its configs; parameters are those of its
model. What differs from the baseline's by more than a tenth is told under the table, rows of equal compute together.
"""

from collections.abc import Mapping
from types import MappingProxyType

from orchestrator.plan.cost import stage_cost
from orchestrator.plan.plan import Plan, PlannedRow
from orchestrator.plan.stage import Stage
from orchestrator.results.values import RowCompute

UNEQUAL = 0.1
"""How far a row may be from the baseline, as a share of it, and still count as equal."""
_MEASURES: Mapping[str, str] = MappingProxyType(
    {"flops": "FLOPs", "parameters": "parameters", "tokens": "training tokens"}
)


def compute_of(plan: Plan, baseline: str) -> dict[str, RowCompute]:
    """Returns what is behind each row by name, beside the baseline; nothing where the plan does not say.

    Args:
        plan: of one study.
        baseline: name of the row that the others are compared with.
    """
    found: dict[str, tuple[float, int, int]] = {}
    for row in plan.rows:
        if row.name not in found and (numbers := _numbers(plan, row)) is not None:
            found[row.name] = numbers
    if baseline not in found:
        return {}
    return {name: _beside(numbers, found[baseline]) for name, numbers in found.items()}


def _numbers(plan: Plan, row: PlannedRow) -> tuple[float, int, int] | None:
    """Operations, parameters and tokens; None where a training does not say what its model is."""
    trained = [stage for stage in _behind(plan, row).values() if stage.trains]
    if not trained or not all("model" in stage.settings and "train" in stage.settings for stage in trained):
        return None
    costs = [stage_cost(stage) for stage in trained]
    return sum(c.flops for c in costs), max(c.parameters for c in costs), sum(c.tokens for c in costs)


def _behind(plan: Plan, row: PlannedRow) -> dict[str, Stage]:
    """A row's stages and all that they read: a plan made anew from a store may name the last ones alone."""
    out: dict[str, Stage] = {}
    left = list(row.stages.values())
    while left:
        stage = plan.stages.get(left.pop())
        if stage is not None and stage.key not in out:
            out[stage.key] = stage
            left += stage.inputs.values()
    return out


def _beside(numbers: tuple[float, int, int], baseline: tuple[float, int, int]) -> RowCompute:
    ratios = {
        name: ours / theirs
        for name, ours, theirs in zip(_MEASURES, numbers, baseline, strict=True)
        if theirs and abs(ours / theirs - 1) > UNEQUAL
    }
    return RowCompute(flops=numbers[0], parameters=numbers[1], tokens=numbers[2], unequal=ratios)


def compute_notes(compute: Mapping[str, RowCompute]) -> tuple[str, ...]:
    """Returns a line on the rows that had another compute than the baseline; those of equal compute together."""
    alike: dict[str, list[str]] = {}
    for name, of in compute.items():
        if of.unequal:
            said = ", ".join(f"{ratio:.2f}x {_MEASURES[measure]}" for measure, ratio in of.unequal.items())
            alike.setdefault(said, []).append(name)
    told = "; ".join(f"{', '.join(names)} {said}" for said, names in alike.items())
    return (f"unequal compute, over {UNEQUAL:.0%} from the baseline's: {told}",) if told else ()
