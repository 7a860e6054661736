"""The flags that every study has, as one frozen value, and how they change the study's baseline.

    --scale tiny --rows 'span*' --seeds 3 --accelerator xla --corpus notes/ --tasks doc_cloze,doc_pair --store s3://bucket/t5

Everything is checked here or where it is used first, before any device is taken.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.experiment import Experiment
from orchestrator.home import default_store_uri, default_tracking_uri
from orchestrator.study import Scale, Study
from t5core.arguments import OneLineParser
from t5core.config import CorpusConfig
from t5core.corpora import identify
from t5core.devices import DEVICE_NAMES, resolve_device_name
from t5core.errors import ConfigError
from t5core.tasks import get_task

PIECES_BEFORE_CHARACTERS = 3 + 256
"""What every vocabulary holds; how many characters the text has besides, only training the vocabulary tells."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a person typed."""

    scale: str
    rows: str
    seeds: int
    accelerator: str
    corpus: tuple[str, ...]
    tasks: tuple[str, ...]
    vocabulary_pieces: int | None
    lanes: int | None
    store: str
    tracking_uri: str
    plan: bool
    json: bool

    @classmethod
    def parse(cls, study: Study, scales: Sequence[str], argv: Sequence[str] | None) -> "Options":
        """Reads the command line; raises ConfigError for one that cannot be read."""
        parser = OneLineParser(description=study.title)
        add = parser.add_argument
        add("--scale", default=scales[0], help=f"one of {', '.join(scales)} (default: %(default)s)")
        add("--rows", default="*", metavar="GLOB", help="only rows that match, like 'span*' or 'bert,mass'")
        add("--seeds", type=int, default=1, metavar="N", help="train every row with N seeds (default: %(default)s)")
        add("--accelerator", default="auto", help=f"one of {', '.join(DEVICE_NAMES)} (default: %(default)s)")
        add("--corpus", nargs="+", default=(), metavar="PATH", help="text files, JSON Lines or folders to pre-train on")
        add("--tasks", default="", metavar="A,B", help="only these downstream tasks")
        add("--vocabulary-pieces", type=int, metavar="N", help="size of the SentencePiece vocabulary")
        add("--lanes", type=int, metavar="N", help="how many stages train at a time (default: as many as fit)")
        add("--store", default=default_store_uri(), metavar="URI", help="where results live (default: %(default)s)")
        add("--tracking-uri", default=default_tracking_uri(), metavar="URI", help="MLflow (default: %(default)s)")
        add("--plan", action="store_true", help="print stages, sharing and cost, and stop")
        add("--json", action="store_true", help="print the plan or the table as JSON")
        a = parser.parse_args(argv)
        tasks = tuple(name.strip() for name in a.tasks.split(",") if name.strip())
        values = {**vars(a), "corpus": tuple(str(Path(p).absolute()) for p in a.corpus), "tasks": tasks}
        return cls(**values)

    def scale_of(self, scales: Mapping[str, Scale]) -> Scale:
        """Returns the chosen scale with this command line's changes to its baseline.

        Raises:
            ConfigError: unknown scale, task or accelerator, a corpus without text, a vocabulary that cannot be.
        """
        if self.scale not in scales:
            raise ConfigError("scale", self.scale, f"choose one of {', '.join(scales)}", choices=scales)
        for name in self.tasks:
            get_task(name)  # raises for an unknown one
        resolve_device_name(self.accelerator)
        if self.lanes is not None and self.lanes < 1:
            raise ConfigError("lanes", self.lanes, "give 1 or more")
        scale = scales[self.scale]
        return Scale(name=scale.name, purpose=scale.purpose, baseline=self._changed(scale.baseline))

    def _changed(self, baseline: Experiment) -> Experiment:
        corpus, tasks, vocabulary, model = baseline.corpus, baseline.tasks, baseline.vocabulary, baseline.model
        names = tasks.names
        if self.corpus:
            corpus = CorpusConfig(source="files", paths=self.corpus)
            names = tuple(name for name in names if not get_task(name).needs_docstrings)
        if self.tasks:  # in the order of the table, each once: the same tasks are the same stages
            names = tuple(name for name in tasks.names if name in self.tasks)
        tasks = tasks.replace(names=names)
        if self.vocabulary_pieces is not None:
            if self.vocabulary_pieces <= PIECES_BEFORE_CHARACTERS:
                way_out = f"{PIECES_BEFORE_CHARACTERS} are 3 special pieces and 256 bytes: give some hundreds more"
                raise ConfigError("vocabulary_pieces", self.vocabulary_pieces, way_out)
            vocabulary = vocabulary.replace(num_pieces=self.vocabulary_pieces)
            model = model.replace(vocab_size=vocabulary.size)
        return baseline.replace(corpus=identify(corpus), tasks=tasks, vocabulary=vocabulary, model=model)
