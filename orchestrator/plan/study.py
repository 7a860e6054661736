"""A study: one baseline, and rows that each change one thing about it.

An experiment comes about in this order, each step with the last word on what it sets:

    the scale ─► the study's defaults ─► flags ─► the study's changes ─► the row's changes ─► the seed ─► the rate

A study reads like the table of the paper it stands for:

    Study(name="objectives", baseline="replace-spans", rows=(
        Row(name="deshuffle", label="Deshuffling", changes={"objective": ObjectiveConfig(kind="deshuffling")}),
        ...))

``plan_of`` expands it, at a scale, for some seeds and learning rates, into a plan.
"""

import fnmatch
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator.plan.expand import stages_of
from orchestrator.plan.experiment import Experiment
from orchestrator.plan.parts import roles
from orchestrator.plan.plan import EVALUATED, Fact, Plan, PlannedRow, PlannedStudy
from orchestrator.plan.rates import OWN, OWN_RATE, Rates, at_rate, shown
from orchestrator.plan.stage import Stage
from t5core.errors import ConfigError
from t5core.tasks import judged, tasks_of

AS_IT_IS = "as-it-is"
"""The row without further pre-training, beside those that go on from a checkpoint."""

Changes = Mapping[str, Any] | Callable[[Experiment], Mapping[str, Any]]
"""Fields of Experiment and their values; a function, where they depend on the scale's experiment."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One variation of the baseline.

    Attributes:
        name: short, for flags, folders and MLflow: ``span-3``.
        label: as the paper's table words it.
        changes: what this row changes about the study's baseline; empty for the baseline.
        paper: the published scores by column, empty if the paper has none.
        paper_cell: where they stand: ``Table 7, row 3``.
        seeds: it is trained with at least so many, whatever all rows are: the paper ran its baseline ten times and all
            else once. A function of the scale, where that is too much for the small ones.
    """

    name: str
    label: str
    changes: Changes = field(default_factory=dict)
    paper: Mapping[str, float] = field(default_factory=dict)
    paper_cell: str = ""
    seeds: "int | Callable[[Scale], int]" = 1

    def changed_fields(self, baseline: Experiment) -> Mapping[str, Any]:
        """Returns the changes by field, as they are for this baseline."""
        return _for(baseline, self.changes)

    def seeds_at(self, scale: "Scale") -> int:
        """Returns the least number of seeds that it is trained with at a scale."""
        return self.seeds(scale) if callable(self.seeds) else self.seeds


@dataclass(frozen=True, kw_only=True)
class Study:
    """A named set of rows around one baseline.

    Attributes:
        baseline: name of the row that the others are compared with.
        baseline_sd: the paper's standard deviation of the baseline by column, over its 10 runs.
        defaults: what the study takes in place of the scale's own where no flag says otherwise.
        changes: what the study changes about the scale's experiment, flags and all, before any row does.
        facts: what its table says of each row beside the scores (``PlannedRow.facts``), from the row's experiment.
    """

    name: str
    title: str
    rows: tuple[Row, ...]
    baseline: str
    baseline_sd: Mapping[str, float] = field(default_factory=dict)
    defaults: Changes = field(default_factory=dict)
    changes: Changes = field(default_factory=dict)
    facts: Callable[[Experiment], Mapping[str, Fact]] | None = None

    def select(self, pattern: str) -> "Study":
        """Returns the study with only the rows that match one of some comma-separated globs, of ROW or STUDY/ROW.

        The baseline stays in, because every row is compared with it; raises ConfigError if nothing matches.
        """
        names = [row.name for row in self.rows]
        globs = globs_of(pattern)
        chosen = [name for name in names if any(self.has(name, glob) for glob in globs)]
        if not chosen:
            raise ConfigError("rows", pattern, f"matches none of {', '.join(names)}", choices=names)
        kept = tuple(row for row in self.rows if row.name in chosen or row.name == self.baseline)
        return replace(self, rows=kept)

    def has(self, row: str, glob: str) -> bool:
        """Whether a glob, of ROW or STUDY/ROW, is about one of the study's rows."""
        return fnmatch.fnmatchcase(f"{self.name}/{row}" if "/" in glob else row, glob)

    def with_checkpoint_as_it_is(self) -> "Study":
        """Returns the study with one more row: the baseline without the further pre-training from its checkpoint."""
        baseline = next(row for row in self.rows if row.name == self.baseline)

        def changes(experiment: Experiment) -> Mapping[str, Any]:
            return {**baseline.changed_fields(experiment), "further": False}

        return replace(self, rows=(*self.rows, Row(name=AS_IT_IS, label="The checkpoint as it is", changes=changes)))

    def experiment(self, scale: "Scale", row: Row, seed: int) -> Experiment:
        """Returns a row's experiment at a scale."""
        baseline = self.baseline_of(scale)
        return baseline.replace(**row.changed_fields(baseline), seed=seed)

    def own_seeds(self, scale: "Scale", seeds: int) -> dict[str, int]:
        """Returns row -> how many seeds it has at the least, for those that have more than ``seeds`` by themselves."""
        least = {row.name: row.seeds_at(scale) for row in self.rows}
        return {name: count for name, count in least.items() if count > seeds}

    @property
    def planned(self) -> PlannedStudy:
        """What a plan says of the study beside its rows."""
        return PlannedStudy(
            name=self.name, title=self.title, baseline=self.baseline, baseline_sd=dict(self.baseline_sd)
        )

    def baseline_of(self, scale: "Scale") -> Experiment:
        """Returns what the rows change: the scale's experiment with the study's own changes."""
        return scale.baseline.replace(**_for(scale.baseline, self.changes))

    def adapted(self, scale: "Scale") -> "Scale":
        """Returns a scale with the study's defaults, which flags may then change."""
        return replace(scale, baseline=scale.baseline.replace(**_for(scale.baseline, self.defaults)))


