import gzip
import json

import pytest

from t5core.config import CorpusConfig
from t5core.corpora import build_corpus, identify, read_documents
from t5core.errors import ConfigError

WORDS = [
    "array",
    "model",
    "layer",
    "server",
    "window",
    "result",
    "number",
    "table",
    "letter",
    "corpus",
    "metric",
    "device",
    "branch",
    "ticket",
    "signal",
]


def sentence(i):
    a, b, c = WORDS[i % 15], WORDS[(i // 15) % 15], WORDS[(i // 225) % 15]
    return f"The {a} of the {b} is written to the {c} before it is read again."


def write(path, texts):
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    return path


def files_config(*paths, **changes):
    return CorpusConfig(source="files", paths=tuple(map(str, paths)), min_chars=50, **changes)


@pytest.fixture
def some_file(tmp_path):
    return write(tmp_path / "some.jsonl", [f"{sentence(2 * i)}\n\n{sentence(2 * i + 1)}" for i in range(200)])


def test_documents_are_split_and_nothing_is_lost(tmp_path, some_file):
    counts = build_corpus(files_config(some_file, validation_fraction=0.2), tmp_path / "out")
    train, held_out = ([*read_documents(tmp_path / f"out/{name}.jsonl")] for name in ("train", "validation"))
    assert counts["documents"] == len(train) + len(held_out) == 200
    assert (counts["train_documents"], counts["validation_documents"]) == (len(train), len(held_out))
    assert 20 <= len(held_out) <= 60
    assert counts["chars"] == sum(len(d["text"]) for d in train + held_out)
    assert counts["dropped_duplicates"] == counts["dropped_lines"] == 0
    assert train[0].keys() == {"text", "source"} and train[0]["source"].startswith("some.jsonl:")


def test_the_order_of_the_input_does_not_matter(tmp_path, some_file):
    lines = some_file.read_text().splitlines(keepends=True)
    (tmp_path / "other.jsonl").write_text("".join(reversed(lines)))
    build_corpus(files_config(some_file), tmp_path / "a")
    build_corpus(files_config(tmp_path / "other.jsonl"), tmp_path / "b")
    for name in ("train.jsonl", "validation.jsonl"):
        a, b = ([d["text"] for d in read_documents(tmp_path / folder / name)] for folder in "ab")
        assert a == b


def test_held_out_lines_and_sentences_are_not_trained_on(tmp_path):
    shared = "This very sentence is said in every one of all the documents."
    texts = [f"{shared} {sentence(2 * i)}\n\n{shared}\n\n{sentence(2 * i + 1)}" for i in range(100)]
    counts = build_corpus(files_config(write(tmp_path / "x.jsonl", texts), validation_fraction=0.3), tmp_path / "out")
    train = (tmp_path / "out/train.jsonl").read_text()
    assert shared not in train
    assert shared in (tmp_path / "out/validation.jsonl").read_text()
    assert counts["dropped_lines"] > 100


def test_the_same_document_twice_is_one(tmp_path, some_file):
    config = files_config(some_file, write(tmp_path / "more.jsonl", [f"{sentence(0)}\n\n{sentence(1)}"] * 3))
    counts = build_corpus(config, tmp_path / "out")
    assert counts["documents"] == 200 and counts["dropped_duplicates"] == 3


def test_folders_globs_gzip_and_plain_text_are_read(tmp_path):
    folder = tmp_path / "texts"
    folder.mkdir()
    for i in range(40):
        (folder / f"{i}.txt").write_text(f"{sentence(i)}\n{sentence(i + 50)}")
    with gzip.open(folder / "more.jsonl.gz", "wt") as file:
        file.writelines(json.dumps({"text": sentence(i + 100)}) + "\n" for i in range(40))
    (folder / "ignored.bin").write_bytes(b"\xff\xfe")
    by_folder = build_corpus(files_config(folder, validation_fraction=0.2), tmp_path / "a")
    by_globs = build_corpus(files_config(folder / "*.txt", folder / "*.gz", validation_fraction=0.2), tmp_path / "b")
    assert by_folder == by_globs and by_folder["documents"] == 80


def test_identity_follows_the_bytes_not_the_names(tmp_path, some_file):
    config = identify(files_config(some_file))
    moved = tmp_path / "moved.jsonl"
    moved.write_bytes(some_file.read_bytes())
    assert len(config.content) == 16 and identify(files_config(moved)).content == config.content
    assert identify(files_config(moved)).fingerprint() == config.fingerprint()
    moved.write_text(moved.read_text() + '{"text": "more"}\n')
    assert identify(files_config(moved)).content != config.content


def test_paths_without_text_are_named(tmp_path):
    (tmp_path / "empty.txt").touch()
    (tmp_path / "picture.png").touch()
    (tmp_path / "folder").mkdir()
    for name in ("absent.txt", "empty.txt", "picture.png", "folder", "*.md"):
        with pytest.raises(ConfigError, match=r"no text there|no such file") as caught:
            identify(files_config(tmp_path / name))
        assert caught.value.field == "corpus" and name in str(caught.value) and "\n" not in str(caught.value)


def test_text_too_short_or_too_little_is_said(tmp_path):
    with pytest.raises(ConfigError, match=r"50 characters or more \(min_chars\)"):
        build_corpus(files_config(write(tmp_path / "short.jsonl", ["too short"])), tmp_path / "out")
    with pytest.raises(ConfigError, match="1 documents give"):
        build_corpus(files_config(write(tmp_path / "one.jsonl", [sentence(1)])), tmp_path / "out")


def test_a_broken_line_is_named_with_its_number(tmp_path):
    (tmp_path / "x.jsonl").write_text('{"text": "fine"}\n{"text": 3}\n')
    with pytest.raises(ConfigError, match=r"x\.jsonl:2"):
        build_corpus(files_config(tmp_path / "x.jsonl"), tmp_path / "out")


def test_a_single_long_text_is_cut_into_documents_at_paragraphs(tmp_path):
    paragraphs = [
        f"Paragraph number {i} says in many words that it is not like the others at all. " * 6 for i in range(20)
    ]
    book = tmp_path / "book.txt"
    book.write_text("\n\n".join(paragraphs))
    counts = build_corpus(identify(CorpusConfig(source="files", paths=(str(book),))), tmp_path / "corpus")
    assert counts["train_documents"] >= 3 and counts["validation_documents"] >= 1


def read_back(paths, tmp_path, **changes):
    build_corpus(files_config(*paths, **changes), tmp_path / "out")
    return [d["text"] for name in ("train", "validation") for d in read_documents(tmp_path / f"out/{name}.jsonl")]


def test_a_long_text_without_blank_lines_is_cut_at_line_ends(tmp_path):
    lines = [f"Line {i} of this text says that {sentence(i)}" for i in range(100)]
    (tmp_path / "book.txt").write_text("\n".join(lines))
    texts = read_back([tmp_path / "book.txt"], tmp_path)
    assert len(texts) >= 3 and all(500 <= len(text) <= 2500 for text in texts)
    words = " ".join(sorted(texts, key=lambda text: int(text.split()[1]))).split()
    assert words == " ".join(lines).split()


def test_titles_and_last_lines_stay_with_their_neighbours(tmp_path):
    chapters = [" ".join(sentence(45 * c + i) for i in range(40)) for c in range(3)]
    assert all(len(chapter) > 2000 for chapter in chapters)
    paragraphs = [part for c, chapter in enumerate(chapters) for part in (f"Chapter {c}", chapter)]
    (tmp_path / "book.txt").write_text("\n\n".join([*paragraphs, "The end."]))
    assert sorted(read_back([tmp_path / "book.txt"], tmp_path)) == [
        *("\n\n".join(paragraphs[i : i + 2]) for i in (0, 2)),
        "\n\n".join([*paragraphs[4:], "The end."]),
    ]


def test_two_documents_are_a_corpus_and_the_first_by_hash_moves(tmp_path):
    path = write(tmp_path / "two.jsonl", [sentence(1), sentence(20)])
    for fraction in (1e-9, 1 - 1e-9):
        counts = build_corpus(files_config(path, validation_fraction=fraction), tmp_path / "out")
        assert (counts["train_documents"], counts["validation_documents"]) == (1, 1)


def test_white_space_is_no_text(tmp_path):
    (tmp_path / "empty.txt").write_text(" \n\n\t")
    with gzip.open(tmp_path / "empty.md.gz", "wt") as file:
        file.write(" \n")
    for name in ("empty.txt", "empty.md.gz"):
        with pytest.raises(ConfigError, match="no text there"):
            identify(files_config(tmp_path / name))
    (tmp_path / "some.txt").write_text(sentence(1))
    alone = identify(files_config(tmp_path / "some.txt"))
    assert identify(files_config(tmp_path)).content == alone.content


def test_a_broken_gzip_file_is_one_line(tmp_path):
    (tmp_path / "broken.txt.gz").write_bytes(gzip.compress(sentence(1).encode() * 9)[:30])
    (tmp_path / "other.txt.gz").write_text("plain")
    for name in ("broken.txt.gz", "other.txt.gz"):
        with pytest.raises(ConfigError, match="cannot be read") as caught:
            identify(files_config(tmp_path / name))
        assert "\n" not in str(caught.value)


def test_how_a_file_is_read_is_part_of_its_identity(tmp_path):
    for name in ("a.txt", "b.md"):
        (tmp_path / name).write_text("The same words in both, read in two ways.")
    plain = CorpusConfig(source="files", paths=(str(tmp_path / "a.txt"),), min_chars=20)
    contents = {identify(config).content for config in (plain, plain.replace(paths=(str(tmp_path / "b.md"),)))}
    assert len(contents) == 2
