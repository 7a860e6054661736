"""Teacher forcing: what sequences cost that are given, in nats, by one forward pass over each batch.

The sequences of one input stand side by side in one row, as segments that see the input and themselves only; so the
encoder reads the input once, and all layers' keys and values of it are made once, however many labels are compared:

    inputs    w w w w </s>      targets   n e g </s> p o s </s> 0      segments   1 1 1 1 2 2 2 2 0

A decoder-only model counts the places from its prompt on, so every sequence gets a row of its own behind the prompt.
Of an ensemble the logits are averaged before the softmax, as decoding averages them: what is measured is how likely the
ensemble finds a sequence, token by token.

Logits are float32, and so is their softmax, whatever the layers compute in (on a GPU their product is in TF32); sums
over a sequence are float64.

Rows of about the same length share a batch. On a device that compiles each new shape, inputs have one width and targets
one of a few (16, 32, 64, ...), and the number of rows follows from the width.

Shapes: B rows, S source positions, T target positions, D d_model, V vocab_size, C positions of one chunk.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from t5core.decoding.ensemble import Ensemble
from t5core.devices import Device
from t5core.errors import ConfigError, DataError
from t5core.feeds.sequences import Ids, without_eos
from t5core.model import T5, ModelInputs
from t5core.model.inputs import PAD_ID
from t5core.model.lookup import Lay, laid, numbers_at
from t5core.vocabulary import EOS_ID

MAX_ROW = 1024
"""Tokens of one input's sequences that share a row; further ones take further rows, and the input is read again."""
NARROWEST = 16
"""Width of the shortest targets on a device that compiles each new shape; the others are this times 2, 4, 8, ..."""
MIN_CHUNK = 32
"""Positions whose logits are made at a time, at least."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """An input and the sequences whose likelihood is asked for.

    Attributes:
        inputs: ids, without EOS (a final EOS is accepted).
        sequences: ids as they are to be generated: with their EOS, if it is to count.
    """

    inputs: Ids
    sequences: tuple[Ids, ...]


@dataclass(frozen=True, eq=False)
class _Row:
    """A row of a batch: ``source`` is what the encoder reads, ``prompt`` what a decoder-only model is given."""

    example: int
    numbers: tuple[int, ...]
    sequences: tuple[Ids, ...]
    source: tuple[int, ...] = ()
    prompt: tuple[int, ...] = ()

    @property
    def tokens(self) -> int:
        return len(self.prompt) + sum(map(len, self.sequences))


def sequence_nats(
    models: T5 | Sequence[T5],
    asked: Sequence[Asked],
    device: Device,
    *,
    batch_size: int,
    inputs_length: int,
    joined_by: Sequence[int] | None = None,
) -> list[Floats]:
    """Returns for each example the negative log-likelihood in nats of each of its sequences, given its input.

    Args:
        models: one, or several whose logits are averaged; on the device.
        asked: the examples.
        device: where to compute.
        batch_size: rows at a time; fewer where rows are longer than ``inputs_length``.
        inputs_length: inputs are cut to so many tokens, EOS included, and keep their EOS.
        joined_by: ids of the marker that decoder-only models read before they answer; it takes EOS's place.

    Raises:
        ConfigError: an id outside the model's vocabulary, models of different vocabularies, or a decoder-only model
            without a marker.
        DataError: the model gives something that is no number.
    """
    ensemble = Ensemble(models)
    if any(model.config.decoder_only != (joined_by is not None) for model in ensemble.models):
        way_out = "a decoder-only model needs the ids of its marker, others have none"
        raise ConfigError("joined_by", joined_by, way_out)
    rows = [row for i, one in enumerate(asked) for row in _rows(i, one, inputs_length, joined_by)]
    _check_ids(rows, ensemble.vocab_size)
    out = [np.zeros(len(one.sequences)) for one in asked]
    taken: list[tuple[list[_Row], Tensor]] = []
    for batch in _batches(rows, batch_size, inputs_length):
        inputs = _on_device(batch, device, batch_size, inputs_length)
        taken.append((batch, token_nats(ensemble.models, inputs, device)))
        device.end_step()
    for batch, nats in taken:  # only now: the host had better run ahead of a device whose work is queued
        nats_BT = nats.cpu().numpy().astype(np.float64)
        for row, nats_T in zip(batch, nats_BT, strict=False):
            begin = len(row.prompt)
            for number, ids in zip(row.numbers, row.sequences, strict=True):
                out[row.example][number] = nats_T[begin : begin + len(ids)].sum()
                begin += len(ids)
    for i, nats_L in enumerate(out):
        if not np.isfinite(nats_L).all():
            way_out = f"of example {i + 1}: the model's output is no number; evaluate it in float32, or train it anew"
            raise DataError("likelihood", float(nats_L[~np.isfinite(nats_L)][0]), way_out)
    return out


@torch.no_grad()
def token_nats(models: T5 | Sequence[T5], batch: ModelInputs, device: Device) -> Tensor:
    """Returns the negative log-likelihood of every target token, float32 ``[B, T]``; 0 where none is asked for.

    The batch may be packed, or joined for a decoder-only model. Of several models it is that of their average logits.
    """
    members = Ensemble(models).models
    asked_BT = batch.asked_BT
    asked_N = asked_BT.flatten()
    hidden = [model.hidden(batch).flatten(0, 1) for model in members]
    places_N = None if device.static_shapes else (asked_N != PAD_ID).nonzero()[:, 0]
    if places_N is not None:
        hidden, asked_N = [hidden_ND[places_N] for hidden_ND in hidden], asked_N[places_N]
    heads = [_Head(laid(model.lay, model.output_weight.float(), "model", None), model.lay) for model in members]
    size = max(MIN_CHUNK, device.loss_chunk_bytes // (4 * heads[0].weight_VD.shape[0]))
    chunks = zip(*(torch.split(hidden_ND, size) for hidden_ND in hidden), strict=True)
    pieces = [_nats(heads, chunk, asked_C) for chunk, asked_C in zip(chunks, torch.split(asked_N, size), strict=True)]
    nats_N = torch.cat(pieces)
    if places_N is None:
        return torch.where(asked_N != PAD_ID, nats_N, 0.0).view(asked_BT.shape)
    nats_BT = torch.zeros(asked_BT.numel(), device=nats_N.device).index_copy(0, places_N, nats_N)
    return nats_BT.view(asked_BT.shape)


@dataclass(frozen=True, eq=False)
class _Head:
    """The last product of a model, and how its tensors lie on the devices of a mesh."""

    weight_VD: Tensor
    lay: Lay | None

    def logits(self, hidden_CD: Tensor) -> Tensor:
        hidden_CD = laid(self.lay, hidden_CD.float(), "data", None)
        return laid(self.lay, hidden_CD @ self.weight_VD.T, "data", "model")


def _nats(heads: Sequence[_Head], hidden: Sequence[Tensor], asked_C: Tensor) -> Tensor:
    """The negative log-likelihoods of one chunk; ``hidden`` has each member's ``[C, D]``."""
    first, *others = (head.logits(hidden_CD) for head, hidden_CD in zip(heads, hidden, strict=True))
    logits_CV = sum(others, start=first) / len(heads) if others else first
    return torch.logsumexp(logits_CV, dim=-1) - numbers_at(logits_CV, asked_C)


