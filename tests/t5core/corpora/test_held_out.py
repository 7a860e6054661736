"""The split of a source, held to what one who has all of it in memory would do."""

import hashlib
import re
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from t5core.corpora.cleaning import is_entry
from t5core.corpora.documents import SourceDocument
from t5core.corpora.held_out import Gathering
from t5core.scripts import split_sentences

OPENINGS = ("The old bridge", "A small garden", "That river", "Every market", "No letter")
SENTENCES = [
    f"{opening} was {what} before the winter came over us." for opening in OPENINGS for what in ("shut", "new")
]
LINES = st.lists(st.sampled_from([*SENTENCES, "short", "axis : int", ""]), min_size=1, max_size=3).map(" ".join)
TEXTS = st.lists(LINES, min_size=1, max_size=4).map("\n".join)
DOCUMENTS = st.lists(st.tuples(TEXTS, st.sampled_from(["", "a", "b"])), min_size=1, max_size=12)


def digest(text):
    return hashlib.blake2b(text.encode(), digest_size=12).digest()


def plain(text):
    return re.sub(r"[^\w\s:]+", "", text.lower()).strip()


def expected(given_documents, fraction, lines_once):
    """The same in memory, document by document."""
    by_digest = {}
    for text, group in given_documents:
        by_digest.setdefault(digest(text), (text, group))
    sides = {"validation": [], "train": []}
    for key, (text, group) in sorted(by_digest.items()):
        share = int.from_bytes((digest(f"group\n{group}") if group else key)[:8], "big") / 2**64
        sides["validation" if share < fraction else "train"].append(text)
    full, empty = ("train", "validation") if sides["train"] else ("validation", "train")
    if len(by_digest) > 1 and not sides[empty]:
        sides[empty].append(sides[full].pop(0))
    lines, held_out, dropped, out = set(), set(), 0, {"validation": [], "train": []}
    for side in ("validation", "train"):
        for text in sides[side]:
            kept = []
            for line in text.split("\n"):
                if len(line) >= 40 and not is_entry(line):
                    sentences = [plain(s) for s in split_sentences(line)]
                    own = {s for s in sentences if len(s) >= 32}
                    known = " ".join(sentences) in lines or (side == "train" and bool(own & held_out))
                    if side == "validation":
                        held_out |= own
                    if known:
                        dropped += 1
                        continue
                    if side == "validation" or lines_once:
                        lines.add(" ".join(sentences))
                kept.append(line)
            out[side].append(re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip())
    return out, dropped


def split_of(folder, documents, fraction, lines_once, partitions):
    with Gathering(folder, fraction, partitions) as gathering:
        for text, group in documents:
            gathering.add(SourceDocument(text=text, source="s", group=group))
    split = gathering.split(once=lines_once)
    return {side: [d.text for d in split.read(side)] for side in ("validation", "train")}, split.dropped_lines


@settings(deadline=None, max_examples=80)
@given(
    documents=DOCUMENTS,
    fraction=st.sampled_from([0.1, 0.5, 0.9]),
    lines_once=st.booleans(),
    partitions=st.sampled_from([1, 2, 5]),
)
def test_lines_go_as_by_one_who_has_all_documents_in_memory(
    tmp_path_factory, documents, fraction, lines_once, partitions
):
    found = split_of(tmp_path_factory.mktemp("split"), documents, fraction, lines_once, partitions)
    assert found == expected(documents, fraction, lines_once)


def test_what_is_for_training_only_is_never_held_out_and_yields_to_the_same_text_of_the_source(tmp_path):
    with Gathering(tmp_path, 0.5, 3) as gathering:
        for number in range(40):
            gathering.add(SourceDocument(text=f"Document {number} of the source.", source="source"))
        for number in range(30, 70):
            gathering.add(
                SourceDocument(text=f"Document {number} of the source.", source="book", group="book"),
                training_only=True,
            )
    split = gathering.split(once=False)
    held_out, trained = list(split.read("validation")), list(split.read("train"))
    assert 5 < len(held_out) == split.validation_documents and {d.source for d in held_out} == {"source"}
    assert len(held_out) + len(trained) == 70 and len(trained) == split.train_documents
    assert sum(d.source == "book" for d in trained) == 30


@pytest.mark.slow
def test_memory_is_that_of_a_partition(tmp_path, monkeypatch):
    monkeypatch.setattr("t5core.corpora.spill._HELD_BYTES", 1 << 17)  # what is held back is not what is asked about

    def peak(documents):
        tracemalloc.start()
        with Gathering(tmp_path / str(documents), 0.05, documents // 200) as gathering:
            for number in range(documents):
                text = "\n".join(
                    f"Line {line} of document {number} says nothing that others say." for line in range(40)
                )
                gathering.add(SourceDocument(text=text, source="s"))
        split = gathering.split(once=True)
        assert sum(1 for _ in split.read("train")) + sum(1 for _ in split.read("validation")) == documents
        high = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return high

    assert peak(2000) < 1.3 * peak(1000)
