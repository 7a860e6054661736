import hashlib
import itertools
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from t5core.config import CorpusConfig
from t5core.corpora import build_corpus, identify
from t5core.corpora.c4 import C4Config
from t5core.corpora.c4.build import Recipe, build, content_of
from t5core.corpora.c4.explain import explained
from t5core.corpora.c4.recipes import declared
from t5core.corpora.c4.rule_set import Rules
from t5core.corpora.c4.rules import clean_page
from t5core.corpora.c4.sentences import sentences
from t5core.corpora.c4.spans import span_hashes, without_spans
from t5core.corpora.c4.stages import Work, clean_files, settle_spans, settle_urls, shard_rows
from t5core.corpora.c4.tally import MARKUP, RULES, Tally, judged_page
from t5core.corpora.captures import find_captures
from t5core.corpora.documents import read_documents
from t5core.errors import ConfigError, DataError

ANY_LANGUAGE = C4Config(language="none")
TOPICS = ("river", "bridge", "summit", "harbour", "garden", "engine", "library", "market")


def lines_about(topic):
    return [f"The old {topic} was {what} after {n} long days." for n, what in enumerate(("wet", "shut", "new"), 2)]


def page(*lines, url="", timestamp=""):
    return {"text": "\n".join(lines), "url": url, "timestamp": timestamp}


PAGES = [
    *(page(*lines_about(topic), url=f"http://{topic}.org/") for topic in TOPICS),
    page(*lines_about("river"), "Only this line is about rain.", url="http://copy.org/"),
    page(*lines_about("hill"), url="http://hill.org/", timestamp="2020"),
    page(*lines_about("hill"), "A newer line than that one.", url="https://www.hill.org", timestamp="2021"),
    page(*lines_about("lake"), *lines_about("lake")),
    page(*lines_about("lake"), *lines_about("lake")),
    page("Home | About", "Too short."),
    page("x" * 200_000),
]


def written(folder, pages, files=1):
    folder.mkdir(exist_ok=True)
    for number in range(files):
        rows = pages[number::files]
        (folder / f"{number}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return find_captures([str(folder)])


def recipe_for(paths, config=ANY_LANGUAGE, shards=1, form="parquet"):
    return Recipe(rules=Rules(config=config), content=content_of(paths), form=form, shards=shards)


def built(paths, out, **given):
    manifest = build(paths, out, recipe_for(paths, **given))
    rows = [row for shard in manifest["shards"] for row in pq.read_table(out / shard["name"]).to_pylist()]
    return rows, manifest["counts"]


def test_one_copy_of_each_url_and_each_span_is_kept_and_everything_is_counted(tmp_path):
    rows, counts = built(written(tmp_path / "in", PAGES), tmp_path / "out", shards=3)
    all_lines = [line for row in rows for line in row["text"].split("\n")]
    assert len(all_lines) == len(set(all_lines))
    assert {row["url"] for row in rows if "hill" in row["text"]} == {"https://www.hill.org"}
    assert "A newer line than that one." in all_lines
    assert {line for topic in (*TOPICS, "hill", "lake") for line in lines_about(topic)} <= set(all_lines)
    removed = counts["removed"]
    assert {rule: amount["documents"] for rule, amount in removed.items() if amount["documents"]} == {
        "filtered:too_long": 1,
        "filtered:url_duplicate": 1,
        "filtered:too_few_sentences": 1,
        "filtered:too_few_sentences_left": 2,
    }
    assert removed["line-filtered:no_endmark"]["lines"] == 1
    for what in ("documents", "bytes", "lines"):
        gone = sum(amount[what] for amount in removed.values())
        assert counts["pages"][what] == gone + counts["kept"][what]
    assert sum(len(row["text"].encode()) for row in rows) == counts["kept"]["bytes"]


def test_the_same_pages_give_the_same_shards_however_they_lie_in_files(tmp_path):
    wanted = None
    for files, order in ((1, 1), (3, -1)):
        rows, _ = built(written(tmp_path / f"in{files}", PAGES[::order], files), tmp_path / f"out{files}", shards=4)
        found = [(row["text"], row["url"]) for row in rows]
        assert found == (wanted or found)
        wanted = found


def test_steps_may_run_in_any_order_and_again(tmp_path):
    paths = written(tmp_path / "in", PAGES, 3)
    results = []
    for number, reverse in enumerate((False, True)):
        work = Work(tmp_path / f"work{number}", Rules(config=ANY_LANGUAGE), 4)
        ordered = list(reversed(range(4))) if reverse else list(range(4))
        for i, path in sorted(enumerate(paths), reverse=reverse):
            for _ in range(1 + reverse):
                clean_files(work, [path], str(i))
        for step in (settle_urls, settle_spans):
            for part in ordered:
                for _ in range(1 + reverse):
                    step(work, part)
        results.append([list(shard_rows(work, part, Tally())) for part in range(4)])
    assert results[0] == results[1]
    assert sum(map(len, results[0])) > 8


def test_without_dedup_every_copy_stays(tmp_path):
    config = ANY_LANGUAGE.replace(one_copy_per_url=False, span_sentences=0)
    rows, counts = built(written(tmp_path / "in", PAGES), tmp_path / "out", config=config)
    assert len(rows) == len(PAGES) - 2
    assert counts["kept"]["documents"] == len(rows)


def test_the_manifest_names_shards_with_their_checksums_and_is_not_made_twice(tmp_path):
    paths = written(tmp_path / "in", PAGES)
    recipe = recipe_for(paths, shards=2)
    manifest = build(paths, tmp_path / "out", recipe)
    for shard in manifest["shards"]:
        assert shard["sha256"] == hashlib.sha256((tmp_path / "out" / shard["name"]).read_bytes()).hexdigest()
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"manifest.json", *(shard["name"] for shard in manifest["shards"])}
    (tmp_path / "in" / "0.jsonl").unlink()  # what is there needs no input
    assert build(paths, tmp_path / "out", recipe) == manifest
    assert C4Config.from_dict(manifest["config"]) == ANY_LANGUAGE


