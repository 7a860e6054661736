"""The kinds of stages: one table of all that is said of a kind.

A kind's *version* is part of the key of its stages: raise it when its code comes to give other results for all of them.
Where a change of the code touches only some configs, a `Revision` names it and says which: only their stages get
another key, and what is stored of the others stays valid. The predicates stand in `orchestrator.plan.revisions`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from orchestrator.plan.revisions import (
    has_cloze,
    multitask_span_lengths,
    own_text,
    packed_shares,
    pretrain_span_lengths,
)


@dataclass(frozen=True, kw_only=True)
class Revision:
    """A change of a kind's code that touches some configs only.

    Attributes:
        name: what changed; part of the key of the stages it touches, so it stays as it is.
        touches: a stage's config (fingerprints by role, as in ``Stage.config``) -> whether its result is another now.
    """

    name: str
    touches: Callable[[Mapping[str, Any]], bool]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What is said of one kind of stage.

    Attributes:
        version: of its code, the declared one.
        function: what does it, as "module:name", imported where it runs; takes an ``orchestrator.stages.work.Work``.
        accelerated: it runs on a device, in a lane; the others are plain CPU work.
        trains: its result is a checkpoint.
        revisions: changes of the code since the version was raised last, each for some configs only.
    """

    version: int
    function: str
    accelerated: bool = False
    trains: bool = False
    revisions: tuple[Revision, ...] = ()

    def revised(self, config: Mapping[str, Any]) -> tuple[str, ...]:
        """Returns the names of the revisions that touch a config, in the table's order."""
        return tuple(revision.name for revision in self.revisions if revision.touches(config))


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "corpus": Kind(
            version=1,
            function="orchestrator.stages.text:corpus",
            revisions=(Revision(name="any-script", touches=own_text),),
        ),
        "vocabulary": Kind(version=1, function="orchestrator.stages.text:vocabulary"),
        "init": Kind(version=1, function="orchestrator.stages.init:init"),
        # 3: text around sentinels has the released code's ids, and some packages' text speaks of sentinels
        "tokens": Kind(version=3, function="orchestrator.stages.text:tokens"),
        "tasks": Kind(
            version=3,
            function="orchestrator.stages.text:tasks",
            revisions=(Revision(name="cloze-gaps", touches=has_cloze),),
        ),
        # one version more of each that trains: the loss takes one exp, and sums more rows at a time
        "pretrain": Kind(
            version=3,
            function="orchestrator.stages.training:pretrain",
            accelerated=True,
            trains=True,
            revisions=(Revision(name="span-lengths", touches=pretrain_span_lengths),),
        ),
        "finetune": Kind(version=4, function="orchestrator.stages.training:finetune", accelerated=True, trains=True),
        "multitask": Kind(
            version=2,
            function="orchestrator.stages.training:multitask",
            accelerated=True,
            trains=True,
            revisions=(
                Revision(name="span-lengths", touches=multitask_span_lengths),
                Revision(name="shares-of-examples", touches=packed_shares),
            ),
        ),
        # 4: predictions that hold sentinels are written as the released code writes them
        "evaluate": Kind(version=4, function="orchestrator.stages.evaluation:evaluate", accelerated=True),
        "likelihood": Kind(version=1, function="orchestrator.stages.likelihood:likelihood", accelerated=True),
    }
)
"""Every kind by its name."""