@dataclass(frozen=True, kw_only=True)
class Scale:
    """The baseline experiment at one size, and whom it is for.

    Attributes:
        precision: what is computed in where no flag says otherwise: "auto", or one for all kinds of processors.
    """

    name: str
    purpose: str
    baseline: Experiment
    precision: str = "auto"


def globs_of(pattern: str) -> list[str]:
    """Returns the globs of ``--rows``, which commas part."""
    return [glob.strip() for glob in pattern.split(",") if glob.strip()]


def _for(baseline: Experiment, changes: Changes) -> Mapping[str, Any]:
    return changes(baseline) if callable(changes) else changes


def plan_of(
    study: Study,
    scale: Scale,
    seeds: int = 1,
    *,
    first_seed: int = 0,
    more_seeds: Mapping[str, int] | None = None,
    rates: Rates = OWN_RATE,
) -> Plan:
    """Expands every row with every seed, at every learning rate, into stages.

    Args:
        study: the rows.
        scale: the baseline.
        seeds: how many each row has, if it does not have more by itself (``Row.seeds``).
        first_seed: they are counted from here: runs from 0 and from, say, 100 have nothing but data in common.
        more_seeds: row -> how many it has beyond these, where rows differ.
        rates: multiples of its learning rate that each row is trained at.

    Raises:
        ConfigError: for less than one seed, seeds that are counted from below 0, or a rate that cannot be.
    """
    if seeds < 1:
        raise ConfigError("seeds", seeds, "give 1 or more")
    if first_seed < 0:
        raise ConfigError("first_seed", first_seed, "give 0 or more")
    baseline = study.baseline_of(scale)
    more = more_seeds or {}
    of_row = {row.name: max(seeds + more.get(row.name, 0), row.seeds_at(scale)) for row in study.rows}
    rows = []
    for seed in range(max(of_row.values())):
        for row in (row for row in study.rows if seed < of_row[row.name]):
            changes = row.changed_fields(baseline)
            experiment = baseline.replace(**changes, seed=first_seed + seed)
            says = planned(row, experiment, tuple(changes), {} if study.facts is None else study.facts(experiment))
            for rate in rates.multiples:
                stages = stages_of(at_rate(experiment, rate), row.name if rate == OWN else f"{row.name}-{shown(rate)}")
                rows.append((replace(says, rate=rate), stages))
    _check_apart(baseline, rows)
    return Plan.of(study.planned, scale.name, rows)


def _check_apart(baseline: Experiment, rows: Sequence[tuple[PlannedRow, Mapping[str, Stage]]]) -> None:
    """Raises ConfigError where rows differ in nothing but what a checkpoint takes the place of."""
    if baseline.init is None:
        return
    seen: dict[tuple[str, ...], str] = {}
    for row, stages in rows:
        other = seen.setdefault(tuple(stages[role].key for role in roles(EVALUATED, stages)), row.run)
        if other != row.run:
            why = "they differ in pre-training, which it takes the place of: --further pre-trains each from there"
            if baseline.further:
                why = "they differ in nothing that is left"
            way_out = f"from it, {other} and {row.run} are one run: {why}; --rows leaves rows out"
            raise ConfigError("init", baseline.init.source, way_out)


def planned(row: Row, experiment: Experiment, changed: Sequence[str], facts: Mapping[str, Fact]) -> PlannedRow:
    """Returns what a plan says of a row beside its stages.

    Args:
        row: of a study.
        experiment: with the row's changes and seed.
        changed: names of the fields that the row changes.
        facts: what the table says of it beside its scores.
    """
    says = experiment.fingerprint()  # it holds no paths
    return PlannedRow(
        name=row.name,
        seed=experiment.seed,
        label=row.label,
        paper=dict(row.paper),
        paper_cell=row.paper_cell,
        axes={name: says.get(name, getattr(experiment, name)) for name in changed},
        tasks=tuple(judged(tasks_of(experiment.tasks))),
        facts=dict(facts),
    )
