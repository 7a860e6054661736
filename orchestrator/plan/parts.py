"""Which tasks one fine-tuning learns: all of them together, the paper's groups, or each by itself.

    tasks              glue_cola glue_sst2 | super_glue_cb | squad | wmt_en_de
    together           one fine-tuning, mixed
    groups             "glue" (mixed), "super_glue" (mixed), "squad", "wmt_en_de": section 2.4's, each as long as all
    apart              "glue_cola", "glue_sst2", "super_glue_cb", "squad", "wmt_en_de": section 3.7's final models

A part's targets are as long as its own tasks need, where that is less than the experiment's: an answer of GLUE takes 84
tokens, a summary 512. Tasks that are only trained on go with those that they help; so do those that are only judged.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from t5core.config import Config, DecodeConfig
from t5core.errors import ConfigError
from t5core.tasks import Task, judged
from t5core.tasks.known import GROUPS

Finetuning = Literal["together", "groups", "apart"]

_WITH: Mapping[str, str] = MappingProxyType(
    {
        "glue_mnli_mismatched": "glue_mnli",
        "glue_mnli_matched": "glue_mnli",
        "super_glue_wsc_train": "super_glue_wsc",
        "dpr": "super_glue_wsc",
    }
)
"""Tasks without a set of the other kind of their own -> whose model they are trained for, or judged by."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One fine-tuning of a row.

    Attributes:
        name: of a group or a task; "" for all tasks together.
        tasks: what is trained on and judged by; none where it is the whole.
        judged: those of them that it is judged by.
        targets_length: in tokens, as its own tasks need; None: the experiment's.
    """

    name: str
    tasks: tuple[str, ...]
    judged: tuple[str, ...] = ()
    targets_length: int | None = None

    @property
    def only(self) -> dict[str, Any]:
        """What a stage has to know of a part: nothing where it is the whole."""
        return {"only": sorted(self.tasks)} if self.name else {}


@dataclass(frozen=True, kw_only=True)
class PartConfig(Config):
    """What is otherwise where all that a fine-tuning is judged by is among these tasks.

    Attributes:
        tasks: their names.
        batch_size: sequences; None: the experiment's.
        decode: how answers are searched for; None: the experiment's.
    """

    tasks: tuple[str, ...]
    batch_size: int | None = None
    decode: DecodeConfig | None = None

    def __post_init__(self) -> None:
        self._positive("batch_size")


WHOLE = Part(name="", tasks=())
"""All tasks of an experiment."""


def parts_of(tasks: Mapping[str, Task], finetuning: Finetuning) -> tuple[Part, ...]:
    """Returns the parts, in the order in which their first tasks stand.

    Raises:
        ConfigError: a part would have nothing to train on.
    """
    if finetuning == "together":
        return (WHOLE,)
    place = _group if finetuning == "groups" else _family
    members: dict[str, list[str]] = {}
    for name in tasks:
        members.setdefault(place(name), []).append(name)
    return tuple(_part(name, {task: tasks[task] for task in of_part}) for name, of_part in members.items())


def roles(role: str, stages: Iterable[str]) -> tuple[str, ...]:
    """Returns those roles that are of this kind, of whichever part and member: ``evaluate``, ``evaluate:glue``."""
    return tuple(name for name in stages if kind_of_role(name) == role)


def kind_of_role(role: str) -> str:
    """Returns a role without the part that it is of, and without the member of an ensemble."""
    return role.partition(":")[0]


def _part(name: str, tasks: Mapping[str, Task]) -> Part:
    if not any("train" in task.splits for task in tasks.values()):
        way_out = f"{name} has nothing of its own to train on: take it together with others, or leave it out"
        raise ConfigError("finetuning", ", ".join(tasks), way_out)
    if not judged(tasks):
        way_out = "nothing is judged by what is trained on it alone: add what it is to help, or leave it out"
        raise ConfigError("finetuning", ", ".join(tasks), way_out)
    by = judged(tasks)
    # DPR's are as long as any, but the released code trains it in the rows of those that it helps
    longest = max(task.max_targets_tokens for task in by.values())
    return Part(name=name, tasks=tuple(tasks), judged=tuple(by), targets_length=longest)


def _group(name: str) -> str:
    return next((group for group in ("glue", "super_glue") if name in GROUPS[group]), _family(name))


def _family(name: str) -> str:
    return _WITH.get(name, name)
