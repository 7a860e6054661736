"""Table 8's recipes: what each takes and leaves of a user's text and of the embedded documents' stand-ins."""

import json

import pytest

from t5core.config import CorpusConfig
from t5core.corpora import build_corpus, embedded, identify, read_documents, variants
from t5core.corpora.c4.listing import on_domains, read_domains
from t5core.corpora.c4.markup import without_markup
from t5core.corpora.documents import SourceDocument
from t5core.errors import ConfigError, DataError

SITES = ("news.example.com", "blog.example.org", "en.wikipedia.org")
ALL = ("plain", "c4", "unfiltered", "realnews_like", "webtext_like", "wikipedia", "wikipedia_books")
WORDS = ("river", "bridge", "garden", "market", "letter", "window", "winter", "summer", "doctor", "teacher", "village")


def sentence(i, j):
    a, b, c = WORDS[i % 11], WORDS[(i // 11 + j) % 11], WORDS[(3 * i + j) % 11]
    return f"The old {a} number {i} of part {j} was near the {b} where people liked to meet the {c} in the evening."


def page(i):
    prose = " ".join(sentence(i, j) for j in range(3))
    return f"{prose}\n\nThis is the menu of the {WORDS[i % 11]} page {i} and it has no end mark\n\n{sentence(i, 7)}"


@pytest.fixture
def crawl(tmp_path):
    rows = [{"text": page(i), "url": f"https://{SITES[i % 3]}/{i}", "timestamp": str(i)} for i in range(90)]
    rows.append({"text": page(400), "url": "http://www.news.example.com/0/", "timestamp": "9"})
    rows += [{"text": f"{page(i)}\n\nHere is a {{ on page {i} too."} for i in range(90, 110)]
    (tmp_path / "crawl.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "domains.txt").write_text("# newspapers\nexample.com\n")
    scores = "".join(f"http://{SITES[i % 3]}/{i}\t{i % 5}\n" for i in range(90))
    (tmp_path / "scores.txt").write_text(scores)
    (tmp_path / "book.txt").write_text("\n\n".join(sentence(i, 50) for i in range(200, 230)))
    return tmp_path


def config(folder, variant):
    extra = {"realnews_like": "domains.txt", "webtext_like": "scores.txt", "wikipedia_books": "book.txt"}.get(variant)
    return CorpusConfig(
        source="files",
        paths=(str(folder / "crawl.jsonl"),),
        validation_fraction=0.2,
        min_chars=50,
        variant=variant,
        extra=(str(folder / extra),) if extra else (),
        language="none",
    )


def built(folder, variant):
    counts = build_corpus(config(folder, variant), folder / variant)
    return [list(read_documents(folder / variant / f"{split}.jsonl")) for split in ("train", "validation")], counts


def numbers(documents):
    return {int(d["source"].partition(":")[2]) - 1 for d in documents if d["source"].startswith("crawl")}


def test_each_recipe_takes_what_it_says(crawl):
    trained = {variant: built(crawl, variant)[0][0] for variant in ALL}
    plain, c4 = numbers(trained["plain"]), numbers(trained["c4"])
    assert numbers(trained["unfiltered"]) == plain - {0}  # one copy per URL here too
    assert c4 == {i for i in plain if 0 < i < 91}  # the first has a newer copy, the last have a bracket
    assert all("no end mark" not in d["text"] for d in trained["c4"])
    assert numbers(trained["realnews_like"]) == {i for i in c4 if i % 3 == 0 or i == 90}
    assert numbers(trained["webtext_like"]) == {i for i in c4 if i < 90 and i % 5 >= 3}
    assert numbers(trained["wikipedia"]) == {i for i in plain if i < 90 and i % 3 == 2}
    assert any("no end mark" in d["text"] for d in trained["wikipedia"])
    books = [d for d in trained["wikipedia_books"] if d["source"] == "book.txt"]
    assert books and numbers(trained["wikipedia_books"]) == numbers(trained["wikipedia"])


def test_what_is_held_out_is_the_same_for_all_and_in_none(crawl):
    held_out = {
        variant: (built(crawl, variant), (crawl / variant / "validation.jsonl").read_bytes()) for variant in ALL
    }
    assert len({content for _, content in held_out.values()}) == 1
    (_, validation), _ = held_out["plain"][0]
    sentences = [line for d in validation for line in d["text"].replace(". ", ".\n").split("\n") if len(line) > 40]
    assert len(sentences) > 20
    for variant in ALL:
        text = (crawl / variant / "train.jsonl").read_text()
        assert not [s for s in sentences if s in text]


def test_a_book_that_quotes_what_is_held_out_loses_the_quotation(crawl):
    (_, validation), _ = built(crawl, "plain")
    quoted = validation[0]["text"].partition("\n")[0]
    (crawl / "book.txt").write_text("\n\n".join([quoted, *(sentence(i, 50) for i in range(200, 230))]))
    (train, _), _ = built(crawl, "wikipedia_books")
    assert any(d["source"] == "book.txt" for d in train) and not any(quoted in d["text"] for d in train)


def test_one_copy_per_url_the_newest_and_of_each_span_the_first(tmp_path):
    old = SourceDocument(text=page(1), source="a", url="http://x.org/1", timestamp="2019-04-01")
    new = SourceDocument(text=page(2), source="b", url="https://www.x.org/1/", timestamp="2019-04-02")
    copy = SourceDocument(text=f"{page(2)}\n\n{sentence(5, 5)}\n\n{sentence(6, 5)}\n\n{sentence(7, 5)}", source="c")
    config = CorpusConfig(source="files", paths=("unread",), variant="c4", language="none")
    kept = {d.source: d.text for d in variants.chosen(config, lambda: iter([old, new, copy]), tmp_path, 4)}
    assert set(kept) == {"b", "c"}
    copied, own = page(2).split("\n\n")[0], [sentence(i, 5) for i in (5, 6, 7)]
    assert [text.count(copied) for text in kept.values()].count(1) == 1
    assert kept["c"].split("\n")[-3:] == own


def test_text_at_two_urls_is_found_at_the_one_that_is_listed_whatever_the_files_names(crawl):
    (crawl / "domains.txt").write_text("news.org\n")
    found = []
    for first, second in (("a", "b"), ("b", "a")):
        folder = crawl / f"copies-{first}"
        folder.mkdir()
        for name, host in ((first, "news.org"), (second, "other.org")):
            rows = [{"text": page(i), "url": f"http://{host}/{i}"} for i in range(40)]
            (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        settings = config(crawl, "realnews_like").replace(paths=(str(folder),))
        counts = build_corpus(settings, crawl / "out")
        plain = build_corpus(settings.replace(variant="plain", extra=()), crawl / "plain")
        assert plain["documents"] == 40 and plain["train_documents"] == counts["train_documents"] > 20
        found.append(sorted(d["text"] for d in read_documents(crawl / "out" / "train.jsonl")))
        held_out = [(crawl / made / "validation.jsonl").read_bytes() for made in ("out", "plain")]
        assert held_out[0] == held_out[1]
    assert found[0] == found[1]


def test_markup_and_references_go_and_prose_stays():
    text = "Rivers\n------\nA river flows.[1] It is wet.\nwidth : int\n\nReferences\n----\nSomeone, 1999."
    assert without_markup(text) == "Rivers\nA river flows. It is wet."


def test_contents_and_the_notes_to_chapters_end_nothing():
    prose = [f"{sentence(i, 3)} {sentence(i, 4)}" for i in range(40)]
    contents = ["History", "Notes", "References", "External links"]
    head = "\n".join(["Tea", *contents, *prose, "Notes[edit]", "One.", "", "== References ==", "Someone, 1999."])
    assert without_markup(head) == "\n".join(["Tea", *contents, *prose])
    chapters = "\n".join(f"Chapter {i}\n{prose[i]}\nNotes\n{sentence(i, 5)}" for i in range(40))
    book = "\n".join(["Contents", "Chapters", "Notes", "Bibliography", chapters, "Afterword", *prose[:20]])
    assert without_markup(book) == book
    assert without_markup(f"{book}\nBibliography\nSomeone, 1999.") == book


def test_a_short_article_loses_links_that_are_longer_than_its_prose():
    links = "\n".join(f"Populated places number {i}" for i in range(30))
    assert without_markup(f"{sentence(1, 1)}\n\nReferences\n\nExternal links\n{links}") == sentence(1, 1)


def test_embedded_documents_stand_in_for_what_the_table_says(tmp_path, monkeypatch):
    documents = [
        SourceDocument(text=page(i), source=f"{dist}:mod{i}:{name}", group=f"{dist}:mod{i}")
        for i, (dist, name) in enumerate([("numpy", "fit_all"), ("pip", "lowly"), ("pip", ""), ("numpy", "")] * 10)
    ]
    documents += [
        SourceDocument(text=f"{page(i)} See fit_all here.", source=f"pip:m{i}:f", group=f"{i}")
        for i in (50, 51, 52, 53, 54, 55, 56)
    ]
    documents.append(SourceDocument(text="\n\n".join(map(page, range(60, 80))), source="pip:long:f", group="long"))
    monkeypatch.setattr(embedded, "harvest", lambda min_chars, report=None: iter(documents))

    def sources(variant):
        build_corpus(CorpusConfig(min_chars=50, variant=variant), tmp_path / variant)
        return {d["source"] for d in read_documents(tmp_path / variant / "train.jsonl")}

    everything = sources("plain")
    assert sources("realnews_like") == {s for s in sources("c4") if s.startswith("numpy:")}
    assert sources("webtext_like") == {s for s in sources("c4") if s.endswith(":fit_all")}
    assert sources("wikipedia") == {s for s in everything if s.endswith(":")}
    assert sources("wikipedia_books") == sources("wikipedia") | ({"pip:long:f"} & everything)


def test_lists_count_by_what_they_say(crawl):
    before = identify(config(crawl, "realnews_like"))
    (crawl / "domains.txt").write_text("example.com\n\n# a remark\n")
    assert identify(config(crawl, "realnews_like")).fingerprint() == before.fingerprint()
    (crawl / "domains.txt").write_text("example.org\n")
    assert identify(config(crawl, "realnews_like")).fingerprint() != before.fingerprint()


def test_lists_that_cannot_be_used_are_named(crawl):
    (crawl / "domains.txt").write_text("# nothing\n")
    with pytest.raises(ConfigError, match="there is no line in it"):
        identify(config(crawl, "realnews_like"))
    (crawl / "scores.txt").unlink()
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        identify(config(crawl, "webtext_like"))
    (crawl / "scores.txt").write_text("http://example.org high\n")
    with pytest.raises(DataError, match="give a URL, a space and its score"):
        build_corpus(config(crawl, "webtext_like"), crawl / "out")


def test_a_domain_stands_for_the_hosts_below_it_and_no_others():
    assert on_domains("https://news.example.com:80/a", ["example.com"])
    assert on_domains("example.com/a", ["example.com"])
    assert not on_domains("https://notexample.com/a", ["example.com"])
    assert not on_domains("", ["example.com"])


@pytest.mark.parametrize(
    ("url", "is_on"),
    [
        ("example.com/a//b", True),
        ("example.com/?u=http://other.org", True),
        ("example.com?u=http://other.org", True),
        ("other.org/?u=http://example.com", False),
        ("//example.com/a", True),
        ("https://Example.com.:443/a", True),
        ("http://[example.com/", False),
    ],
)
def test_a_host_is_found_whatever_is_around_it(url, is_on):
    assert on_domains(url, ["example.com"]) == is_on


def test_listed_domains_are_hosts_however_they_are_written(tmp_path):
    path = tmp_path / "domains.txt"
    path.write_text("\ufeff.a.org\n*.B.org\nc.org.\nhttps://www.d.org:80/x\ne.org # a remark\n")
    assert read_domains([str(path)]).domains == {"a.org", "b.org", "c.org", "d.org", "e.org"}
    path.write_text("a.org\nhttp://[b/\n")
    with pytest.raises(DataError, match=r"domains='http://\[b/': give a domain"):
        read_domains([str(path)])
