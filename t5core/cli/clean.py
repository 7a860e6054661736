"""The verb ``clean``: from web captures and other raw text to a corpus, by the rules of C4 or another recipe.

    t5core clean crawl/*.warc.gz --out corpus --stats
    t5core clean crawl/*.warc.gz --recipe realnews-like --domains news.txt --out news
    t5core clean --explain page.txt

The corpus is what ``--corpus`` of every study takes. What was done is in its manifest.json.
"""

import argparse
import sys
from collections import Counter
from typing import TYPE_CHECKING

from t5core.arguments import OneLineParser
from t5core.cli.lines import note
from t5core.corpus_command import add_settings_to, declaration_of, rules_of, show_result
from t5core.errors import ConfigError
from t5core.uris import masked

if TYPE_CHECKING:
    from t5core.corpora.c4.declaration import Declaration
    from t5core.corpora.c4.rule_set import Rules
    from t5core.corpora.places import Place

VERBS = ("clean",)
_SHOWN_CHARS = 100


def add_to(verbs: "argparse._SubParsersAction[OneLineParser]") -> None:
    """Adds the verb to a command line."""
    parser = verbs.add_parser(
        "clean", help="make a corpus of raw text, by C4's rules", description=clean.__doc__, allow_abbrev=False
    )
    parser.add_argument(
        "files", metavar="FILE", nargs="*", help="WARC, WET, JSON Lines, Parquet, text; folders, globs, URIs; hf:NAME"
    )
    parser.add_argument(
        "--recipe", default="c4", metavar="R", help="one of Table 8's, or a file of JSON (default: %(default)s)"
    )
    parser.add_argument("--out", metavar="URI", help="where shards and manifest.json go: a folder or an object store")
    parser.add_argument("--explain", metavar="FILE", help="write nothing; show what becomes of each line and why")
    parser.add_argument("--stats", action="store_true", help="show what each rule removed")
    add_settings_to(parser)
    parser.set_defaults(verb=clean)


def clean(arguments: argparse.Namespace) -> int:
    """Cleans web captures and other raw text by C4's rules or another recipe, into what --corpus of studies takes."""
    from t5core.corpora.captures import find_captures

    declaration = declaration_of(arguments)
    if arguments.explain is not None:
        if arguments.files or arguments.out is not None:
            raise ConfigError(
                "explain", masked(arguments.explain), "it writes nothing: leave out other files and --out"
            )
        books = find_captures(declaration.books) if declaration.books else ()
        return _explain(find_captures([arguments.explain]), books, rules_of(declaration, note))
    if not declaration.files:
        raise ConfigError("files", "", "give files to clean, or --explain FILE")
    if arguments.out is None:
        raise ConfigError("out", "", "give a folder for the corpus: --out DIR")
    return _build(declaration, arguments)


def _build(declaration: "Declaration", arguments: argparse.Namespace) -> int:
    from t5core.corpora.c4.build import Recipe, build, content_of, shards_for
    from t5core.corpora.c4.output import Output
    from t5core.corpora.captures import find_captures

    out = Output.of(arguments.out)
    rules = rules_of(declaration, note)
    paths = find_captures(declaration.files)
    books = find_captures(declaration.books) if declaration.books else ()
    recipe = Recipe(
        rules=rules,
        content=content_of(paths, books),
        form=declaration.format,
        shards=declaration.shards or shards_for([*paths, *books]),
    )
    try:
        manifest = build(paths, out, recipe, note if sys.stderr.isatty() else None, books=books)
    except OSError as error:
        raise ConfigError("out", out.shown, f"cannot be written: {error.strerror or error}") from error
    return show_result(manifest, out.shown, declaration, table=arguments.stats, tell=note)


def _explain(paths: "tuple[Place, ...]", books: "tuple[Place, ...]", rules: "Rules") -> int:
    """Of a book the listing is not asked, as when the corpus is made."""
    from t5core.corpora.c4.bad_words import finder
    from t5core.corpora.c4.explain import explained
    from t5core.corpora.c4.listing import ALL_PAGES
    from t5core.corpora.c4.rules import LINE_PASSED, PAGE_PASSED
    from t5core.corpora.captures import read_pages

    counts: Counter[str] = Counter()
    bad_words = finder(rules.words, rules.config.language)
    for path in paths:
        listing = ALL_PAGES if path in books else rules.listing
        for page in read_pages(path, counts):
            print(f"{page.source}  {page.url}".rstrip())
            for found in explained(page.text, rules.config, bad_words, url=page.url, listing=listing):
                reason = f" ({found.why})" if found.why else ""
                if found.line is not None:
                    sign = "+" if found.verdict == LINE_PASSED else "-"
                    print(f"  {sign} {_short(found.line)!r}: {found.verdict}{reason}")
                else:
                    print(f"  {'kept' if found.verdict == PAGE_PASSED else 'dropped'}: {found.verdict}{reason}\n")
    for name, count in sorted(counts.items()):
        if count and ":" in name:
            note(f"{name}: {count:,}")
    sys.stdout.flush()
    return 0


def _short(line: str) -> str:
    return line if len(line) <= _SHOWN_CHARS else f"{line[: _SHOWN_CHARS - 1]}…"