def test_a_corpus_whose_shards_are_gone_is_made_whole(tmp_path):
    paths = written(tmp_path / "in", PAGES)
    recipe = recipe_for(paths, shards=3)
    manifest = build(paths, tmp_path / "out", recipe)
    lost = tmp_path / "out" / manifest["shards"][1]["name"]
    content = lost.read_bytes()
    lost.unlink()
    assert build(paths, tmp_path / "out", recipe) == manifest
    assert lost.read_bytes() == content


def test_an_unfinished_run_of_the_same_recipe_is_done_anew_and_another_recipe_is_refused(tmp_path):
    paths = written(tmp_path / "in", PAGES)
    out = tmp_path / "out"
    whole = build(paths, out, recipe_for(paths))
    (out / "manifest.json").unlink()
    (out / whole["shards"][0]["name"]).write_bytes(b"half")
    (out / f".work-{whole['recipe']}" / "pages" / "0").mkdir(parents=True)
    (out / f".work-{whole['recipe']}" / "pages" / "0" / "000000").write_bytes(b"half")
    assert build(paths, out, recipe_for(paths)) == whole
    other = recipe_for(paths, config=ANY_LANGUAGE.replace(min_words=4))
    with pytest.raises(ConfigError, match=rf"another recipe's shards \(c4-{whole['recipe']}-00000"):
        build(paths, out, other)
    (out / whole["shards"][0]["name"]).unlink()
    with pytest.raises(ConfigError, match=f"another recipe's corpus .{whole['recipe']}"):
        build(paths, out, other)
    (out / "manifest.json").write_text("{}")
    with pytest.raises(DataError, match="no manifest of a cleaned corpus"):
        build(paths, out, other)


def test_a_second_run_of_the_same_corpus_is_refused_while_the_first_is_at_it(tmp_path):
    paths = written(tmp_path / "in", PAGES, files=3)
    recipe = Recipe(rules=Rules(config=ANY_LANGUAGE), content=content_of(paths), form="parquet", shards=2)
    wanted = build(paths, tmp_path / "alone", recipe)
    seen = []

    def second(line):
        if "(2 of 3)" in line and not seen:
            with pytest.raises(ConfigError, match=r"this corpus is being made: .* process .* works on it") as caught:
                build(paths, tmp_path / "out", recipe)
            seen.append(str(caught.value))

    assert build(paths, tmp_path / "out", recipe, second) == wanted
    assert len(seen) == 1 and "\n" not in seen[0]
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"manifest.json", *(shard["name"] for shard in wanted["shards"])}


