"""How likely a model finds the right answers: what moves long before scores do (bits per byte of the answer).

    nats     -log p(answer, EOS | input); of several accepted answers, the likeliest
    bytes    of the answer in UTF-8: models with different vocabularies compare per byte
    labels   with a set of labels: -log p(right label | it is one of them), in nats, and the margin
             log p(right) - log p(best wrong one)

The bytes are those of the answer that stands first in the data, whichever is likeliest: then models are divided by the
same number, and bits per byte order them as nats do. An answer without bytes, whose EOS alone is asked for, counts as
one byte. EOS is part of every sequence, so that "no" and "not sure" are two different labels.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from t5core.config import LikelihoodConfig
from t5core.decoding.ensemble import Ensemble
from t5core.decoding.teacher_forced import Asked, Floats, sequence_nats
from t5core.devices import Device
from t5core.feeds import marker_ids
from t5core.model import T5
from t5core.tasks import Task, TextPair
from t5core.tasks.references import label_auc, label_set, referenced
from t5core.vocabulary import EOS_ID, Vocabulary

NATS, BYTES, LABELS, MARGIN = range(4)
"""The columns of ``TaskLikelihood.per_example_Nk``."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TaskLikelihood:
    """How likely a model finds the right answers of one task.

    Attributes:
        per_example_Nk: nats and bytes of the answer; with a set of labels, k = 4: also the cross-entropy over the
            labels in nats and the margin of the right one. Examples in their order; those of which no right answer is
            known are left out.
        truncated: of how many answers only the beginning was measured.
        label_auc: how well the margins tell two labels apart, x100 (``t5core.tasks.references.label_auc``); None where
            there are not two, or one of them is never right.
    """

    per_example_Nk: Floats
    truncated: int
    label_auc: float | None = None

    @property
    def bits_per_byte(self) -> float | None:
        """Bits of all answers over their bytes; None without examples."""
        if not len(self.per_example_Nk):
            return None
        return float(self.per_example_Nk[:, NATS].sum() / self.per_example_Nk[:, BYTES].sum() / math.log(2))

    @property
    def label_nats(self) -> float | None:
        """Mean cross-entropy over the labels in nats; None without labels or examples."""
        if self.per_example_Nk.shape[1] <= LABELS or not len(self.per_example_Nk):
            return None
        return float(self.per_example_Nk[:, LABELS].mean())

    @property
    def label_accuracy(self) -> float | None:
        """Share x100 of examples whose right label is likelier than every other; None without labels or examples."""
        if self.per_example_Nk.shape[1] <= MARGIN or not len(self.per_example_Nk):
            return None
        return float(100.0 * (self.per_example_Nk[:, MARGIN] > 0).mean())


def task_likelihood(
    models: T5 | Sequence[T5],
    vocabulary: Vocabulary,
    task: Task,
    pairs: Sequence[TextPair],
    config: LikelihoodConfig,
    device: Device,
    *,
    inputs_length: int,
) -> TaskLikelihood:
    """Returns how likely a model finds the right answers to a task's pairs; one forward pass over each batch.

    Args:
        models: one, or several whose logits are averaged as decoding averages them; on the device.
        vocabulary: the models'.
        task: says what is right.
        pairs: of its evaluation set.
        config: how far answers are measured, and how many at a time.
        device: where to compute.
        inputs_length: inputs are cut to so many tokens, EOS included, as for decoding.

    Raises:
        DataError: a pair that no output can be held against, or an output of the model that is no number.
    """
    examples = referenced(task, pairs)
    labels = label_set(task)
    ids = _Ids(vocabulary, config.max_target_tokens)
    label_ids = [ids.whole(label) for label in labels]
    right = [_right(one.references, ids) for one in examples]
    inputs = vocabulary.encode_batch([one.inputs for one in examples])
    asked = [
        Asked(inputs=given, sequences=tuple(dict.fromkeys([*found.sequences, *label_ids])))
        for given, found in zip(inputs, right, strict=True)
    ]
    members = Ensemble(models).models
    nats = sequence_nats(
        members,
        asked,
        device,
        batch_size=config.batch_size,
        inputs_length=inputs_length,
        joined_by=marker_ids(vocabulary) if members[0].config.decoder_only else None,
    )
    table_Nk = np.zeros((len(examples), MARGIN + 1 if labels else BYTES + 1))
    for row, example, found, one, of_each in zip(table_Nk, examples, right, asked, nats, strict=True):
        cost = dict(zip(one.sequences, of_each, strict=True))
        row[NATS] = min(cost[sequence] for sequence in found.sequences)
        row[BYTES] = found.bytes
        if labels:
            row[LABELS:] = label_columns(
                [cost[sequence] for sequence in label_ids], labels.index(example.references[0])
            )
    return TaskLikelihood(
        per_example_Nk=table_Nk,
        truncated=sum(found.truncated for found in right),
        label_auc=label_auc(task, examples, table_Nk[:, MARGIN]) if labels else None,
    )


def label_columns(nats_L: Sequence[float], right: int) -> tuple[float, float]:
    """Returns -log softmax of the right label in nats, and its log-likelihood minus that of the best wrong one.

    Args:
        nats_L: negative log-likelihood of every label as a sequence.
        right: index of the right one.
    """
    log_L = -np.asarray(nats_L, dtype=np.float64)
    best = log_L.max()
    total = best + math.log(np.exp(log_L - best).sum())
    return float(total - log_L[right]), float(log_L[right] - np.delete(log_L, right).max())


@dataclass(frozen=True, kw_only=True)
class _Right:
    """The sequences of the accepted answers that are measured, and the bytes of the first of them."""

    sequences: tuple[tuple[int, ...], ...]
    bytes: int
    truncated: bool


class _Ids:
    """Texts as sequences of ids, EOS included."""

    def __init__(self, vocabulary: Vocabulary, limit: int) -> None:
        self.vocabulary = vocabulary
        self.limit = limit
        self._known: dict[str, tuple[int, ...]] = {}

    def whole(self, text: str) -> tuple[int, ...]:
        """Returns the ids of a text and EOS; each text is encoded once."""
        if text not in self._known:
            self._known[text] = (*self.vocabulary.encode(text), EOS_ID)
        return self._known[text]


def _right(references: Sequence[str], ids: _Ids) -> _Right:
    """Answers that are too long take no part, unless all are: then the beginning of the first, without an EOS."""
    fitting = tuple(dict.fromkeys(one for one in map(ids.whole, references) if len(one) <= ids.limit))
    if fitting:
        return _Right(sequences=fitting, bytes=_bytes(references[0]), truncated=False)
    beginning = ids.whole(references[0])[: ids.limit]
    return _Right(sequences=(beginning,), bytes=_bytes(ids.vocabulary.decode(beginning)), truncated=True)


def _bytes(text: str) -> int:
    """Bytes in UTF-8, 1 for a text without any; half surrogate pairs count as the question marks that they become."""
    return max(1, len(text.encode("utf-8", "replace")))
