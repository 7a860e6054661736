"""Greedy decoding: the likeliest token, one after another.

Shapes: B examples still in the batch, A all examples, N new tokens, V vocab_size.
"""

import torch
from torch import Tensor

from t5core.decoding.ensemble import Ensemble
from t5core.decoding.pace import Pace
from t5core.model.inputs import PAD_ID

EOS_ID = 1


def greedy(ensemble: Ensemble, inputs_AS: Tensor, visible_AS: Tensor | None, max_new_tokens: int, pace: Pace) -> Tensor:
    """Returns the generated ids ``[A, N]``, int64: each row up to and including EOS, then padding."""
    state = ensemble.start(inputs_AS, max_new_tokens, visible_AS, padded=pace.padded(visible_AS))
    # a fixed buffer: joining the steps at the end would be another program for each number of steps
    generated_AN = inputs_AS.new_full((inputs_AS.shape[0], max_new_tokens), PAD_ID)
    places_B: Tensor | None = None  # in the result; None: all examples are there, in order
    previous_B1 = torch.full_like(inputs_AS[:, :1], PAD_ID)
    ended_B1 = torch.zeros_like(previous_B1, dtype=torch.bool)
    counter_1 = torch.zeros_like(previous_B1[:1, 0])
    pace.end_step()  # the start is a program of its own, and all steps are one, which finds these tensors there
    for n in range(max_new_tokens):
        logits_BV = ensemble.step(previous_B1, pace.position(n, counter_1), state)
        previous_B1 = logits_BV.max(dim=-1, keepdim=True).indices.masked_fill(ended_B1, PAD_ID)
        ended_B1 = ended_B1 | (previous_B1 == EOS_ID)
        if places_B is None:
            generated_AN.index_copy_(1, counter_1, previous_B1)
        else:
            generated_AN[places_B, n] = previous_B1[:, 0]
        counter_1 = counter_1 + 1
        pace.end_step()
        remaining_N = pace.remaining(n, ~ended_B1[:, 0])
        if remaining_N is not None:
            if remaining_N.shape[0] == 0:
                break
            state = state.select(remaining_N)
            previous_B1, ended_B1 = previous_B1[remaining_N], ended_B1[remaining_N]
            places_B = remaining_N if places_B is None else places_B[remaining_N]
    return generated_AN