def test_pages_that_got_lost_on_the_way_are_noticed(tmp_path):
    paths = written(tmp_path / "in", PAGES, files=3)
    recipe = Recipe(rules=Rules(config=ANY_LANGUAGE), content=content_of(paths), form="parquet", shards=2)

    def lose(line):
        if line.startswith("comparing pages (1"):
            next((tmp_path / "out" / f".work-{recipe.name}" / "pages").iterdir()).unlink()

    with pytest.raises(DataError, match="pages were read and"):
        build(paths, tmp_path / "out", recipe, lose)
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_a_recipe_counts_what_determines_it(tmp_path):
    paths = written(tmp_path / "in", PAGES)
    base = recipe_for(paths)
    others = [recipe_for(paths, config=C4Config()), recipe_for(paths, shards=2), recipe_for(paths, form="jsonl")]
    others.append(recipe_for(written(tmp_path / "in2", PAGES[1:])))
    assert len({recipe.name for recipe in (base, *others)}) == 5
    (tmp_path / "in" / "0.jsonl").rename(tmp_path / "in" / "moved.jsonl")
    assert recipe_for(find_captures([str(tmp_path / "in")])).name == base.name
    with pytest.raises(DataError, match="bad_words"):
        Rules(config=ANY_LANGUAGE, words=("darn",))


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_a_study_reads_cleaned_text_unharmed(tmp_path, form):
    odd = "Wrapped lines would be joined here:\nsee `f(x)` = [1, 2, 3] + {}, <a> && <b> || $PATH; 0x00 == 0xff?"
    text = "\n".join(
        [odd.replace("{}", "()"), *lines_about("canal"), *lines_about("tower"), "And this is it, at last."]
    )
    kept, _ = clean_page(text)
    paths = written(tmp_path / "in", [page(text), *PAGES])
    build(paths, tmp_path / "out", recipe_for(paths, form=form, shards=2))
    config = identify(CorpusConfig(source="files", paths=(str(tmp_path / "out"),), min_chars=20))
    build_corpus(config, tmp_path / "corpus")
    documents = itertools.chain.from_iterable(
        read_documents(tmp_path / "corpus" / name) for name in ("train.jsonl", "validation.jsonl")
    )
    assert kept in {document["text"] for document in documents}
    (shard,) = [path for path in (tmp_path / "out").iterdir() if path.name.endswith("00000-of-00002." + _ending(form))]
    assert identify(config.replace(paths=(str(shard),), content="")).content != config.content


def _ending(form):
    return {"parquet": "parquet", "jsonl": "jsonl.gz"}[form]


