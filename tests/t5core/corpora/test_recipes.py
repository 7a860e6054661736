"""Recipes, their lists, and the files that declare them."""

import json

import fsspec
import pytest

from t5core.corpora.c4.bad_words import published_words
from t5core.corpora.c4.declaration import Declaration
from t5core.corpora.c4.listing import Listing, read_domains, read_scores
from t5core.corpora.c4.output import Output
from t5core.corpora.c4.recipes import RECIPES, declared
from t5core.corpora.c4.tally import unused_rules
from t5core.errors import ConfigError, DataError


@pytest.fixture
def lists(tmp_path):
    (tmp_path / "domains.txt").write_text("# papers\nNews.example.com\nhttp://paper.org/front\n")
    (tmp_path / "scores.txt").write_text("http://a.org/1 2\nhttps://www.a.org/2/ 3\na.org/1 2.9\nb.org/x 17\n")
    return tmp_path


def test_each_recipe_has_the_rules_that_the_table_says(lists):
    extra = {
        "realnews_like": {"domains": (str(lists / "domains.txt"),)},
        "webtext_like": {"scores": (str(lists / "scores.txt"),)},
    }
    rules = {name: declared(name, **extra.get(name, {})) for name in RECIPES}
    by_c4 = {name for name, found in rules.items() if found.config.rules}
    assert by_c4 == {"c4", "realnews_like", "webtext_like"}
    assert all(rules[name].words == published_words("en") for name in by_c4)
    assert {name for name, found in rules.items() if found.config.span_sentences} == by_c4
    assert {name for name, found in rules.items() if found.config.language == "en"} == {*by_c4, "unfiltered"}
    assert all(found.config.one_copy_per_url for found in rules.values())
    assert {name for name, found in rules.items() if found.config.prose} == {"wikipedia", "wikipedia_books"}
    assert rules["realnews_like"].listing == Listing(domains=frozenset({"news.example.com", "paper.org"}))
    assert rules["webtext_like"].listing == Listing(urls=frozenset({"a.org/2", "b.org/x"}))
    assert rules["wikipedia"].listing.takes("https://en.wikipedia.org/wiki/Tea")
    assert not rules["wikipedia"].listing.takes("https://de.wikipedia.org/wiki/Tee")
    assert declared("wikipedia", language="none").listing.takes("https://de.wikipedia.org/wiki/Tee")
    assert declared("wikipedia", language="an").listing.takes("https://an.wikipedia.org/wiki/T%C3%A9")
    assert "filtered:badword" in unused_rules(rules["unfiltered"].config)