def _rows(example: int, asked: Asked, inputs_length: int, joined_by: Sequence[int] | None) -> Iterator[_Row]:
    given = without_eos(asked.inputs, inputs_length - 1)
    if joined_by is not None:
        prompt = (*given, *joined_by)
        for number, ids in enumerate(asked.sequences):
            yield _Row(example, (number,), (ids,), prompt=prompt)
        return
    source = (*given, EOS_ID)
    numbers: list[int] = []
    tokens = 0
    for number, ids in enumerate(asked.sequences):
        if numbers and tokens + len(ids) > MAX_ROW:
            yield _Row(example, tuple(numbers), tuple(asked.sequences[n] for n in numbers), source=source)
            numbers, tokens = [], 0
        numbers.append(number)
        tokens += len(ids)
    if numbers:
        yield _Row(example, tuple(numbers), tuple(asked.sequences[n] for n in numbers), source=source)


def _check_ids(rows: Sequence[_Row], vocab_size: int) -> None:
    for row in rows:
        for ids in (row.source, row.prompt, *row.sequences):
            bad = next((i for i in ids if not 0 <= i < vocab_size), None)
            if bad is not None:
                way_out = (
                    f"of example {row.example + 1}: it is outside the model's vocabulary of {vocab_size}; use its own"
                )
                raise ConfigError("id", bad, way_out)


def _batches(rows: Sequence[_Row], batch_size: int, inputs_length: int) -> Iterator[list[_Row]]:
    """Rows of one width at a time, with inputs of about the same length where widths are those of the batch."""
    by_width: defaultdict[int, list[_Row]] = defaultdict(list)
    for row in rows:
        by_width[_width(row.tokens)].append(row)
    for width in sorted(by_width):
        found = sorted(by_width[width], key=lambda row: (len(row.source), row.tokens))
        count = _rows_at_once(batch_size, inputs_length, width)
        for start in range(0, len(found), count):
            yield found[start : start + count]


def _width(tokens: int) -> int:
    """The smallest of the widths that has room."""
    width = NARROWEST
    while width < tokens:
        width *= 2
    return width


def _rows_at_once(batch_size: int, inputs_length: int, width: int) -> int:
    """As many rows as take the attention's memory of ``batch_size`` rows of inputs."""
    return max(1, min(batch_size, batch_size * inputs_length**2 // width**2))


def _on_device(rows: Sequence[_Row], device: Device, batch_size: int, inputs_length: int) -> ModelInputs:
    """The batch; where shapes are static, filled up with rows that ask for nothing."""
    width, columns, count = max(row.tokens for row in rows), max(len(row.source) for row in rows), len(rows)
    joined = not columns
    if device.static_shapes:
        width = _width(width)
        columns, count = 0 if joined else inputs_length, _rows_at_once(batch_size, inputs_length, width)
    inputs_BS = np.zeros((count, columns), dtype=np.int32)
    targets_BT = np.zeros((count, width), dtype=np.int32)
    segments_BT = np.zeros((count, width), dtype=np.int32)
    prefix_BT = np.zeros((count, width), dtype=np.bool_)
    if not joined:
        inputs_BS[:, 0] = EOS_ID  # a row of nothing but padding has nothing to attend to
    for b, row in enumerate(rows):
        inputs_BS[b, : len(row.source)] = row.source
        targets_BT[b, : len(row.prompt)] = row.prompt
        prefix_BT[b, : len(row.prompt)] = True
        begin = len(row.prompt)
        for segment, ids in enumerate(row.sequences, start=1):
            targets_BT[b, begin : begin + len(ids)] = ids
            segments_BT[b, begin : begin + len(ids)] = segment
            begin += len(ids)
    return ModelInputs(
        inputs_BS=device.put(inputs_BS),
        targets_BT=device.put(targets_BT),
        target_segments_BT=None if joined else device.put(segments_BT),
        prefix_BT=device.put(prefix_BT) if joined else None,
    )
