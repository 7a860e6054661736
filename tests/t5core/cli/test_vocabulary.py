import functools
import gzip
import http.server
import json
import random
import threading

import pytest

from t5core.vocabulary import Vocabulary

WORDS = {
    "english": "the river was high after three days of rain and nobody had expected the old bridge to hold",
    "german": "der Fluss führte nach drei Tagen Regen Hochwasser und niemand hätte der Brücke das zugetraut",
}
TRAIN = ("--pieces", "320", "--train-chars", "6000", "--sentinels", "10")


def texts_of(language, count):
    rng = random.Random(language)
    words = WORDS[language].split()
    words += [first + second for first in words for second in words]
    return [" ".join(rng.choices(words, k=30)).capitalize() + "." for _ in range(count)]


@pytest.fixture
def run(t5core, tmp_path, monkeypatch):
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts_of("english", 60))
    (tmp_path / "english.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    (tmp_path / "german.txt").write_text("\n".join(texts_of("german", 20)))
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    return functools.partial(t5core, "vocabulary")


def rows_of(out):
    return {line.split()[0]: line.split()[1:] for line in out.splitlines() if line.strip()}


def test_a_mix_of_files_becomes_a_vocabulary_and_a_table_of_what_each_gave(run, tmp_path):
    code, out, err = run("--mix", "5:english.jsonl.gz", "1:german.txt", *TRAIN, "--out", "both")
    assert code == 0
    rows = rows_of(out)
    parts, documents, of, chars, of_chars, share, chars_a_token = rows["english.jsonl.gz"]
    assert (parts, of, chars, share) == ("5", "60", "5,000", "83.3%")
    assert 0 < int(documents) < 60 and int(of_chars.replace(",", "")) > 5_000
    assert rows["german.txt"][3:6:2] == ["1,000", "16.7%"]
    assert 1 < float(chars_a_token) < 10
    assert out.endswith("320 pieces and 10 sentinels in both\n")
    assert err == "t5core: training 320 pieces on 6,000 characters, about 1 s\n"
    vocabulary = Vocabulary.load(tmp_path / "both" / "vocabulary.model")
    assert (vocabulary.num_pieces, vocabulary.num_sentinels) == (320, 10)


def test_a_text_that_is_short_of_its_part_is_said_with_what_is_trained_on(run):
    code, out, err = run("--mix", "1:english.jsonl.gz", "1:german.txt", *TRAIN, "--train-chars", "16000", "--out", "v")
    assert code == 0
    rows = rows_of(out)
    chars = rows["german.txt"][3]
    assert chars == rows["german.txt"][4] == rows["english.jsonl.gz"][3]
    both = 2 * int(chars.replace(",", ""))
    assert err.splitlines()[1] == (
        f"t5core: german.txt has {chars} characters where its part would be 8,000; "
        f"to keep the proportions, {both:,} of 16,000 were trained on"
    )


REFUSED = {
    "nothing": (["--out", "v"], "mix='': give texts with their parts, like --mix "),
    "no folder": (["--mix", "1:german.txt"], "out='': give a folder"),
    "no parts": (["--mix", "german.txt", "--out", "v"], "mix='german.txt': give PARTS:PATH, like "),
    "no path": (["--mix", "1:", "--out", "v"], "mix='1:': give PARTS:PATH, like "),
    "no number": (["--mix", "x:german.txt", "--out", "v"], "mix='x:german.txt': give PARTS:PATH, with parts a number"),
    "no part": (["--mix", "0:german.txt", "--out", "v"], "mix='0:german.txt': give PARTS:PATH, with parts a number"),
    "negative": (["--mix=-2:german.txt", "--out", "v"], "mix='-2:german.txt': give PARTS:PATH, with parts a number"),
    "absent": (["--mix", "1:german.tx", "--out", "v"], "mix='1:german.tx': no such file or folder: "),
    "empty folder": (["--mix", "1:folder", "--out", "v"], "mix='1:folder': no text there: give "),
    "empty file": (["--mix", "1:german.txt", "1:empty.txt", "--out", "v"], "corpus='empty.txt': there is no text to"),
    "twice": (["--mix", "1:german.txt", "2:*.txt", "--out", "v"], "mix='2:*.txt': "),
    "broken": (["--mix", "1:cut.txt.gz", "--out", "v"], "mix='cut.txt.gz': cannot be read: "),
    "no JSON": (["--mix", "1:wrong.jsonl", "--out", "v"], "corpus='"),
    "pieces": (
        ["--mix", "1:german.txt", "--out", "v", "--pieces", "many"],
        "pieces='many': give a whole number",
    ),
    "few pieces": (["--mix", "1:german.txt", "--out", "v", "--pieces", "200"], "num_pieces=200: 3 special pieces, "),
    "chars": (["--mix", "1:german.txt", "--out", "v", "--train-chars", "0"], "train_chars='0': give a whole number"),
    "occupied": (
        ["--mix", "1:german.txt", "--out", "full"],
        "out='full': there is a vocabulary, which models may",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_one_line_and_exit_code_2_and_nothing_is_written(run, tmp_path, name):
    (tmp_path / "empty.txt").write_text(" \n")
    (tmp_path / "cut.txt.gz").write_bytes(gzip.compress(b"some text" * 1000)[:-20])
    (tmp_path / "wrong.jsonl").write_text("{\n")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "vocabulary.model").write_bytes(b"")
    argv, message = REFUSED[name]
    code, out, err = run(*argv)
    said = [line for line in err.splitlines() if line.startswith("t5core: error: ")]
    assert (code, out, len(said)) == (2, "", 1)
    assert said[0].startswith(f"t5core: error: {message}")
    assert not (tmp_path / "v").exists()
    assert (tmp_path / "full" / "vocabulary.model").read_bytes() == b""


def test_names_are_shown_as_they_are_and_without_passwords(run, tmp_path):
    (tmp_path / "w[red]").mkdir()
    (tmp_path / "w[red]" / "a.txt").write_text("\n".join(texts_of("german", 20)))
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        there = f"127.0.0.1:{server.server_address[1]}/german.txt"
        address, shown = f"http://user:SECRET@{there}", f"http://***@{there}"
        code, out, err = run("--mix", "1:w[red]", f"9:{address}", *TRAIN, "--train-chars", "16000", "--out", "v")
        assert code == 0, err
        twice = run("--mix", f"1:{address}", f"2:{address}", "--out", "w")[2]
        server.shutdown()
    assert {"w[red]", shown} <= rows_of(out).keys()
    assert f"{shown} has" in err
    assert f"mix='2:{shown}'" in twice and f"{shown} is in 1:{shown} already" in twice
    assert "SECRET" not in out + err + twice


@pytest.mark.parametrize("out", ["german.txt", "german.txt/below", "s3://user:SECRET@bucket/v", "~nosuchuser/x"])
def test_a_folder_that_cannot_be_is_refused_before_anything_is_read(run, out):
    code, _, err = run("--mix", "1:german.txt", *TRAIN, "--out", out)
    assert code == 2 and err.startswith("t5core: error: out=") and len(err.splitlines()) == 1
    assert "SECRET" not in err


def test_a_mistyped_path_is_answered_with_what_lies_beside_it(run):
    assert "(did you mean 'german.txt'?)" in run("--mix", "1:germn.txt", "--out", "v")[2]
