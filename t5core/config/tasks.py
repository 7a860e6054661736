"""Tasks that are trained on and judged by, and how often each is drawn."""

from dataclasses import dataclass
from typing import Literal

from t5core.config.base import Config, unhashed
from t5core.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class TaskContent(Config):
    """What a task that has data of its own came to: a definition and examples.

    Attributes:
        name: the task's.
        definition: digest of a user's file; "" for the paper's tasks, whose code counts through its declared version.
        train_examples, validation_examples: in the splits as published; 0 where the task has no such split, or where
            the set is on the hub and only reading it would tell. Of the paper's tasks there, the paper's count.
        train_fingerprint, validation_fingerprint: digests of the splits' content, "" where there is none.
    """

    name: str
    definition: str = ""
    train_examples: int = 0
    train_fingerprint: str = ""
    validation_examples: int = 0
    validation_fingerprint: str = ""


@dataclass(frozen=True, kw_only=True)
class TasksConfig(Config):
    """Which downstream tasks are fine-tuned on together and evaluated, and how many examples of each.

    Attributes:
        names: task names, see ``t5core.tasks``.
        train_examples, validation_examples: at most so many of each task.
        seed: which examples are drawn, and what is scrambled or blanked in them.
        files: the files of those tasks that are a user's own. Do not count; ``content`` does.
        data_dir: a folder with the tasks' sets, in place of the hub. Does not count; ``content`` does.
        content: identity of every task's data, filled in by ``t5core.tasks.identify_tasks``; empty until then, and for
            tasks made from the corpus.
    """

    names: tuple[str, ...] = ()
    train_examples: int = 8_000
    validation_examples: int = 400
    seed: int = 0
    files: tuple[str, ...] = unhashed(())
    data_dir: str | None = unhashed(None)
    content: tuple[TaskContent, ...] = ()

    def __post_init__(self) -> None:
        self._positive("train_examples", "validation_examples")
        if not self.names:
            raise ConfigError("tasks", self.names, "name at least one task")


@dataclass(frozen=True, kw_only=True)
class TaskWeight(Config):
    """How often one task is drawn, in any unit."""

    name: str
    weight: float


MixtureKind = Literal["proportional", "equal", "weights"]


@dataclass(frozen=True, kw_only=True)
class MixtureConfig(Config):
    """How often each task is drawn when several are trained on together (sections 3.5.2 and 3.5.3).

    Attributes:
        kind: "proportional" to the tasks' training examples, with a limit and a temperature; "equal"; or by "weights".
        maximum: proportional: sizes count up to here (the paper's K); None: as they are.
        maximum_between: proportional: the same as a place between the smallest set (0) and the largest (1), on a
            logarithmic scale, for sets whose sizes only preparation tells; instead of ``maximum``.
        temperature: proportional: the paper's T; 1 changes nothing, a large one makes rates nearly equal.
        weights: for "weights": of every task, and of "unsupervised" where it takes part.
        unsupervised: training on unlabeled text at the same time: the size that it counts with (with "equal" and
            "weights" any size; it then only takes part). None: it takes no part.
    """

    kind: MixtureKind = "proportional"
    maximum: float | None = None
    maximum_between: float | None = None
    temperature: float = 1.0
    weights: tuple[TaskWeight, ...] = ()
    unsupervised: float | None = None

    def __post_init__(self) -> None:
        self._one_of("kind")
        self._positive("maximum", "temperature", "unsupervised")
        unused = [n for n in ("maximum", "maximum_between") if getattr(self, n) is not None]
        unused += ["temperature"] if self.temperature != 1 else []
        if self.kind != "proportional" and unused:
            raise ConfigError(
                unused[0], getattr(self, unused[0]), f"it belongs to proportional rates, not to {self.kind}"
            )
        if self.maximum_between is not None and (self.maximum is not None or not 0 <= self.maximum_between <= 1):
            raise ConfigError("maximum_between", self.maximum_between, "give a place from 0 to 1, and no maximum")
        if (self.kind == "weights") != bool(self.weights):
            way_out = 'they belong to kind "weights", and it needs them'
            raise ConfigError("weights", tuple(w.name for w in self.weights), way_out)
