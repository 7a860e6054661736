"""A docstring's body to its summary line (stands in for CNN/Daily Mail).

    inputs:  summarize: It is used when the tool needs to write a group of files, so that ...
    targets: Writes a group of files in one go.

The summary is the first sentence; the body is what follows, cut to 24 words. Only documents whose summary shares at
least a third of its content words with the body are taken, so that the line can be told from the text. Works on any
text: there the first sentence of a document is asked, given what follows.

The main metric is ROUGE-L (F); the paper's tables show ROUGE-2, which is reported too but is close to 0 for small
models.
"""

import random
from collections.abc import Iterable, Iterator

from t5core.metrics import Rouge, Summaries
from t5core.scripts import is_latin, sentences_of, split_sentences
from t5core.tasks.documents import Document, Documents
from t5core.tasks.forms import given
from t5core.tasks.pair import TextPair
from t5core.tasks.prose import content_words, entries, first_words, squeezed
from t5core.tasks.task import Task

_MAX_BODY_WORDS = 24
_MAX_BODY_CHARS = 160
_MAX_SUMMARY_WORDS, _MAX_SUMMARY_CHARS = 12, 72
_MIN_BODY_WORDS = 12


def _generate(documents: Iterable[Document], _: random.Random) -> Iterator[TextPair]:
    for document in documents:
        first, _gap, rest = document.text.partition("\n")
        summary, *more = split_sentences(first) if is_latin(first) else sentences_of(first)
        if not _is_summary(summary):
            continue
        body = squeezed(" ".join([*more, *_said(rest)]))
        if body.count(" ") + 1 < _MIN_BODY_WORDS:
            continue
        body = first_words(body, _MAX_BODY_WORDS, _MAX_BODY_CHARS)
        wanted, given = set(content_words(summary)), set(content_words(body))
        if len(wanted & given) >= max(2, len(wanted) / 3):
            yield TextPair(inputs=f"summarize: {body}", targets=squeezed(summary))


def _is_summary(sentence: str) -> bool:
    if not 4 <= sentence.count(" ") + 1 <= _MAX_SUMMARY_WORDS or len(sentence) > _MAX_SUMMARY_CHARS:
        return False
    return sentence[0].isalpha() and not sentence.endswith((":", ";"))


def _said(rest: str) -> Iterator[str]:
    """The lines below the summary, entries as ``name: description``, without titles and underlines."""
    lines = [line for line in rest.split("\n") if line.strip()]
    for i, line in enumerate(lines):
        title = i + 1 < len(lines) and lines[i + 1] == "----"
        if title or line == "----" or (line.endswith(":") and " " not in line.strip()):
            continue
        entry = entries(line)
        yield f"{entry[0].name}: {entry[0].description}".strip() if entry else line.strip()


TASK = Task(
    name="doc_summary",
    paper_column="CNNDM",
    prefix="summarize:",
    metrics=tuple(Rouge(name, Summaries(stemmed=True)) for name in ("rougeLsum", "rouge1", "rouge2")),
    max_inputs_tokens=112,
    max_targets_tokens=28,
    chance=0.0,
    source=Documents(generate=_generate),
    form=given,
)
