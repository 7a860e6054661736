import functools
import json

import pytest

from t5core.corpora import places

RIVER = "The river was high after three days of rain."
BRIDGE = "Nobody had expected the old bridge to hold that long."
SUMMIT = "They finally reached the summit before noon!"
PAGE = f"Home | About\n{RIVER}[1]\n{BRIDGE}\n{SUMMIT}\nPlease enable Javascript to see this page.\nThe end."


@pytest.fixture
def run(t5core, tmp_path, monkeypatch):
    (tmp_path / "page.txt").write_text(PAGE)
    monkeypatch.chdir(tmp_path)
    return functools.partial(t5core, "clean")


def test_files_become_a_folder_with_a_manifest(run, tmp_path):
    code, out, err = run("page.txt", "--out", "corpus", "--stats")
    assert code == 0
    assert "1 of 1 pages" in out
    assert "LDNOOBW's" in err
    rows = [line.split() for line in out.splitlines() if line.strip()]
    table = {row[0]: row[1:] for row in rows}
    assert table["line-filtered:no_endmark"][:2] == ["–", "1"]
    assert table["line-filtered:javascript"][:2] == ["–", "1"]
    assert table["line-filtered:too_short"][:2] == ["–", "1"]
    assert table["kept"][:2] == ["1", "3"]
    manifest = json.loads((tmp_path / "corpus" / "manifest.json").read_text())
    assert manifest["counts"]["kept"]["lines"] == 3
    assert len(manifest["shards"]) == 1


def test_rules_that_are_off_are_said_to_be(run):
    code, out, err = run(
        *("page.txt", "--out", "corpus", "--stats", "--language", "none", "--bad-words", "none", "--no-dedup"),
        *("--format", "jsonl", "--shards", "3"),
    )
    assert code == 0
    assert "bad words: the rule is off" in err
    assert {line.split()[0] for line in out.splitlines() if line.split()[1:2] == ["off"]} == {
        "filtered:url_duplicate",
        "filtered:badword",
        "filtered:langdetect_exception",
        "filtered:low_confidence",
        "filtered:ignored_language",
        "span-filtered:duplicate",
        "filtered:too_few_sentences_left",
    }
    assert "off" in run("page.txt", "--out", "ko", "--language", "so")[2]  # Somali: no list


def test_a_list_of_bad_words_of_ones_own(run, tmp_path):
    (tmp_path / "words.txt").write_text("summit\n")
    code, out, err = run("page.txt", "--out", "corpus", "--bad-words", "words.txt", "--stats")
    assert code == 2
    assert [line.split()[1] for line in out.splitlines() if "badword" in line] == ["1"]
    assert "no page is left by the rules" in err
    assert not (tmp_path / "corpus" / "manifest.json").exists()


def test_explaining_shows_each_line_and_why(run, tmp_path):
    code, out, _ = run("--explain", "page.txt")
    assert code == 0
    assert out.splitlines() == [
        "page.txt",
        "  - 'Home | About': line-filtered:no_endmark (it ends in 't', not in one of . ? ! \")",
        f"  + '{RIVER}[1]': line-passed (kept as '{RIVER}')",
        f"  + '{BRIDGE}': line-passed",
        f"  + '{SUMMIT}': line-passed",
        "  - 'Please enable Javascript to see this page.': line-filtered:javascript (it holds 'javascript')",
        "  - 'The end.': line-filtered:too_short (2 words, 5 or more are asked for)",
        "  kept: passed (3 lines)",
        "",
    ]
    assert not (tmp_path / "corpus").exists()


def test_explaining_asks_the_recipe(run, tmp_path):
    _, out, _ = run("--explain", "page.txt", "--recipe", "unfiltered", "--language", "none")
    assert "  + 'Home | About': line-passed\n" in out and out.endswith("  kept: passed (6 lines)\n\n")
    _, out, _ = run("--explain", "page.txt", "--recipe", "wikipedia")
    assert out == "page.txt\n  dropped: filtered:not_listed (it has no URL to be listed by)\n\n"
    _, out, _ = run("--explain", "page.txt", "--recipe", "wikipedia-books", "--books", "page.txt")
    assert f"  + '{RIVER}[1]': line-passed (kept as '{RIVER}')\n" in out and "kept: passed" in out


