"""What a plan costs before anything runs: operations, tokens, bytes, device-hours.

Operations are counted from the configs (``t5core.arithmetic``). Hours divide them by a rate: the rate that finished
stages in the store reached on this kind of device, if there are any, else an assumption that is printed with it.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from orchestrator.plan.plan import Plan, PlannedRow
from orchestrator.plan.stage import Stage
from t5core.arithmetic import num_parameters, train_flops
from t5core.config import ModelConfig, ObjectiveConfig, TrainConfig
from t5core.objectives import lengths

ASSUMED_FLOPS_PER_S: Mapping[str, tuple[float, str]] = MappingProxyType(
    {
        "cpu": (50e9, "one core at 50 GFLOP/s in float32"),
        "TPU v4": (0.4 * 275e12, "one chip at 40 % of 275 TFLOP/s"),
        "H100": (0.4 * 989e12, "one card at 40 % of 989 TFLOP/s"),
    }
)
"""Rates taken where nothing was measured: an assumption, printed as one."""

BYTES_PER_PARAMETER = 8
"""Of a checkpoint, at most: a float32 weight and a moment (AdaFactor's factored moments take less)."""


BYTES_PER_AVERAGED = 4
"""Of a checkpoint on the way, per parameter, besides: the mean of the last weights, where one is taken."""

BYTES_PER_KEPT = 4
"""Of each checkpoint that is kept beside the last one, per parameter: its weights."""


@dataclass(frozen=True, kw_only=True)
class StageCost:
    """What one stage costs; ``checkpoint_bytes`` of all that it leaves, ``on_the_way_bytes`` of one before the last."""

    stage: Stage
    parameters: int
    tokens: int
    flops: float
    checkpoint_bytes: int
    on_the_way_bytes: int = 0


@dataclass(frozen=True, kw_only=True)
class RowCost:
    """What one row costs: ``flops`` if it ran alone, ``added_flops`` beside the rows before it in the plan."""

    row: PlannedRow
    flops: float
    added_flops: float


@dataclass(frozen=True, kw_only=True)
class PlanCost:
    """What a plan costs; ``total`` with every stage once, ``unshared`` as if each row ran alone."""

    stages: tuple[StageCost, ...]
    flops: float
    unshared_flops: float
    tokens: int
    checkpoint_bytes: int


def pretrain_flops(model: ModelConfig, objective: ObjectiveConfig, train: TrainConfig) -> float:
    """Returns the operations of a pre-training run; longer targets cost more."""
    size = lengths(objective, train.inputs_length)
    targets_length = train.targets_length or size.targets
    return float(train.steps * train.batch_size * train_flops(model, size.inputs, targets_length))


def finetune_flops(model: ModelConfig, train: TrainConfig) -> float:
    """Returns the operations of a fine-tuning run at its static shapes."""
    targets_length = train.targets_length or train.inputs_length
    return float(train.steps * train.batch_size * train_flops(model, train.inputs_length, targets_length))


def multitask_flops(model: ModelConfig, objective: ObjectiveConfig | None, train: TrainConfig) -> float:
    """Returns the operations of a run on text and tasks at once: rows are as wide as the wider of the two."""
    if objective is None:
        return finetune_flops(model, train)
    size = lengths(objective, train.inputs_length)
    targets_length = max(train.targets_length or size.targets, size.targets)
    return float(
        train.steps * train.batch_size * train_flops(model, max(size.inputs, train.inputs_length), targets_length)
    )


def stage_cost(stage: Stage) -> StageCost:
    """Returns the cost of one stage; preparation and evaluation count as nothing beside training."""
    if stage.kind == "init":
        held = num_parameters(ModelConfig.from_dict(dict(stage.settings["init"]["model"])))
        taken = BYTES_PER_PARAMETER * held
        return StageCost(stage=stage, parameters=held, tokens=0, flops=0.0, checkpoint_bytes=taken)
    if not stage.trains:
        return StageCost(stage=stage, parameters=0, tokens=0, flops=0.0, checkpoint_bytes=0)
    model = ModelConfig.from_dict(dict(stage.settings["model"]))
    train = TrainConfig.from_dict(dict(stage.settings["train"]))
    parameters = num_parameters(model)
    averaged = 0 if train.average_last is None else BYTES_PER_AVERAGED
    return StageCost(
        stage=stage,
        parameters=parameters,
        tokens=train.steps * train.batch_size * train.inputs_length,
        flops=stage.cost,
        checkpoint_bytes=(BYTES_PER_PARAMETER + BYTES_PER_KEPT * len(train.kept_steps)) * parameters,
        on_the_way_bytes=(BYTES_PER_PARAMETER + averaged) * parameters,
    )


def plan_cost(plan: Plan) -> PlanCost:
    """Returns the cost of a whole plan."""
    costs = {key: stage_cost(stage) for key, stage in plan.stages.items()}
    return PlanCost(
        stages=tuple(costs.values()),
        flops=sum(cost.flops for cost in costs.values()),
        unshared_flops=sum(costs[key].flops for row in plan.rows for key in row.stages.values()),
        tokens=sum(cost.tokens for cost in costs.values()),
        checkpoint_bytes=sum(cost.checkpoint_bytes for cost in costs.values()),
    )


def row_costs(plan: Plan) -> tuple[RowCost, ...]:
    """Returns the cost of every row, in the plan's order; what they add sums up to the plan's cost."""
    counted: set[str] = set()
    out = []
    for row in plan.rows:
        keys = set(row.stages.values())
        added = sum(plan.stages[key].cost for key in keys - counted)
        out.append(RowCost(row=row, flops=sum(plan.stages[key].cost for key in keys), added_flops=added))
        counted |= keys
    return tuple(out)


def critical_path(plan: Plan) -> tuple[Stage, ...]:
    """Returns the costliest chain of stages that each read the one before: no number of devices makes it shorter."""
    longest: dict[str, tuple[float, tuple[Stage, ...]]] = {}
    for key, stage in plan.stages.items():  # each comes after what it reads
        before = max((longest[read] for read in stage.inputs.values()), key=lambda chain: chain[0], default=(0.0, ()))
        longest[key] = before[0] + stage.cost, (*before[1], stage)
    return max(longest.values(), key=lambda chain: chain[0], default=(0.0, ()))[1]


def bytes_left(plan: Plan, finished: Collection[str]) -> int:
    """Returns what the checkpoints of a plan will still take: those of its unfinished stages, at most.

    A stage that trains holds two beside the one that it leaves, so two of the largest are added.
    """
    left = [stage_cost(stage) for key, stage in plan.stages.items() if key not in finished]
    return sum(cost.checkpoint_bytes for cost in left) + 2 * max((cost.on_the_way_bytes for cost in left), default=0)


def measured_flops_per_s(runs: Iterable[tuple[float, float]]) -> float | None:
    """Returns the median rate of finished runs given as ``(operations, seconds)``, or None without any."""
    rates = sorted(flops / seconds for flops, seconds in runs if flops > 0 and seconds > 0)
    return rates[len(rates) // 2] if rates else None