def test_listings_count_by_what_they_say_and_come_back_from_plain_values(lists):
    listing = read_scores([str(lists / "scores.txt")])
    (lists / "other.txt").write_text("b.org/x 3\n\n# more\nhttp://a.org/2?utm_source=x 4\n")
    assert read_scores([str(lists / "other.txt")]).digest == listing.digest != ""
    assert Listing.from_dict(json.loads(json.dumps(listing.to_dict()))) == listing
    assert Listing().takes("anything") and Listing().digest == ""
    assert not listing.takes("http://[not a url")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"recipe": "realnews"}, "did you mean 'realnews-like'?"),
        ({"recipe": "realnews-like"}, "realnews-like needs it: give --domains"),
        ({"recipe": "wikipedia-books"}, "wikipedia-books needs it: give --books"),
        ({"domains": ["domains.txt"]}, "c4 takes none"),
        ({"recipe": "unfiltered", "bad_words": "domains.txt"}, "unfiltered has no such rule"),
        ({"recipe": "wikipedia", "language": "EN!"}, "give Wikipedia's letters for it"),
        ({"language": "xx"}, "choose one of none, af"),
        ({"files": "crawl"}, 'give a list, like {"files": ["a", "b"]}'),
        ({"file": ["crawl"]}, "did you mean 'files'?"),
        ({"shards": 0}, "give a whole number from 1 to"),
        ({"format": "parket"}, "did you mean 'parquet'?"),
        ({"recipe": "webtext-like", "scores": ["low.txt"]}, "no URL in it has a score of 3 or more"),
        ({"recipe": "webtext-like", "scores": ["nan.txt"]}, "give a URL, a space and its score"),
        ([], "give an object"),
        ({"recipe": 5}, "recipe=5: give a word in quotation marks"),
        ({"recipe": None}, "recipe=None: give a word"),
        ({"language": ["en"]}, "language=\"['en']\": give a word"),
        ({"shards": "4"}, "shards='4': give a whole number from 1 to 100,000"),
        ({"shards": 2.5}, "shards=2.5: give a whole number"),
        ({"shards": True}, "shards=True: give a whole number"),
        ({"bad_words": 5}, "bad_words=5: give the name of one file"),
        ({"dedup": "no"}, "dedup='no': give true or false"),
        ({"dedup": 0}, "dedup=0: give true or false"),
        ({"recipe": "realnews-like", "domains": ["a\u0000b"]}, 'give a list, like {"domains": ["a", "b"]}'),
        ({"files": [["s3://user:SECRET@b/c"]]}, "s3://***@b/c"),
        ({"files": None}, 'give a list, like {"files": ["a", "b"]}'),
        ({"bad_words": "~nosuchuser/x"}, "nobody of that name has a home here"),
        ({"store": ["s3://user:SECRET@b/c"]}, "store=\"['s3://***@b/c']\": no such field"),
        ({"identifier": "cld3"}, "choose one of langdetect"),
    ],
)
def test_what_a_declaration_cannot_mean_is_named(lists, values, message):
    (lists / "low.txt").write_text("a.org 1\n")
    (lists / "nan.txt").write_text("a.org nan\n")
    path = lists / "recipe.json"
    path.write_text(json.dumps(values))
    with pytest.raises((ConfigError, DataError)) as caught:
        Declaration.read(path).rules()
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_paths_in_a_declaration_are_taken_from_its_folder(lists):
    path = lists / "recipe.json"
    files = ["crawl/*.wet.gz", "/data", "s3://b/c", "hf:allenai/c4"]
    path.write_text(json.dumps({"files": files, "bad_words": "none"}))
    declaration = Declaration.read(path)
    assert declaration.files == (f"{lists}/crawl/*.wet.gz", *files[1:])
    assert declaration.rules().words == ()
    path.write_text("{")
    with pytest.raises(ConfigError, match="this is no JSON"):
        Declaration.read(path)
    path.write_text("[" * 100_000)
    with pytest.raises(ConfigError, match="this is no JSON"):
        Declaration.read(path)


def test_what_is_given_besides_the_file_counts_before_anything_is_checked(lists):
    path = lists / "recipe.json"
    path.write_text(json.dumps({"recipe": "realnews-like", "shards": "four", "files": ["a"]}))
    declaration = Declaration.read(path, domains=(str(lists / "domains.txt"),), shards=4)
    assert (declaration.shards, declaration.files) == (4, (f"{lists}/a",))
    assert declaration.rules().listing.takes("http://paper.org/x")


def test_lists_may_lie_in_a_store():
    fs = fsspec.filesystem("memory")
    fs.pipe("/lists/domains.txt", b"news.org\n")
    fs.pipe("/lists/words.txt", b"darn\n")
    try:
        domains = ("memory://lists/domains.txt",)
        given = Declaration(recipe="realnews-like", domains=domains, bad_words="memory://lists/words.txt")
        rules = given.rules()
        assert rules.listing == Listing(domains=frozenset({"news.org"})) and rules.words == ("darn",)
        with pytest.raises(ConfigError, match=r"^domains='memory://lists/none.txt': cannot be fetched"):
            read_domains(["memory://lists/none.txt"])
    finally:
        fs.rm("/lists", recursive=True)


def test_an_output_in_a_store_is_named_without_its_password_and_its_failures_are_one_line(tmp_path):
    out = Output.of("memory://corpus/a/")
    assert out.names() == [] and out.read("x") is None and out.size("x") is None
    (tmp_path / "x").write_bytes(b"abc")
    out.put(tmp_path / "x", "x")
    assert (out.names(), out.read("x"), out.size("x")) == (["x"], b"abc", 3)
    out.remove("x")
    out.remove("x")
    assert out.names() == []
    assert Output.of("s3://user:secret@bucket/x").shown == "s3://***@bucket/x"
    with pytest.raises(ConfigError, match="out='~nosuchuser/x': nobody of that name"):
        Output.of("~nosuchuser/x")
    with pytest.raises(ConfigError, match="no store of kind 'nonsense'"):
        Output.of("nonsense://x").names()
    with pytest.raises(ConfigError, match="no answer of the store"):
        Output.of("ftp://127.0.0.1:1/x").names()
