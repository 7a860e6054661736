"""A study expanded into stages: a graph whose nodes are named by what determines their result.

A *stage* is one piece of work with one result: a corpus, a vocabulary, a pre-training. Its key is the hash of
its kind, the declared version of its code, its config and the keys of the stages it reads. Two rows that need the
same thing therefore name the same stage, and it is done once: within a study, across studies, across months.

    corpus ─► vocabulary ─► tokens ─► pretrain ─► finetune ─┬─► evaluate
       └────► tasks ─────────────────────────────────┴──────┴─► likelihood

Thirteen rows of the objectives study share the first three and the tasks; each has its own last four.

A plan says all that is to be known of its rows, so that whatever happens after a run (the report, MLflow, cleaning up)
needs no study file: ``to_json`` is what the store keeps of it, in ``plans/``, from before anything runs.

Nothing here runs anything. The stages come in a topological order; ``shared()`` says what sharing saves.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

from orchestrator.plan.parts import roles
from orchestrator.plan.rates import OWN, shown
from orchestrator.plan.stage import Stage

EVALUATED = "evaluate"
"""The role of the stages whose scores are a row's; of each part of it, where it has parts."""

LIKELIHOOD = "likelihood"
"""The role of the stage that says how likely a row's model finds the right answers; older plans have none."""

PRETRAINED = "pretrain"
"""The role of the stage that says what a row's pre-training comes to on held-out text; not every row has one."""

Fact = float | str | None
"""A number or a word that is said of a row beside its scores; None: there is nothing of the kind."""

FORMAT = 1
"""Of the JSON; a higher one is not read."""


