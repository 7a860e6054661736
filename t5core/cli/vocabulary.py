"""The verb ``vocabulary``: a SentencePiece vocabulary from any mix of texts.

t5core vocabulary --mix 10:english/ 1:german.txt 1:french.txt 1:romanian.txt --out vocabulary
"""

import argparse
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from t5core.arguments import OneLineParser, parts_and_path, said_of, whole_number
from t5core.cli.lines import note
from t5core.config import VocabularyConfig
from t5core.errors import ConfigError, DataError
from t5core.uris import local_path, masked

if TYPE_CHECKING:
    from t5core.vocabulary import SourceSample, TextSource, Vocabulary

VERBS = ("vocabulary",)
_DEFAULTS = VocabularyConfig()
_SECONDS_PER_MILLION_CHARS = 2
_MEASURED_TEXTS = 1_000


def add_to(verbs: "argparse._SubParsersAction[OneLineParser]") -> None:
    """Adds the verb to a command line."""
    parser = verbs.add_parser(
        "vocabulary",
        help="train a vocabulary on any mix of texts",
        description=vocabulary.__doc__,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "--mix",
        nargs="+",
        default=(),
        metavar="PARTS:PATH",
        help="text files, JSON Lines, Parquet, folders or globs, each with its parts of the characters",
    )
    add("--pieces", default=str(_DEFAULTS.num_pieces), metavar="N", help="size of the model (default: %(default)s)")
    add(
        "--train-chars",
        default=str(_DEFAULTS.train_chars),
        metavar="N",
        help="characters trained on, of all texts together (default: %(default)s)",
    )
    add("--sentinels", default=str(_DEFAULTS.num_sentinels), metavar="N", help="on top (default: %(default)s)")
    add("--seed", default=str(_DEFAULTS.seed), metavar="N", help="of what is drawn (default: %(default)s)")
    add("--out", metavar="DIR", help="where vocabulary.model and vocabulary.json go")
    parser.set_defaults(verb=vocabulary)


def vocabulary(arguments: argparse.Namespace) -> int:
    """Trains a vocabulary on text drawn from several sources in proportion, and shows what each of them gave.

    Parts are parts of the characters. Where a text is shorter than its part, less is drawn from all, so that the
    proportions hold. Texts are read once, in a stream; what is kept in memory does not grow with them.
    """
    from t5core.vocabulary import sample_sources, train_on_samples

    config = VocabularyConfig(
        num_pieces=whole_number("pieces", arguments.pieces, least=1),
        train_chars=whole_number("train_chars", arguments.train_chars, least=1),
        num_sentinels=whole_number("sentinels", arguments.sentinels, least=1),
        seed=whole_number("seed", arguments.seed),
    )
    if not arguments.mix:
        raise ConfigError("mix", "", "give texts with their parts, like --mix 10:english/ 1:german.txt")
    if arguments.out is None:
        raise ConfigError("out", "", "give a folder for the vocabulary: --out DIR")
    out = _free_folder(arguments.out)
    skipped: Counter[str] = Counter()
    samples = sample_sources(_sources(arguments.mix, skipped), train_chars=config.train_chars, seed=config.seed)
    chars = sum(sample.chars for sample in samples)
    seconds = max(1, round(_SECONDS_PER_MILLION_CHARS * chars / 1e6))
    note(f"training {config.num_pieces:,} pieces on {chars:,} characters, about {seconds:,} s")
    try:
        trained = train_on_samples(samples, config, out)
    except OSError as error:
        raise ConfigError("out", str(out), f"cannot be written: {error.strerror or error}") from error
    _print_table(samples, trained)
    for sample in samples:
        if sample.is_short:
            note(
                f"{sample.name} has {sample.found_chars:,} characters where its part would be {sample.wanted_chars:,}; "
                f"to keep the proportions, {chars:,} of {config.train_chars:,} were trained on"
            )
    for name, count in sorted((+skipped).items()):
        if ":" in name:
            note(f"{name}: {count:,}")
    print(f"{trained.num_pieces:,} pieces and {trained.num_sentinels:,} sentinels in {out}")
    return 0


def _free_folder(given: str) -> Path:
    """The folder that a user names, looked at before any text is read: it is to be made, or holds no vocabulary."""
    from t5core.vocabulary import MODEL_FILE

    if "://" in given:
        raise ConfigError("out", masked(given), "vocabularies are written to this machine: give a folder")
    out = local_path(given, "out")
    try:
        nearest = next(path for path in (out, *out.absolute().parents) if path.exists())
        if not nearest.is_dir():
            raise ConfigError("out", str(out), f"{nearest} is a file: give a folder")
        if (out / MODEL_FILE).exists():
            raise ConfigError("out", str(out), "there is a vocabulary, which models may need: give another folder")
    except OSError as error:
        raise ConfigError("out", str(out), f"cannot be used: {error.strerror or error}") from error
    return out


def _sources(mix: Sequence[str], skipped: "Counter[str]") -> "list[TextSource]":
    """The texts of ``PARTS:PATH`` each; all paths are looked up before the first of them is read."""
    from t5core.corpora.files import find_files
    from t5core.vocabulary import TextSource

    sources = []
    owners: dict[object, str] = {}
    for text in mix:
        parts, path = parts_and_path("mix", text)
        try:
            files = find_files([path])
        except ConfigError as error:
            raise said_of(error, "mix", text.partition(":")[0], path) from error
        for file in files:
            if file in owners:
                way_out = f"{file} is in {owners[file]} already: name each text once"
                raise ConfigError("mix", masked(text), way_out)
            owners[file] = masked(text)
        sources.append(TextSource(name=masked(path), texts=_texts(path, skipped), parts=parts))
    return sources


def _texts(path: str, skipped: "Counter[str]") -> Iterator[str]:
    from t5core.corpora.files import read_files

    try:
        for document in read_files([path], min_chars=1, counts=skipped):
            yield document.text
    except (OSError, EOFError, zlib.error) as error:  # the last two: a broken .gz
        raise DataError("mix", masked(path), f"cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _print_table(samples: "Sequence[SourceSample]", trained: "Vocabulary") -> None:
    from t5core.tables import Column, print_table

    columns = [
        Column(head="text", kind="text"),
        Column(head="parts", priority=2),
        Column(head="documents", short="docs", priority=3),
        Column(head="of documents", short="of docs", priority=3),
        Column(head="characters", short="chars", priority=0),
        Column(head="of characters", short="of chars"),
        Column(head="share"),
        Column(head="characters a token", short="chars a token", priority=0),
    ]
    total = sum(sample.chars for sample in samples)
    rows = [
        (
            sample.name,
            f"{sample.parts:,}",
            f"{sample.documents:,}",
            f"{sample.found_documents:,}",
            f"{sample.chars:,}",
            f"{sample.found_chars:,}",
            f"{sample.chars / total:.1%}",
            f"{_chars_a_token(sample, trained):.2f}",
        )
        for sample in samples
    ]
    print_table(columns, rows)


def _chars_a_token(sample: "SourceSample", trained: "Vocabulary") -> float:
    """On the first of the documents that were drawn, which are any."""
    texts = [text for _, text in sample.ranked[:_MEASURED_TEXTS]]
    return sum(map(len, texts)) / max(1, sum(map(len, trained.encode_batch(texts))))
