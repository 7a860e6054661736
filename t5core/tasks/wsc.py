"""Pronouns: WSC, DPR and WNLI, put as the same question (section 2.4 and appendix B of the paper).

    wsc: Ann told Sue that *she* had won.    -> Ann

The pronoun stands between asterisks and the target is the noun that it stands for. ``super_glue_wsc`` is for
evaluation: the target is the candidate whatever the label, and an output counts as "true" when it names the candidate.
``super_glue_wsc_train`` keeps the examples whose candidate is right, and so does DPR, a larger set of the same kind, by
choosing between two. ``super_glue_wsc_marked`` is the older form, a label asked for a noun and a pronoun both marked.
``glue_wnli_simple`` is WNLI turned into the WSC form; it is never trained on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from t5core.errors import DataError
from t5core.metrics import Accuracy, Classes, Referents, SameText
from t5core.tasks import glue, super_glue, wnli
from t5core.tasks.forms import integer, label, text, texts
from t5core.tasks.pair import TextPair
from t5core.tasks.sources import DataSet, Hub
from t5core.tasks.task import Task

_WORD_EDGES = re.compile(r"^\W+|\W+$")
# the released code's idea of white space is RE2's, which has no vertical tab
_WORD_AND_SPACE = re.compile(r"[^\t\n\f\r ]+[\t\n\f\r ]")


def evaluation(example: Mapping[str, Any]) -> list[TextPair]:
    """WSC's form for evaluation: every example, the target being the candidate.

    Words are told apart at single spaces. The set has places where the pronoun is not the word that its index names:
    it has punctuation attached ('him,"'), which is set off by a space, or the index is off by one. The released code
    mends two sentences by hand and stops at others; here the nearest word that is the pronoun is taken, which mends
    those two in the same way. Also unlike the released code, a pronoun may come first, and an " X " in the text is
    left alone.

    Raises:
        DataError: a field is missing, or the pronoun is not in the text.
    """
    return [
        TextPair(
            inputs=f"wsc: {_with_pronoun_marked(example)}",
            targets=text(example, "span1_text"),
            context={"label": _label(example), "targets": text(example, "span1_text")},
        )
    ]


def training(example: Mapping[str, Any]) -> list[TextPair]:
    """WSC's form for training: only examples whose candidate is right; the label -1, "not known", is taken for that."""
    return evaluation(example) if _label(example) else []


def marked(example: Mapping[str, Any]) -> list[TextPair]:
    """WSC's older form: ``wsc text: # This # is a * test * sentence .``, the target being "True" or "False".

    A span that is not where its index says stays unmarked.

    Raises:
        DataError: a field is missing or of another kind.
    """
    first, second = integer(example, "span1_index"), integer(example, "span2_index")
    shown = _with_span_marked(text(example, "text"), text(example, "span1_text"), first, "*")
    # the marks are two more words
    second += 2 * (first < second)
    shown = _with_span_marked(shown, text(example, "span2_text"), second, "#")
    return [TextPair(inputs=f"wsc text: {shown}", targets=label(example, super_glue.TRUTH))]


def dpr(example: Mapping[str, Any]) -> list[TextPair]:
    """DPR's form: the first occurrence of the pronoun between spaces, or before a full stop or comma, is marked.

    A sentence in which it stands nowhere like that is shown unmarked, as in the released code. An example that is not
    labelled has the target ``<unk>``; the released code would take the last candidate.

    Raises:
        DataError: a field is missing or of another kind; a label that is no candidate's.
    """
    pronoun = text(example, "pronoun")
    place = re.search(rf" {re.escape(pronoun)}(?=[ .,])", text(example, "sentence"))
    sentence = text(example, "sentence")
    if place is not None:
        sentence = f"{sentence[: place.start()]} *{pronoun}*{sentence[place.end() :]}"
    target = label(example, tuple(texts(example, "candidates")))
    return [TextPair(inputs=f"wsc: {sentence}", targets=target)]


def wnli_simple(example: Mapping[str, Any]) -> list[TextPair]:
    """WNLI in WSC's form; see ``t5core.tasks.wnli``. For evaluation only.

    Raises:
        DataError: a field is missing or of another kind.
    """
    shown, candidate = wnli.as_winograd(text(example, "sentence1"), text(example, "sentence2"))
    context = {"label": _label(example), "targets": candidate}
    return [TextPair(inputs=f"wsc: {shown}", targets=candidate, context=context)]


