"""Span corruption of equally long texts as copying of runs, for speed.

When spans are random and rows equally long, neither a mask nor a search for spans is needed. In

    a b c d e f g h i      with noise at  c d  and  h i      (kept parts a b | e f g, noise parts c d | h i)

the inputs are the runs ``a b c`` and ``e f g h``, each a kept part and the token behind it, with that last token
replaced by a sentinel; the targets are ``b c d`` and ``g h i``, each a noise part and the token before it, with that
first token replaced. So one array of indices, "my place plus my run's shift", gathers a whole batch, and the
sentinels are written over it. ``corruption`` takes this way where it can; a test holds it to the other one's bits.

Legend: B rows, L tokens of a row, S spans of a row, W columns of a result.
"""

import numpy as np

from t5core.objectives.encodings import Tokens
from t5core.objectives.noise import Cuts, Ints
from t5core.vocabulary import EOS_ID


def spans_replaced(
    tokens_BL: Ints,
    cuts: tuple[Cuts, Cuts],
    *,
    vocab_size: int,
    extra_ids: int,
    inputs_length: int,
    targets_length: int,
) -> tuple[Tokens, Tokens]:
    """Returns inputs and targets of "replace_spans", int32 ``[B, inputs_length]`` and ``[B, targets_length]``.

    Args:
        tokens_BL: texts, all L long.
        cuts: from ``random_span_cuts``, with S spans in every row.
        vocab_size: pieces and sentinels together.
        extra_ids: sentinels; from the last one on, spans share it.
        inputs_length: columns of the inputs, EOS included; see ``fits``.
        targets_length: columns of the targets, EOS included.
    """
    kept_cuts_BS, noise_cuts_BS = cuts
    spans_S = np.arange(kept_cuts_BS.shape[1] - 1)
    sentinels_S = vocab_size - 1 - np.minimum(spans_S, extra_ids - 1)
    rows_B1 = np.arange(len(tokens_BL))[:, None]
    inputs_BW = _runs(tokens_BL, noise_cuts_BS[:, :-1] - spans_S, np.diff(kept_cuts_BS) + 1, inputs_length)
    inputs_BW.ravel()[rows_B1 * inputs_length + kept_cuts_BS[:, 1:] + spans_S] = sentinels_S
    targets_BW = _runs(tokens_BL, kept_cuts_BS[:, 1:] - 1 - spans_S, np.diff(noise_cuts_BS) + 1, targets_length)
    targets_BW.ravel()[rows_B1 * targets_length + noise_cuts_BS[:, :-1] + spans_S] = sentinels_S
    return inputs_BW, targets_BW


def fits(cuts: tuple[Cuts, Cuts], inputs_length: int, targets_length: int) -> bool:
    """Whether nothing has to be cut off: parts, a sentinel each and EOS fit on either side."""
    return all(
        int(cuts_BS[0, -1]) + cuts_BS.shape[1] <= length
        for cuts_BS, length in zip(cuts, (inputs_length, targets_length), strict=True)
    )


def _runs(tokens_BL: Ints, shifts_BS: Cuts, lengths_BS: Cuts, width: int) -> Tokens:
    """Lays runs side by side and EOS behind them, int32 ``[B, W]``: column w holds token ``w`` + its run's shift."""
    num_rows, length = tokens_BL.shape
    used = int(lengths_BS[0].sum())
    shifts_BS = shifts_BS + (np.arange(num_rows) * (length - used))[:, None]
    index = np.repeat(shifts_BS.ravel(), lengths_BS.ravel())
    index += np.arange(num_rows * used)
    out_BW = np.zeros((num_rows, width), dtype=np.int32)
    out_BW[:, :used] = tokens_BL.ravel()[index].reshape(num_rows, used)
    out_BW[:, used] = EOS_ID
    return out_BW
