import json
from dataclasses import replace
from itertools import cycle, islice

import pytest

from t5core.config import CorpusConfig
from t5core.corpora import build_corpus
from t5core.corpora.embedded import harvest
from t5core.tasks import load_documents
from t5core.tasks.doc_topic import TOPICS


def _parameters(i):
    """A docstring with parameters, of which the first installed packages may have few."""
    kinds = ["int", "str", "bool", "float", "array_like", "callable", "dict", "Path", "list of str", "ndarray"]
    defaults = ["None", "True", "3", "0.5", "'C'", "-1"]
    listed = "\n".join(
        f"option_{k} : {kinds[(i + 3 * k) % 10]}, optional\n"
        f"    What option {k} of function number {i} does to the result. Default is {defaults[(i + k) % 6]}."
        for k in range(4)
    )
    return f"Computes the thing with the number {i} from all the options that are given.\n\nParameters\n----\n{listed}"


@pytest.fixture(scope="session")
def splits(tmp_path_factory):
    """Training and held-out documents of a real corpus: the first docstrings that are installed."""
    folder = tmp_path_factory.mktemp("corpus")
    texts = [document.text for document in islice(harvest(200), 4000)]
    rows = (json.dumps({"text": text}) for text in [*texts, *map(_parameters, range(200))])
    # built from a file, whose documents are split one by one, to have enough of both in few documents
    (folder / "some.jsonl").write_text("\n".join(rows), encoding="utf-8")
    config = CorpusConfig(source="files", paths=(str(folder / "some.jsonl"),), validation_fraction=0.3)
    build_corpus(config, folder)
    # a file's lines are of no library: here they are said to be of each in turn
    return [
        [replace(document, source=f"{library}:module:name") for document, library in zip(documents, cycle(TOPICS))]
        for documents in (load_documents(folder / f"{name}.jsonl") for name in ("train", "validation"))
    ]