def _label(example: Mapping[str, Any]) -> int:
    value = integer(example, "label")
    if value not in (-1, 0, 1):
        raise DataError("label", value, "labels are 0 False, 1 True, and -1 for none")
    return value


def _with_pronoun_marked(example: Mapping[str, Any]) -> str:
    shown, pronoun, index = text(example, "text"), text(example, "span2_text"), integer(example, "span2_index")
    words = shown.split(" ")
    if 0 < index < len(words) and words[index] == pronoun:
        return " ".join((" ".join(words[:index]), f"*{pronoun}*", " ".join(words[index + 1 :])))
    places = sorted((abs(i - index), i) for i, word in enumerate(words) if _is_pronoun(word, pronoun))
    if not places:
        raise DataError("span2_text", pronoun, f"the text has no such word at or near span2_index {index}")
    place = places[0][1]
    before, _, after = words[place].partition(pronoun)
    words[place] = f"{before}*{pronoun}*{' ' if after else ''}{after}"
    return " ".join(words).strip()


def _is_pronoun(word: str, pronoun: str) -> bool:
    return bool(pronoun) and pronoun in (word, _WORD_EDGES.sub("", word))


def _with_span_marked(shown: str, span: str, index: int, mark: str) -> str:
    place = 0
    for _ in range(index):
        word = _WORD_AND_SPACE.match(shown, place)
        if word is None:
            return shown
        place = word.end()
    if index < 0 or not shown.startswith(span, place):
        return shown
    return f"{shown[:place]}{mark} {span} {mark}{shown[place + len(span) :]}"


_COLUMNS = {
    "text": "text",
    "span1_index": "integer",
    "span2_index": "integer",
    "span1_text": "text",
    "span2_text": "text",
    "idx": "integer",
    "label": "integer",
}
_WSC = DataSet(
    hub=super_glue.HUB.of("wsc.fixed", {split: split for split in ("train", "validation", "test")}),
    folders=("wsc", "wsc.fixed"),
    columns=_COLUMNS,
)
_DPR_HUB = Hub(
    path="community-datasets/definite_pronoun_resolution", revision="0fdf659653e37a0a3bf8af0909a43969304b2b19"
)
_DPR = DataSet(
    hub=_DPR_HUB.of("plain_text", {"train": "train", "validation": "test", "test": "test"}),
    folders=("dpr", "definite_pronoun_resolution"),
    columns={"sentence": "text", "pronoun": "text", "candidates": "json", "label": "label"},
)
_WNLI = DataSet(
    hub=glue.HUB.of("wnli", {"validation": "validation", "test": "test"}),
    folders=("wnli",),
    columns={"sentence1": "text", "sentence2": "text", "label": "integer", "idx": "integer"},
)

TASKS: tuple[Task, ...] = (
    Task(
        name="super_glue_wsc",
        use="validation",
        source=_WSC,
        form=evaluation,
        metrics=(Accuracy(Referents()),),
        paper_column="SGLUE",
        prefix="wsc:",
        max_targets_tokens=62,
        chance=50.0,
    ),
    Task(
        name="super_glue_wsc_train",
        use="train",
        source=_WSC,
        form=training,
        metrics=(Accuracy(Referents()),),
        prefix="wsc:",
        max_targets_tokens=62,
        chance=50.0,
    ),
    Task(
        name="super_glue_wsc_marked",
        source=_WSC,
        form=marked,
        metrics=(Accuracy(Classes(super_glue.TRUTH)),),
        prefix="wsc text:",
        label_fields=("label",),
        max_targets_tokens=62,
        chance=50.0,
    ),
    Task(
        name="dpr",
        use="train",
        source=_DPR,
        form=dpr,
        metrics=(Accuracy(SameText()),),
        prefix="wsc:",
        label_fields=("label",),
        chance=50.0,
    ),
    Task(
        name="glue_wnli_simple",
        source=_WNLI,
        form=wnli_simple,
        metrics=(Accuracy(Referents()),),
        prefix="wsc:",
        max_targets_tokens=84,
        chance=50.0,
    ),
)
