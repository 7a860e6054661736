import numpy as np
import pytest
import torch
from small_run import ENDING_MODEL, ending_inputs, ending_model

from t5core.config import DecodeConfig
from t5core.decoding import greedy
from t5core.devices import open_device
from t5core.model import T5

NEW = 14


class CountingT5(T5):
    """Counts its decoding steps."""

    steps = 0

    def step(self, *arguments):
        self.steps += 1
        return super().step(*arguments)


@pytest.fixture(scope="module")
def model():
    model = CountingT5(ENDING_MODEL)
    model.load_state_dict(ending_model().state_dict())
    return model.eval()


@pytest.fixture(scope="module")
def inputs():
    return ending_inputs()


@torch.no_grad()
def recomputed(model, inputs_BS, length):
    """Greedy ids from the whole decoder, run again for every token."""
    inputs = torch.from_numpy(inputs_BS)
    out = torch.zeros(len(inputs), length + 1, dtype=torch.int64)
    for n in range(length):
        # position n of the logits sees the targets before n only; what stands at n and after does not matter
        logits = model(inputs, attention_mask=inputs != 0, labels=out[:, : n + 1]).logits
        token = logits[:, n].argmax(-1)
        ended = (out[:, :n] == 1).any(1)
        out[:, n] = token.where(~ended, 0)
    return out[:, :length].numpy()


def decode(model, inputs, new=NEW, **more):
    return greedy(model, inputs, DecodeConfig(max_new_tokens=new, **more), open_device("cpu"))


def lengths(ids):
    return [row.tolist().index(1) + 1 if 1 in row else len(row) for row in ids]


def test_the_cache_gives_what_recomputing_the_decoder_gives(model, inputs):
    generated = decode(model, inputs)
    assert np.array_equal(generated, recomputed(model, inputs, NEW))
    assert generated.shape == (12, NEW)
    assert generated.dtype == np.int64
    assert len({tuple(row) for row in generated.tolist()}) > 6


def test_rows_end_at_their_own_eos_and_go_on_with_padding(model, inputs):
    generated = decode(model, inputs)
    ends = lengths(generated)
    assert len(set(ends)) >= 4
    for row, end in zip(generated, ends, strict=True):
        assert (row[end:] == 0).all()
        assert 1 not in row[: end - 1]


def test_a_row_is_the_same_alone_and_among_others(model, inputs):
    together = decode(model, inputs)
    for row in range(len(inputs)):
        assert np.array_equal(decode(model, inputs[row : row + 1])[0], together[row])


def test_a_shorter_limit_cuts_and_alters_nothing(model, inputs):
    whole = decode(model, inputs)
    for new in (1, 2, 5):
        assert np.array_equal(decode(model, inputs, new), whole[:, :new])


def test_decoding_stops_soon_after_the_last_row_has_ended(model, inputs):
    whole = decode(model, inputs, 60)
    ends = np.array(lengths(whole))
    chosen = inputs[ends <= 4]
    assert 0 < len(chosen) < len(inputs)
    model.steps = 0
    short = decode(model, chosen, 60)
    assert model.steps == 4
    assert np.array_equal(short, whole[ends <= 4])
    assert short.shape == (len(chosen), 60)


def test_a_model_in_training_is_left_in_training(model, inputs):
    expected = decode(model, inputs)
    model.train()
    assert np.array_equal(decode(model, inputs), expected)
    assert model.training
    assert all(p.grad is None for p in model.parameters())
    model.eval()


def test_padding_of_the_inputs_changes_nothing(model, inputs):
    wider = np.pad(inputs, ((0, 0), (0, 7)))
    assert np.array_equal(decode(model, wider), decode(model, inputs))
