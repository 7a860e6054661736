"""The flags that every study has, as one frozen value, and how they change the study's baseline.

    --scale tiny --rows 'span*' --seeds 3 --accelerator xla --corpus notes/ --tasks doc_cloze,doc_pair --store s3://bucket/t5
    --tasks glue_cola,glue_sst2,my_task.yaml --data-dir data/ --pretrain-steps 5000
    --vocabulary-mix 10:corpus 1:german/ 1:french/ 1:romanian/
    --seeds 2 --rates 0.5x,1x,2x --checkpoints 5
    --init hf:google/flan-t5-small --tasks my_task.yaml

Everything is checked here or where it is used first, before any device is taken.
"""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from orchestrator.commands.addresses import default_store_uri, default_tracking_uri
from orchestrator.commands.finished import FINISHED_ONLY, LEFT_TO_DO
from orchestrator.commands.init import check_init, from_checkpoint
from orchestrator.commands.seeds import Seeds
from orchestrator.commands.vocabulary_mix import sources_of
from orchestrator.plan.checkpoints import Checkpoints
from orchestrator.plan.experiment import Experiment
from orchestrator.plan.rates import OWN_RATE, Rates
from orchestrator.plan.study import Scale, Study
from t5core.arguments import OneLineParser
from t5core.config import Config, MeshConfig, TrainConfig
from t5core.corpora import corpus_at, identify
from t5core.corpora.places import address_of
from t5core.devices import (
    DEVICE_NAMES,
    PARALLEL_CHOICES,
    PRECISION_CHOICES,
    Decision,
    check_parallel,
    mesh_of,
    resolve_device_name,
    resolve_precision,
    usual_precision,
)
from t5core.errors import ConfigError
from t5core.tasks import choose_tasks, get_task, identify_tasks

PIECES_BEFORE_CHARACTERS = 3 + 256
"""What every vocabulary holds; how many characters the text has besides, only training the vocabulary tells."""
PROFILED_STEPS = 3
"""Of each training, with ``--profile``."""

