"""The stage that takes a checkpoint from where it lies: what comes after it reads it as it reads a pre-training.

It leaves ``final/``, a checkpoint in our form with the vocabulary beside it, whatever form it was given in.
"""

from typing import Any

from orchestrator.stages.work import Work
from t5core.config import InitConfig
from t5core.model import num_parameters
from t5core.start import open_start
from t5core.training import checkpoint
from t5core.training.loop import FINAL
from t5core.uris import masked


def init(work: Work) -> dict[str, Any]:
    """Copies the checkpoint; raises CheckpointError where it is not what the plan was made with."""
    config = InitConfig.from_dict(work.setting("init"))
    start = open_start(config)
    extra = {"total_step": start.total_step}
    folder = work.folder / FINAL
    checkpoint.save(folder, start.total_step, start.model.config, start.model.state_dict(), start.moments, extra)
    start.vocabulary.save_to(folder)
    return {
        "source": masked(config.source),
        "content": config.content,
        "parameters": num_parameters(config.model),
        "total_step": start.total_step,
    }