def test_flags_take_the_place_of_what_the_recipes_file_says(run, tmp_path):
    (tmp_path / "pages.jsonl").write_text(json.dumps({"text": PAGE, "url": "https://a.news.org/1"}) + "\n")
    (tmp_path / "news.txt").write_text("news.org\n")
    recipe = {"recipe": "realnews-like", "files": ["pages.jsonl"], "language": "none", "shards": "many"}
    (tmp_path / "recipe.json").write_text(json.dumps(recipe))
    code, out, _ = run("--recipe", "recipe.json", "page.txt", "pages.jsonl", "--out", "both", "--shards", "1")
    assert code == 2
    arguments = ("--domains", "news.txt", "--shards", "1", "--out", "news")
    code, out, _ = run("--recipe", "recipe.json", *arguments)
    assert code == 0 and out.startswith("1 of 1 pages")


@pytest.mark.parametrize(
    "arguments",
    [
        ("page.txt", "--out", "c", "--domains", "s3://KEY:SECRET@bucket/d.txt"),
        ("page.txt", "--out", "c", "--books", "s3://KEY:SECRET@bucket/b.txt"),
        ("page.txt", "--out", "c", "--bad-words", "nonsense://KEY:SECRET@bucket/b.txt"),
        ("page.txt", "--out", "c", "--recipe", "unfiltered", "--bad-words", "nonsense://KEY:SECRET@bucket/b.txt"),
        ("page.txt", "--out", "c", "--recipe", "s3://KEY:SECRET@bucket/r.json"),
        ("page.txt", "--out", "c", "--recipe", "s3://KEY:SECRET@bucket/r"),
        ("page.txt", "--explain", "s3://KEY:SECRET@bucket/r.json"),
        ("page.txt", "--out", "c", "--recipe", "realnews-like", "--domains", "nonsense://KEY:SECRET@bucket/d"),
        ("page.txt", "--out", "c", "--recipe", "webtext-like", "--scores", "ftp://KEY:SECRET@127.0.0.1:1/d"),
    ],
)
def test_no_error_shows_a_password(run, monkeypatch, arguments):
    monkeypatch.setattr(places, "_PAUSE_S", 0.0)
    code, out, err = run(*arguments)
    assert code == 2 and out == ""
    assert "://***@" in err and "SECRET" not in err and len(err.splitlines()) == 1


@pytest.mark.parametrize("flag", ["--out", "--bad-words", "--recipe"])
def test_a_home_that_nobody_has_is_named(run, flag):
    given = "~nosuchuser/x.json"
    code, _, err = run("page.txt", *(() if flag == "--out" else ("--out", "corpus")), flag, given)
    assert code == 2 and "nobody of that name has a home here" in err and len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("page.txt",), "out='': give a folder"),
        (("--out", "corpus"), "files='': give files"),
        (("none.txt", "--out", "corpus"), "files='none.txt': no such file or folder"),
        (("empty", "--out", "corpus"), "files='empty': no pages there"),
        (("page.txt", "--out", "page.txt"), "out='page.txt': this is a file"),
        (("page.txt", "--out", "corpus", "--format", "parket"), "did you mean 'parquet'?"),
        (("page.txt", "--out", "corpus", "--shards", "0"), "shards='0': give a whole number from 1 up to 100,000"),
        (("page.txt", "--out", "corpus", "--language", "english"), "language='english': choose one of"),
        (("page.txt", "--out", "corpus", "--identifier", "resilparse"), "did you mean 'resiliparse'?"),
        (("page.txt", "--out", "corpus", "--bad-words", "none.txt"), "bad-words='none.txt': cannot be read"),
        (("page.txt", "--explain", "page.txt"), "leave out other files"),
        (("page.txt", "--out", "taken"), "it holds another recipe's shards (c4-00000000-00000-of-00001.parquet"),
    ],
)
def test_bad_input_is_named_on_one_line(run, tmp_path, arguments, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "c4-00000000-00000-of-00001.parquet").touch()
    code, out, err = run(*arguments)
    (last,) = [line for line in err.splitlines() if "bad words:" not in line]
    assert (code, out) == (2, "")
    assert message in last
    assert last.startswith("t5core: error: ")


def test_a_folder_that_cannot_be_written_is_named(run, tmp_path):
    (tmp_path / "file").touch()
    code, _, err = run("page.txt", "--out", "file/corpus")
    assert code == 2
    assert "file/corpus': cannot be written: Not a directory" in err