def test_parquet_of_a_users_own_needs_a_column_of_text(tmp_path):
    import pyarrow

    pq.write_table(pyarrow.table({"body": ["x"]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="no column of strings named text, only body"):
        identify(CorpusConfig(source="files", paths=(str(tmp_path),)))
    Path(tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="no Parquet file"):
        identify(CorpusConfig(source="files", paths=(str(tmp_path),)))


@pytest.mark.parametrize(
    ("text", "verdict", "why"),
    [
        ("x" * 200_000, "filtered:too_long", "200,000 characters, 190,000 at most"),
        ("Short here.", "filtered:too_few_sentences", "0 left, 3 or more are asked for"),
        ("The set {1} has one member.", "filtered:squigglybracket", "by the line above"),
        ("\n".join(lines_about("river")), "passed", "3 lines"),
        ("Der Fluss war nach dem Regen sehr hoch.\n" * 3, "filtered:ignored_language", "de with probability"),
    ],
)
def test_explanations_end_with_the_verdict_on_the_page(text, verdict, why):
    *lines, last = explained(text, C4Config(), None)
    assert (last.verdict, last.line) == (verdict, None)
    assert why in last.why
    assert verdict == "filtered:too_long" or (judged_page(text, C4Config(), None).text is None) == (verdict != "passed")
    assert all(found.verdict in (*RULES, "line-passed") for found in lines)


MARKED = "Tea\n===\nIt is a drink.[1] Many like it.\nwidth : int\n\nReferences\nSomeone, 1999."


@pytest.mark.parametrize(
    ("recipe", "text", "lines", "why"),
    [
        ("unfiltered", "Menu\n\n One line. ", ["line-passed", "line-passed"], "3 lines"),
        ("unfiltered", " \n ", [], "nothing is left"),
        (
            "wikipedia",
            MARKED,
            ["line-passed", MARKUP, "line-passed", MARKUP, MARKUP, MARKUP],
            "2 lines",
        ),
        ("wikipedia", "a : b", [MARKUP], "nothing is left"),
    ],
)
def test_explanations_are_by_the_recipes_rules(recipe, text, lines, why):
    rules = declared(recipe, language="none")
    *found, last = explained(text, rules.config, None, url="https://en.wikipedia.org/wiki/Tea", listing=rules.listing)
    assert [one.verdict for one in found] == lines
    kept = judged_page(text, rules.config, None).text
    assert (last.line, last.why) == (None, why) and (last.verdict == "passed") == (kept is not None)
    if recipe == "wikipedia" and kept:
        whys = [one.why for one in found]
        assert whys[1:4] == ["an underline", "kept as 'It is a drink. Many like it.'", "an entry"]
        assert whys[-1] == "at the end, from 'References'"


def test_explanations_name_pages_that_are_not_listed():
    rules = declared("wikipedia")
    for url, why in (("", "it has no URL to be listed by"), ("https://a.org/", "'https://a.org/' is not on the list")):
        (only,) = explained(MARKED, rules.config, None, url=url, listing=rules.listing)
        assert (only.verdict, only.why, only.line) == ("filtered:not_listed", why, None)


SENTENCES = st.sampled_from([f"Sentence number {n} says a thing." for n in range(6)])
LINES = st.lists(SENTENCES, min_size=1, max_size=5).map(" ".join)


@given(st.lists(st.lists(LINES, min_size=3, max_size=4).map("\n".join), min_size=1, max_size=6), st.integers(1, 5))
@settings(deadline=None, max_examples=40)
def test_spans_are_kept_as_by_one_who_sees_all_pages_at_once(tmp_path_factory, texts, partitions):
    folder = tmp_path_factory.mktemp("spans")
    paths = written(folder / "in", [page(text) for text in texts])
    work = Work(folder, Rules(config=ANY_LANGUAGE), partitions)
    clean_files(work, paths, "0")
    for step in (settle_urls, settle_spans):
        for part in range(partitions):
            step(work, part)
    found = [row["text"] for part in range(partitions) for row in shard_rows(work, part, Tally())]

    seen, wanted = set(), []
    for text in sorted(texts, key=lambda text: hashlib.blake2b(text.encode(), digest_size=16).digest()):
        lost = set()
        for number, span in enumerate(span_hashes(text)):
            lost |= {number} if span in seen else set()
            seen.add(span)
        left = without_spans(text, lost).text
        if sum(len(sentences(line)) for line in left.split("\n")) >= 3:
            wanted.append(left)
    assert found == wanted


@pytest.mark.faults
def test_a_run_that_was_killed_and_done_again_gives_the_same_shards(tmp_path):
    pages = [
        page(*(f"{line} Number {n}." for line in lines_about(f"{topic} {n}"))) for n in range(2_000) for topic in TOPICS
    ]
    paths = written(tmp_path / "in", pages, 4)
    whole = build(paths, tmp_path / "whole", recipe_for(paths, shards=3))
    command = [sys.executable, "-m", "t5core.cli", "clean", str(tmp_path / "in"), "--out", str(tmp_path / "killed")]
    command += ["--language", "none", "--bad-words", "none", "--shards", "3"]
    seen = set()
    for pattern in (".work-*/pages/000001", ".work-*/spans/1", "*00000-of-00003.parquet*"):
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            while not (there := list((tmp_path / "killed").glob(pattern))) and process.poll() is None:
                time.sleep(0.005)
            process.send_signal(signal.SIGKILL)
        seen.add(bool(there))
    assert seen == {True}
    assert not (tmp_path / "killed" / "manifest.json").exists()
    assert build(paths, tmp_path / "killed", recipe_for(paths, shards=3)) == whole
    for shard in whole["shards"]:
        data = (tmp_path / "killed" / shard["name"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == shard["sha256"]
