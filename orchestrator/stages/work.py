"""What a stage's function is given, and the files that stages hand to one another."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.plan.stage import Stage
from t5core.config import ModelConfig
from t5core.feeds import marker_ids
from t5core.tasks import TextPair
from t5core.vocabulary import Vocabulary

if TYPE_CHECKING:  # importing torch costs preparatory stages seconds that they do not need
    from t5core.devices import Device
    from t5core.model import T5

Report = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, kw_only=True)
class Work:
    """One attempt at a stage.

    Attributes:
        inputs: role -> folder of the finished stage that is read in that role.
        folder: what is written here becomes the stage's content; what a killed attempt left is there.
        report: takes ``{"step", "steps", "loss"}``, each of which may be missing.
    """

    stage: Stage
    inputs: Mapping[str, Path]
    folder: Path
    device: "Device"
    report: Report

    def setting(self, name: str) -> dict[str, Any]:
        """Returns the JSON form of one of the stage's configs."""
        return dict(self.stage.settings[name])

    @property
    def some_tasks(self) -> bool:
        """Whether the stage is about some of the tasks only."""
        return not self.stage.settings.keys().isdisjoint(("only", "without"))

    def task_files(self, split: str) -> list[Path]:
        """Returns the files of a split of the tasks that the stage is about, by name."""
        only, without = self.stage.settings.get("only"), self.stage.settings.get("without", ())
        files = {path.name.split(".")[0]: path for path in sorted(self.inputs["tasks"].glob(f"*.{split}.jsonl"))}
        return [path for name, path in files.items() if name not in without and (only is None or name in only)]

    def vocabulary(self) -> Vocabulary:
        """Returns the vocabulary that the stage reads."""
        return Vocabulary.load(self.inputs["vocabulary"] / "vocabulary.model")


def likelihood_file(task: str, step: int | None = None) -> str:
    """The file of a task's likelihoods in their stage's folder: at the end of training, or behind a step of it."""
    return f"{task}.likelihood.npy" if step is None else f"step-{step:08d}/{task}.likelihood.npy"


def marker(model: ModelConfig, vocabulary: Vocabulary) -> tuple[int, ...] | None:
    """The ids that join inputs and targets for a decoder-only model; None for others."""
    return marker_ids(vocabulary) if model.decoder_only else None


def judged_models(checkpoints: Sequence[Path], device: "Device") -> list[tuple["T5", int]]:
    """Returns the models of some checkpoints on a device, as it computes, each with the steps that it was trained."""
    from t5core.training import checkpoint

    found = []
    for folder in checkpoints:
        loaded = checkpoint.load(folder)
        model = loaded.model().to(device.torch_device)
        model.compute_dtype = device.compute_dtype
        found.append((model, loaded.step))
    return found


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    """Writes one JSON object a line."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def read_pairs(path: Path) -> list[TextPair]:
    """Reads the pairs that a tasks stage wrote."""
    return pairs_in(path.read_text(encoding="utf-8"))


def pairs_in(text: str) -> list[TextPair]:
    """Returns the pairs in the text of such a file."""
    rows = [json.loads(line) for line in text.split("\n") if line]
    return [TextPair(inputs=r["inputs"], targets=r["targets"], context=r["context"]) for r in rows]
