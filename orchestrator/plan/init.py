"""The stages of a checkpoint that takes the place of pre-training: what it holds in our form, and its vocabulary.

    init ───────► finetune, multitask, and pretrain where it goes on from there
    vocabulary ─► tokens, finetune, evaluate, ... as one that was trained

Each is known by what it holds: two checkpoints of one vocabulary share it, and the tokens of a text.
"""

import re
from collections.abc import Mapping

from orchestrator.plan.stage import Stage
from t5core.config import InitConfig

_UNSAFE = re.compile(r"[^\w.-]+", re.ASCII)


def init_stages(init: InitConfig) -> dict[str, Stage]:
    """Returns the stages by role."""
    given = init.vocabulary
    return {
        "vocabulary": Stage.of("vocabulary", f"{given.num_pieces}-pieces", given=given),
        "init": Stage.of("init", _name(init.source), init=init),
    }


def read_ones(stages: Mapping[str, Stage]) -> dict[str, Stage]:
    """Returns the stages by role without a corpus, or a checkpoint, that none of them reads."""
    read = {key for stage in stages.values() for key in stage.inputs.values()}
    return {r: stage for r, stage in stages.items() if stage.key in read or stage.kind not in ("corpus", "init")}


def _name(source: str) -> str:
    """What a checkpoint is called: the folder's name, or the one on the hub; of ``final/`` its stage's folder."""
    parts = [part for part in source.partition("@")[0].split("/") if part]
    if len(parts) > 1 and parts[-1] == "final":
        parts.pop()
    return _UNSAFE.sub("_", parts[-1].removeprefix("hf:")) if parts else "checkpoint"