@dataclass(frozen=True, kw_only=True)
class PlannedStudy:
    """What a comparison has to know of a study besides its rows.

    Attributes:
        title: head of its table.
        baseline: name of the row that the others are compared with; "" where there is none.
        baseline_sd: the paper's standard deviation of the baseline x100 by column.
    """

    name: str
    title: str = ""
    baseline: str = ""
    baseline_sd: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class PlannedRow:
    """One row of a study with one seed: the stages it needs, by role, and all that is said of it.

    Attributes:
        rate: the multiple of its own learning rate that it is trained at (``orchestrator.plan.rates``).
        study: whose row it is.
        label: as a table words it.
        paper: the published scores x100 by column.
        paper_cell: where they stand: ``Table 7, 3``.
        axes: what the row changes about the baseline: field -> JSON value, without paths.
        tasks: names of the tasks it is judged by.
        facts: what is known of it before it is trained and stands in the table as columns of its own: name -> number,
            of bytes where the name begins with "bytes".
    """

    name: str
    seed: int = 0
    rate: float = OWN
    stages: Mapping[str, str] = field(default_factory=dict)
    study: str = ""
    label: str = ""
    paper: Mapping[str, float] = field(default_factory=dict)
    paper_cell: str = ""
    axes: Mapping[str, Any] = field(default_factory=dict)
    tasks: tuple[str, ...] = ()
    facts: Mapping[str, Fact] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """16 hex digits over the row's stages."""
        return hashlib.sha256(json.dumps(sorted(self.stages.items())).encode()).hexdigest()[:16]

    def of_role(self, role: str) -> tuple[str, ...]:
        """Returns the keys of the stages in a role, one for each part of the row: ``evaluate``, ``evaluate:glue``."""
        return tuple(self.stages[name] for name in roles(role, self.stages))

    @property
    def called(self) -> str:
        """Its name, and the rate where it is not its own: ``span-3``, ``span-3 at 2x``."""
        return self.name if self.rate == OWN else f"{self.name} at {shown(self.rate)}"

    @property
    def run(self) -> str:
        """Its name with its seed: ``span-3 seed 0``, ``span-3 at 2x seed 0``."""
        return f"{self.called} seed {self.seed}"

    @property
    def address(self) -> str:
        """Its name with its study's: ``objectives/span-3``."""
        return f"{self.study}/{self.called}"

    @property
    def identity(self) -> tuple[str, str, int]:
        """Study, name with its rate, and seed: what makes it this row, whatever its stages are."""
        return self.study, self.called, self.seed


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Rows and the stages they need, each stage once.

    Attributes:
        scale: its name.
        studies: what the rows belong to.
        stages: key -> stage, in an order in which each comes after what it reads.
    """

    scale: str
    studies: tuple[PlannedStudy, ...]
    rows: tuple[PlannedRow, ...]
    stages: Mapping[str, Stage]

    @classmethod
    def of(cls, study: PlannedStudy | str, scale: str, rows: Iterable[tuple[PlannedRow, Mapping[str, Stage]]]) -> Self:
        """Builds a plan of one study's rows, each with its stages by role, in the order they run.

        The rows' own ``study`` and ``stages`` are filled in.
        """
        about = PlannedStudy(name=study) if isinstance(study, str) else study
        stages: dict[str, Stage] = {}
        planned = []
        for row, by_role in rows:
            for stage in by_role.values():
                missing = [key for key in stage.inputs.values() if key not in stages]
                assert not missing, f"{stage.folder} comes before its inputs {missing}"
                stages.setdefault(stage.key, stage)
            keys = {role: stage.key for role, stage in by_role.items()}
            planned.append(replace(row, study=about.name, stages=keys))
        return cls(studies=(about,), scale=scale, rows=tuple(planned), stages=stages)

    @property
    def rates(self) -> tuple[float, ...]:
        """The multiples of their learning rates that rows are trained at, ascending."""
        return tuple(sorted({row.rate for row in self.rows}))

    @property
    def study(self) -> str:
        """The name of its study; ``all`` where there are several."""
        return self.studies[0].name if len(self.studies) == 1 else "all"

    @property
    def key(self) -> str:
        """16 hex digits over the rows and their stages: the same rows of the same experiments."""
        rows = sorted([*row.identity, row.key] for row in self.rows)
        return hashlib.sha256(json.dumps([self.scale, rows]).encode()).hexdigest()[:16]

    @property
    def name(self) -> str:
        """STUDY-SCALE-KEY: what its file and its report are called."""
        return f"{self.study}-{self.scale}-{self.key}"

    def extended(self, other: "Plan") -> "Plan":
        """Returns this plan with the rows and stages of another added; what is there already stays as it is.

        A row of the same study, name and seed is replaced: it may have got further stages.
        """
        stages = {**self.stages, **{key: stage for key, stage in other.stages.items() if key not in self.stages}}
        new = {row.identity: row for row in other.rows}
        rows = [new.pop(row.identity, row) for row in self.rows]
        known = {study.name for study in self.studies}
        studies = (*self.studies, *(study for study in other.studies if study.name not in known))
        return replace(self, studies=studies, rows=(*rows, *new.values()), stages=stages)

    def at(self, rate: float) -> "Plan":
        """Returns the rows that are trained at one multiple of their rate, with their stages."""
        return self._of(row for row in self.rows if row.rate == rate)

    def of_study(self, name: str) -> "Plan":
        """Returns the rows of one of its studies, with their stages: the plan that this study has by itself."""
        own = self._of(row for row in self.rows if row.study == name)
        return replace(own, studies=tuple(study for study in self.studies if study.name == name))

    def _of(self, some: Iterable[PlannedRow]) -> "Plan":
        rows = tuple(some)
        wanted = {key for row in rows for key in row.stages.values()}
        return replace(self, rows=rows, stages={k: stage for k, stage in self.stages.items() if k in wanted})

    def shared(self) -> tuple[int, int]:
        """Returns how many stages the rows name in all, and how many there are: the difference is saved."""
        uses = Counter(key for row in self.rows for key in row.stages.values())
        return sum(uses.values()), len(uses)

    def rows_of(self, key: str) -> tuple[PlannedRow, ...]:
        """Returns the rows that need the stage ``key``."""
        return tuple(row for row in self.rows if key in row.stages.values())

    def by_role(self, row: PlannedRow) -> dict[str, Stage]:
        """Returns a row's stages by role."""
        return {role: self.stages[key] for role, key in row.stages.items()}

    def to_json(self) -> str:
        """Returns the plan as one JSON object; passwords in addresses are masked."""
        values = {
            "format": FORMAT,
            "key": self.key,
            "scale": self.scale,
            "studies": [_values(study) for study in self.studies],
            "rows": [{"key": row.key, **_values(row)} for row in self.rows],
            "stages": [stage.to_dict() for stage in self.stages.values()],
        }
        return json.dumps(values, indent=1, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Rebuilds a plan. Its stages keep the keys that they were planned under, whatever the code says today.

        Raises:
            ValueError: no plan, or one of a later format.
        """
        try:
            values = json.loads(text)
            if values["format"] > FORMAT:
                raise ValueError(f"is of format {values['format']}: update t5grid to read it")
            stages = [Stage.from_dict(stage) for stage in values["stages"]]
            rows = [{name: value for name, value in row.items() if name != "key"} for row in values["rows"]]
            return cls(
                scale=values["scale"],
                studies=tuple(PlannedStudy(**study) for study in values["studies"]),
                rows=tuple(PlannedRow(**{**row, "tasks": tuple(row["tasks"])}) for row in rows),
                stages={stage.key: stage for stage in stages},
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"is no plan ({type(error).__name__}: {error})") from None


def _values(value: PlannedStudy | PlannedRow) -> dict[str, Any]:
    return {f.name: getattr(value, f.name) for f in fields(value)}