_C = TypeVar("_C", bound=Config)


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a person typed.

    Attributes:
        more: a study's own flags, by name.
        identified: corpora and tasks as they were found: several studies look once.
    """

    scale: str
    rows: str = "*"
    seeds: str = "1"
    first_seed: int = 0
    rates: str | None = None
    checkpoints: str | None = None
    hours: float | None = None
    accelerator: str
    precision: str | None = None
    corpus: tuple[str, ...]
    tasks: tuple[str, ...]
    data_dir: str | None
    train_examples: int | None
    validation_examples: int | None
    pretrain_steps: int | None
    finetune_steps: int | None
    inputs_length: int | None
    targets_length: int | None
    vocabulary_pieces: int | None
    lanes: int | None
    store: str
    tracking_uri: str
    plan: bool
    json: bool
    vocabulary_mix: tuple[str, ...] = ()
    finetune: str | None = None
    checkpoint: str | None = None
    init: str | None = None
    further: bool = False
    finished_only: bool = False
    profile: bool = False
    microbatch: int | None = None
    parallel: str = "auto"
    mesh: str | None = None
    more: Mapping[str, Any] = field(default_factory=dict)
    identified: dict[Config, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def parse(
        cls,
        title: str,
        scales: Sequence[str],
        argv: Sequence[str] | None,
        more: Callable[[OneLineParser], None] | None = None,
        *,
        rows: bool = True,
        prog: str | None = None,
    ) -> "Options":
        """Reads the command line; raises ConfigError for one that cannot be read.

        Args:
            title: what the command is about.
            scales: their names, the default first.
            argv: None for the process's own.
            more: adds flags of its own to the parser; their values are in ``more``.
            rows: whether there are rows to choose from, each with some seeds.
            prog: what the command is called; None: as it was started.
        """
        parser = OneLineParser(description=title, prog=prog)
        add = parser.add_argument
        add("--scale", default=scales[0], help=f"one of {', '.join(scales)} (default: %(default)s)")
        if rows:
            add(
                "--rows", default="*", metavar="GLOB", help="only rows that match, like 'span*', 'bert,mass', STUDY/ROW"
            )
            add(
                "--seeds",
                default="1",
                metavar="N",
                help="train every row with N seeds, or as many as the study says if those are more; auto or auto:N: "
                "more where the order of rows is open (default: 1)",
            )
            add("--hours", type=float, metavar="H", help="with auto: begin no further round of seeds after H hours")
            add("--first-seed", type=int, default=0, metavar="N", help="count the seeds from N (default: %(default)s)")
            at_several = (
                "train every row at these multiples of its learning rate, and rank it at its best, like 0.5x,1x,2x"
            )
            add("--rates", metavar="A,B", help=at_several)
            at_last = "take bits per byte at the last K checkpoints of each row, and their mean; K:N: N steps apart"
            goes_on = "with --init: pre-train every row further from there, beside a row with the checkpoint as it is"
            add("--further", action="store_true", help=goes_on)
            add("--checkpoints", metavar="K", help=f"{at_last} (default: the end alone)")
            apart = "tasks together, the paper's groups (GLUE and SuperGLUE mixed, others alone), or each task apart"
            add("--finetune", metavar="HOW", help=f"fine-tune {apart} (default: the scale's)")
            which = "which checkpoint answers a task, last or best (of --checkpoints, by the examples it is judged by)"
            add("--checkpoint", metavar="WHICH", help=f"{which} (default: the scale's)")
            says_what = f"show the table if every stage is finished; else start nothing, exit code {LEFT_TO_DO}"
            add(FINISHED_ONLY, action="store_true", help=says_what)
        add("--accelerator", default="auto", help=f"one of {', '.join(DEVICE_NAMES)} (default: %(default)s)")
        precision = (
            f"of activations, {', '.join(PRECISION_CHOICES)} (default: the scale's); auto: what the hardware likes"
        )
        add("--precision", metavar="P", help=precision)
        add("--corpus", nargs="+", default=(), metavar="PATH", help="text, pages or folders of them to pre-train on")
        add(
            "--tasks",
            default="",
            metavar="A,B",
            help="these downstream tasks: names, groups (glue, super_glue, paper), or files of your own (.yaml, .py)",
        )
        add("--data-dir", metavar="FOLDER", help="where the tasks' sets lie, in place of the hub")
        add("--train-examples", type=int, metavar="N", help="train on at most N examples of each task")
        add("--validation-examples", type=int, metavar="N", help="judge by at most N examples of each task")
        add("--pretrain-steps", type=int, metavar="N", help="steps of pre-training, in place of the scale's")
        add("--finetune-steps", type=int, metavar="N", help="steps of fine-tuning, in place of the scale's")
        add("--inputs-length", type=int, metavar="N", help="tokens of a task's inputs, in place of the scale's")
        add("--targets-length", type=int, metavar="N", help="tokens of a task's targets and of predictions, likewise")
        start = "start from this checkpoint, ours or Hugging Face's, and its vocabulary in place of pre-training"
        add("--init", metavar="FOLDER|hf:NAME", help=start)
        add("--vocabulary-pieces", type=int, metavar="N", help="size of the SentencePiece vocabulary")
        add(
            "--vocabulary-mix",
            nargs="+",
            default=(),
            metavar="PARTS:PATH",
            help="texts of the vocabulary by parts, like 10:corpus 1:german/ 1:french/; corpus is the study's own",
        )
        rows_at_a_time = (
            "compute N rows of a batch at a time and add up their gradients: less memory, the same but rounding"
        )
        add("--microbatch", type=int, metavar="N", help=rows_at_a_time)
        held = "whole, layers computed twice, in parts, or the first of these that fits the device"
        held = f"how models are held, one of {', '.join(PARALLEL_CHOICES)}: {held} (default: %(default)s)"
        add("--parallel", default="auto", metavar="P", help=held)
        add("--mesh", metavar="DxM", help="devices of a lane: D share a batch, M each layer (xla), like 8x1 or 4x2")
        add("--lanes", type=int, metavar="N", help="how many stages train at a time (default: as many as fit)")
        add("--store", default=default_store_uri(), metavar="URI", help="where results live (default: %(default)s)")
        add("--tracking-uri", default=default_tracking_uri(), metavar="URI", help="MLflow (default: %(default)s)")
        traced = f"write a trace of {PROFILED_STEPS} steps of each training; one that is in the store is not run again"
        add("--profile", action="store_true", help=traced)
        add("--plan", action="store_true", help="print stages, sharing and cost, and stop")
        add("--json", action="store_true", help="print the plan or the table as JSON")
        if more is not None:
            more(parser)
        a = parser.parse_args(argv)
        tasks = tuple(name.strip() for name in a.tasks.split(",") if name.strip())
        data_dir = None if a.data_dir is None else str(Path(a.data_dir).expanduser().absolute())
        corpus = tuple(map(address_of, a.corpus))
        mix = tuple(a.vocabulary_mix)
        values = {**vars(a), "corpus": corpus, "tasks": tasks, "data_dir": data_dir, "vocabulary_mix": mix}
        names = {f.name for f in fields(cls)}
        more_values = {name: value for name, value in values.items() if name not in names}
        return cls(**{name: value for name, value in values.items() if name in names}, more=more_values)

    def scale_of(self, scales: Mapping[str, Scale], study: Study | None = None) -> Scale:
        """Returns the chosen scale with the study's defaults and this command line's changes to its baseline.

        Raises:
            ConfigError: unknown scale, task or accelerator, a corpus without text, a vocabulary that cannot be.
        """
        if self.scale not in scales:
            raise ConfigError("scale", self.scale, f"choose one of {', '.join(scales)}", choices=scales)
        if self.accelerator != "cuda" or "RAY_ADDRESS" not in os.environ:  # GPUs may be on other nodes than this one
            resolve_device_name(self.accelerator)
        for name in ("lanes", "pretrain_steps", "finetune_steps", "inputs_length", "targets_length"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(name, value, "give 1 or more")
        mesh = self.lane_mesh
        here = self.accelerator != "auto" or "RAY_ADDRESS" not in os.environ  # else the run checks what Ray has
        if here:
            check_parallel(self._device_name(), self.parallel, mesh)
        brought = {n: getattr(self, n) for n in ("pretrain_steps", "vocabulary_pieces", "vocabulary_mix")}
        check_init(self.init, further=self.further, **brought)
        scale = scales[self.scale] if study is None else study.adapted(scales[self.scale])
        baseline = self._changed(scale.baseline)
        if mesh is not None and here:
            for train in (baseline.pretrain, baseline.finetune):
                self._check_shared(train, mesh)
        precision = self.precision_at(scale)
        device_name = self._device_name()
        if device_name == "xla" and (self.precision or scale.precision) == "auto":
            deviates = False  # whether there is a TPU is for the workers to see
        else:
            deviates = precision.value != usual_precision(device_name)
        return replace(scale, baseline=baseline.replace(precision=precision.value if deviates else None))

    @property
    def lane_mesh(self) -> MeshConfig | None:
        """The devices of a lane; None: one, or what a TPU host has. Raises ConfigError for what is no mesh."""
        return None if self.mesh is None else mesh_of(self.mesh)

    def said_of_lanes(self) -> dict[str, str]:
        """Returns how models are held, in words, where there is something to say."""
        if self.parallel == "auto" and self.mesh is None and self._device_name() == "cpu":
            return {}
        devices = "" if self.mesh is None else f", {self.mesh} devices a lane"
        why = "each training by its device's memory, told with its result" if self.parallel == "auto" else "asked for"
        return {"parallel": f"{self.parallel} ({why}){devices}"}

    def _check_shared(self, train: TrainConfig, mesh: MeshConfig) -> None:
        """Raises ConfigError where a lane's devices cannot share a batch evenly."""
        if train.batch_size % mesh.data:
            way_out = f"its first number must divide {train.batch_size}, the batch_size"
            raise ConfigError("mesh", self.mesh, way_out)
        if train.microbatch is None:
            return
        rows = train.batch_size // mesh.data
        if self._device_name() == "xla" and train.microbatch % mesh.data:
            raise ConfigError("microbatch", train.microbatch, f"give a multiple of {mesh.data}, the mesh's data axis")
        if self._device_name() != "xla" and rows % min(train.microbatch, rows):
            raise ConfigError("microbatch", train.microbatch, f"give a number that divides {rows}, a process's rows")

    @property
    def number_of_seeds(self) -> Seeds:
        """How many seeds rows have; raises ConfigError for what is no number of them."""
        if self.hours is not None and not (0 < self.hours < math.inf and self.seeds.startswith("auto")):
            raise ConfigError("hours", self.hours, "give a time above 0, and --seeds auto, which it ends")
        return Seeds.parse(self.seeds)

    @property
    def learning_rates(self) -> Rates:
        """What multiples of its learning rate each row is trained at; raises ConfigError for what are none."""
        if self.rates is None:
            return OWN_RATE
        if self.number_of_seeds.most is not None:
            way_out = "--seeds auto adds seeds by the order at one rate: give a number of --seeds with --rates"
            raise ConfigError("rates", self.rates, way_out)
        return Rates.parse(self.rates)

    def precision_at(self, scale: Scale) -> Decision:
        """Returns the precision at a scale, with its reason; raises ConfigError for none of PRECISION_CHOICES."""
        return resolve_precision(self.precision or scale.precision, self._device_name())

    def _device_name(self) -> str:
        if self.accelerator == "cuda":  # GPUs may be on other nodes than this one
            return "cuda"
        return resolve_device_name(self.accelerator)

    def _found(self, config: _C, identified: Callable[[_C], _C]) -> _C:
        """Returns a config with what lies there now, which takes a while for much text."""
        if config not in self.identified:
            self.identified[config] = identified(config)
        found: _C = self.identified[config]
        return found

    def _changed(self, baseline: Experiment) -> Experiment:
        if self.init is not None:
            baseline = from_checkpoint(baseline, self.init, further=self.further)
        corpus, tasks, vocabulary, model = baseline.corpus, baseline.tasks, baseline.vocabulary, baseline.model
        names = tasks.names
        if self.corpus:
            corpus = corpus_at(self.corpus)
            names = tuple(name for name in names if not get_task(name).needs_docstrings)
        tasks = choose_tasks(self.tasks, tasks) if self.tasks else tasks.replace(names=names)
        limits = {"train_examples": self.train_examples, "validation_examples": self.validation_examples}
        tasks = tasks.replace(data_dir=self.data_dir, **{n: value for n, value in limits.items() if value is not None})
        if self.data_dir is not None and not Path(self.data_dir).is_dir():
            raise ConfigError("data_dir", self.data_dir, "no such folder")
        if self.vocabulary_pieces is not None:
            if self.vocabulary_pieces <= PIECES_BEFORE_CHARACTERS:
                way_out = f"{PIECES_BEFORE_CHARACTERS} are 3 special pieces and 256 bytes: give some hundreds more"
                raise ConfigError("vocabulary_pieces", self.vocabulary_pieces, way_out)
            vocabulary = vocabulary.replace(num_pieces=self.vocabulary_pieces)
            model = model.replace(vocab_size=vocabulary.size)
        pretrain, finetune = baseline.pretrain, baseline.finetune
        if self.pretrain_steps is not None:
            pretrain = pretrain.replace(steps=self.pretrain_steps)
        if self.finetune_steps is not None:
            finetune = finetune.replace(steps=self.finetune_steps)
        if self.inputs_length is not None:
            finetune = finetune.replace(inputs_length=self.inputs_length)
        if self.microbatch is not None:
            pretrain, finetune = (train.replace(microbatch=self.microbatch) for train in (pretrain, finetune))
        if self.profile:
            pretrain, finetune = (train.replace(profile_steps=PROFILED_STEPS) for train in (pretrain, finetune))
        if self.checkpoints is not None:
            finetune = Checkpoints.parse(self.checkpoints).kept_by(finetune)
        decode = baseline.decode
        if self.targets_length is not None:
            finetune = finetune.replace(targets_length=self.targets_length)
            decode = decode.replace(max_new_tokens=self.targets_length)
        # a corpus of one's own takes the place of all of the scale's text
        mix = () if self.corpus else baseline.vocabulary_mix
        if self.vocabulary_mix:
            mix = sources_of(self.vocabulary_mix)
        return baseline.replace(
            corpus=self._found(corpus, identify),
            tasks=self._found(tasks, identify_tasks),
            vocabulary=vocabulary,
            vocabulary_mix=mix,
            model=model,
            pretrain=pretrain,
            finetune=finetune,
            decode=decode,
            **({} if self.finetune is None else {"finetuning": self.finetune}),
            **({} if self.checkpoint is None else {"checkpoint": self.checkpoint}),
        )
