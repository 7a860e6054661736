"""Answers in free text: SQuAD's exact match and F1, and the rule for referents of the Winograd schemas."""

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from t5core.errors import DataError
from t5core.metrics.metric import Context, Contexts, Floats, Metric, given, identity, look_up, mean, plain

EMPTY = -1

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_SPACES_FOR_PUNCTUATION = str.maketrans(dict.fromkeys(string.punctuation + "‘’´`_", " "))
_DETERMINERS_TEXT = """
    a an few her his each every many much my our some that the their these this those which whose your
"""
_DETERMINERS = frozenset(_DETERMINERS_TEXT.split())


def lower_text(string: str) -> str:
    """Returns ``string`` in lower case."""
    return string.lower()


def normalize_squad(answer: str) -> str:
    """Returns ``answer`` in lower case without ASCII punctuation, articles and extra spaces (SQuAD's evaluation)."""
    return _squeezed(answer.lower().translate(_NO_PUNCTUATION))


def normalize_trivia_qa(answer: str) -> str:
    """Returns ``answer`` as TriviaQA's evaluation compares it: punctuation, also some quotes, becomes a space."""
    return _squeezed(answer.lower().translate(_SPACES_FOR_PUNCTUATION))


def token_f1(answer: str, prediction: str) -> float:
    """Returns the F1 over words of two normalised texts; 0 where no word is shared, also where both are empty."""
    answer_words, predicted_words = answer.split(), prediction.split()
    same = (Counter(answer_words) & Counter(predicted_words)).total()
    return 2.0 * same / (len(answer_words) + len(predicted_words)) if same else 0.0


@dataclass(frozen=True)
class Answers:
    """Reads answers: [U, 2], exact match and F1 over words, the best over all accepted answers.

    The context ``{"answers": [...]}`` holds what is accepted; without it, or with none in it, the target alone.

    Args:
        unit: context fields that name what a row is a copy of; only its first copy counts. ReCoRD's training
            examples, one for each answer, are scored once a query: ("idx.passage", "idx.query").
        normalize: from text to what is compared.
    """

    unit: tuple[str, ...] = ()
    normalize: Callable[[str], str] = normalize_squad

    def __call__(self, targets: Sequence[str], predictions: Sequence[str], contexts: Contexts = None) -> Floats:
        """Returns float64 [U, 2]."""
        seen: set[tuple[Any, ...]] = set()
        rows = []
        for i, (target, prediction) in enumerate(zip(targets, predictions, strict=True)):
            if self.unit:
                unit = tuple(identity(given(contexts, i), field) for field in self.unit)
                if unit in seen:
                    continue
                seen.add(unit)
            accepted = given(contexts, i).get("answers") or (target,)
            normalized = self.normalize(prediction)
            wanted = [self.normalize(answer) for answer in accepted]
            rows.append((float(normalized in wanted), max(token_f1(answer, normalized) for answer in wanted)))
        return np.array(rows, dtype=np.float64).reshape(-1, 2)

    def invalid(self, predictions: Sequence[str]) -> int:
        """Returns 0: any text may be an answer."""
        return 0

    def check(self, target: str, context: Context) -> None:
        """Raises DataError for a context without what names the unit, or with answers that are no list of texts."""
        for field in self.unit:
            identity(context, field)
        answers = context.get("answers") or []
        if not isinstance(answers, list | tuple) or not all(isinstance(answer, str) for answer in answers):
            raise DataError("answers", answers, "this field has to be a list of texts")


@dataclass(frozen=True)
class ExactMatch(Metric):
    """Share of answers that are one of the accepted ones."""

    reading: Answers = Answers()
    name: str = "em"

    def aggregate(self, scores_Uk: Floats) -> Any:
        """Returns the share x100."""
        return plain(mean(scores_Uk[..., 0]))


@dataclass(frozen=True)
class TokenF1(Metric):
    """Mean F1 over words with the accepted answer that is nearest."""

    reading: Answers = Answers()
    name: str = "f1"

    def aggregate(self, scores_Uk: Floats) -> Any:
        """Returns the mean x100."""
        return plain(mean(scores_Uk[..., 1]))


@dataclass(frozen=True)
class Referents:
    """Reads outputs of WSC: [N, 2], the label, and whether the output names the candidate: 1, 0, or -1 for nothing.

    It does when the words of one are all among the words of the other, in lower case and without determiners: "the
    fuzzy bunny" names "bunny". It does not when only one of them has an apostrophe: "Bob" is not "Bob's hat".

    Needs the context ``{"label": 0 or 1}``; ``targets`` in it is the candidate, by default the target.
    """

    def __call__(self, targets: Sequence[str], predictions: Sequence[str], contexts: Contexts = None) -> Floats:
        """Returns float64 [N, 2]."""
        rows = []
        for i, (target, prediction) in enumerate(zip(targets, predictions, strict=True)):
            context = given(contexts, i)
            named = names(prediction, context.get("targets", target))
            rows.append((float(look_up(context, "label")), float(named)))
        return np.array(rows, dtype=np.float64).reshape(-1, 2)

    def invalid(self, predictions: Sequence[str]) -> int:
        """Returns how many outputs have no word but determiners."""
        return sum(not _content(prediction) for prediction in predictions)

    def check(self, target: str, context: Context) -> None:
        """Raises DataError for a context without a label, or with a candidate that is no text."""
        if look_up(context, "label") not in (-1, 0, 1):
            raise DataError("label", context["label"], "give 1 if the target is the referent, else 0")
        if not isinstance(context.get("targets", ""), str):
            raise DataError("targets", context["targets"], "this field has to be text")


def names(prediction: str, referent: str) -> int:
    """Returns whether an output names a referent (see ``Referents``): 1 or 0, -1 where it has no word to judge."""
    prediction, referent = _content(prediction), _content(referent)
    if not prediction:
        return EMPTY
    if ("'" in prediction) != ("'" in referent):
        return 0
    predicted, wanted = set(prediction.split(" ")), set(referent.split(" "))
    return int(predicted <= wanted or wanted <= predicted)


def _content(text: str) -> str:
    return " ".join(word for word in text.strip().lower().split(" ") if word not in _DETERMINERS)


def _squeezed(text: str) -> str:
    return " ".join(_ARTICLES.sub(" ", text).split())
