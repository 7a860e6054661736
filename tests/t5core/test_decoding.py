"""Greedy and beam search: against plain searches written out here, against transformers, and against themselves."""

import itertools
import math

import numpy as np
import pytest
import torch
from small_run import ENDING_MODEL, ending_inputs, ending_model
from transformers import T5ForConditionalGeneration

from t5core import from_hf, generate, to_hf
from t5core.config import DecodeConfig, ModelConfig
from t5core.decoding import beam_search, decode
from t5core.decoding.beam import rules
from t5core.decoding.ensemble import Ensemble
from t5core.decoding.pace import Pace
from t5core.devices import open_device
from t5core.errors import ConfigError
from t5core.model import T5

NEW = 14
CPU = open_device("cpu")


class CountingT5(T5):
    """Notes the shape of its inputs, whether they were masked, and how many rows each of its decoding steps had."""

    rows: list[int]
    sources: list[tuple[int, ...]]
    masked: list[bool]

    def start(self, inputs, *more, **named):
        self.sources.append(tuple(inputs.shape))
        state = super().start(inputs, *more, **named)
        self.masked.append(state.source_bias_B11S is not None)
        return state

    def step(self, previous, position, state):
        self.rows.append(len(previous))
        return super().step(previous, position, state)


class StaticDevice:
    """The CPU, decoding as on a device that compiles each new shape."""

    static_shapes = True
    torch_device = torch.device("cpu")

    def __init__(self):
        self.ended_steps = 0

    def put(self, array):
        return CPU.put(array)

    def end_step(self):
        self.ended_steps += 1


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def model():
    model = CountingT5(ENDING_MODEL)
    model.load_state_dict(ending_model().state_dict())
    model.rows, model.sources, model.masked = [], [], []
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


def searched(model, inputs, new=NEW, device=CPU, **more):
    return decode(model, inputs, DecodeConfig(max_new_tokens=new, **more), device)


def beams_of(model, inputs, new, beams, form, alpha=0.6, static=False):
    ids = torch.from_numpy(inputs)
    with torch.no_grad():
        pace = Pace(static_shapes=static, end_step=lambda: None)
        return beam_search(Ensemble(model), ids, ids != 0, new, beams, rules(form, alpha), pace)


def lengths(ids):
    return [row.tolist().index(1) + 1 if 1 in row else len(row) for row in ids]


def test_the_cache_gives_what_recomputing_the_decoder_gives(model, inputs):
    generated = searched(model, inputs)
    assert np.array_equal(generated, recomputed(model, inputs, NEW))
    assert generated.shape == (12, NEW)
    assert generated.dtype == np.int64
    assert len({tuple(row) for row in generated.tolist()}) > 6


def test_rows_end_at_their_own_eos_and_go_on_with_padding(model, inputs):
    generated = searched(model, inputs)
    ends = lengths(generated)
    assert len(set(ends)) >= 4
    for row, end in zip(generated, ends, strict=True):
        assert (row[end:] == 0).all()
        assert 1 not in row[: end - 1]


@pytest.mark.parametrize("beams", [1, 3])
def test_a_row_is_the_same_alone_and_among_others(model, inputs, beams):
    together = searched(model, inputs, num_beams=beams)
    for row in range(len(inputs)):
        assert np.array_equal(searched(model, inputs[row : row + 1], num_beams=beams)[0], together[row])


def test_a_shorter_limit_cuts_and_alters_nothing(model, inputs):
    whole = searched(model, inputs)
    for new in (1, 2, 5):
        assert np.array_equal(searched(model, inputs, new), whole[:, :new])


def test_decoding_stops_soon_after_the_last_row_has_ended(model, inputs):
    whole = searched(model, inputs, 60)
    ends = np.array(lengths(whole))
    chosen = inputs[ends <= 4]
    assert 0 < len(chosen) < len(inputs)
    for device in (CPU, StaticDevice()):
        model.rows.clear()
        short = searched(model, chosen, 60, device)
        assert len(model.rows) == 4
        assert np.array_equal(short, whole[ends <= 4])
        assert short.shape == (len(chosen), 60)


@pytest.mark.parametrize("beams", [1, 3])
def test_rows_that_have_ended_leave_the_batch_where_shapes_are_free(model, inputs, beams):
    expected = searched(model, inputs, 30, num_beams=beams)
    rows = list(model.rows)
    assert rows[0] == 12 * beams
    assert rows == sorted(rows, reverse=True)
    assert rows[-1] < 8 * beams
    assert all(after in (before, after) and after % beams == 0 for before, after in itertools.pairwise(rows))
    model.rows.clear()
    device = StaticDevice()
    assert np.array_equal(searched(model, inputs, 30, device, num_beams=beams), expected)
    assert set(model.rows) == {12 * beams}
    assert device.ended_steps == len(model.rows) + 1  # the start is a program of its own


@pytest.mark.parametrize("beams", [1, 2])
def test_no_mask_is_added_where_every_input_is_seen(model, inputs, beams):
    full = torch.from_numpy(inputs).clamp(min=2)
    cut = full.clone()
    cut[0, -1] = 0
    for ids, mask in ((full, None), (cut, None), (cut, torch.ones_like(cut))):  # the last shows a pad id as well
        generate(model, ids, mask, num_beams=beams, max_new_tokens=2)
    searched(model, full.numpy(), 2, StaticDevice(), num_beams=beams)  # it is not asked where that costs a program
    assert model.masked == [False, True, False, True]


@pytest.mark.parametrize("beams", [1, 2])
def test_a_model_in_training_is_left_in_training(model, inputs, beams):
    expected = searched(model, inputs, num_beams=beams)
    model.train()
    assert np.array_equal(searched(model, inputs, num_beams=beams), expected)
    assert model.training
    assert all(p.grad is None for p in model.parameters())


def test_a_model_can_be_trained_after_decoding(model, inputs):
    ids = torch.from_numpy(inputs)
    found = generate(model, ids, max_new_tokens=7)
    found[:, 0] = 5  # an ordinary tensor
    model(input_ids=ids, labels=found).loss.backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize("beams", [1, 3])
def test_padding_of_the_inputs_changes_nothing(model, inputs, beams):
    wider = np.pad(inputs, ((0, 0), (0, 7)))
    assert np.array_equal(searched(model, wider, num_beams=beams), searched(model, inputs, num_beams=beams))


def test_positions_that_no_row_sees_are_not_computed_where_shapes_are_free(model, inputs):
    wider = np.pad(inputs, ((0, 0), (0, 20)))
    longest = int((inputs != 0).sum(axis=1).max())
    for device, width in ((CPU, longest), (StaticDevice(), 30)):
        searched(model, wider, 1, device)
        assert model.sources[-1] == (12, width)
    nothing = np.zeros((2, 5), dtype=np.int64)
    assert searched(model, nothing, 3).shape == (2, 3)
    assert model.sources[-1] == (2, 1)


def test_what_the_mask_hides_changes_nothing(model, inputs):
    ids = torch.from_numpy(inputs)
    hidden = torch.where(ids == 0, 7, ids)
    for beams in (1, 3):
        expected = generate(model, ids, num_beams=beams)
        assert torch.equal(generate(model, hidden, attention_mask=(ids != 0).int(), num_beams=beams), expected)
        assert torch.equal(generate(model, ids, attention_mask=ids != 0, num_beams=beams), expected)
        assert not torch.equal(generate(model, hidden, num_beams=beams), expected)


def written_out(model, inputs_1S, new, beams, form, alpha):
    """Beam search of one example as its description says, with lists, the whole decoder run for every hypothesis."""

    def next_log_probs(alive):
        inputs = torch.from_numpy(inputs_1S).expand(len(alive), -1)
        labels = torch.tensor([[*ids, 0] for ids, _ in alive])
        with torch.no_grad():
            logits = model(inputs, attention_mask=inputs != 0, labels=labels).logits[:, -1]
        return torch.log_softmax(logits.double(), -1).tolist()

    def penalty(n):
        return n**alpha if form == "hf" else ((5 + n) / 6) ** alpha

    alive, kept = [((), 0.0)], []
    for n in range(1, new + 1):
        beams_and_next = zip(alive, next_log_probs(alive), strict=True)
        grown = [((*ids, token), total + p) for (ids, total), row in beams_and_next for token, p in enumerate(row)]
        best = sorted(grown, key=lambda x: -x[1])[: 2 * beams]
        if form == "hf":
            ended = [x for x in best[:beams] if x[0][-1] == 1 or n == new]
        else:
            ended = [x for x in best if x[0][-1] == 1]
        kept = sorted(kept + [(ids, total / penalty(n)) for ids, total in ended], key=lambda x: -x[1])[:beams]
        alive = [x for x in best if x[0][-1] != 1][:beams]
        if form == "hf" and len(kept) == beams and alive[0][1] / penalty(n) <= kept[-1][1]:
            break
        if form == "t5" and kept and kept[-1][1] > alive[0][1] / penalty(new):
            break
    return kept or alive


@pytest.mark.parametrize("alpha", [0.0, 0.6, 2.0])
@pytest.mark.parametrize("form", ["hf", "t5"])
@pytest.mark.parametrize("beams", [2, 4])
def test_beam_search_is_the_one_described(model, inputs, form, beams, alpha):
    new = 8
    found = beams_of(model, inputs, new, beams, form, alpha)
    for row in range(0, len(inputs), 2):
        expected = written_out(model, inputs[row : row + 1], new, beams, form, alpha)
        count = len(expected) if form == "hf" else 1  # "t5" may stop before it has found all
        for k, (ids, score) in enumerate(expected[:count]):
            assert found.ids_AKN[row, k].tolist() == [*ids] + [0] * (new - len(ids))
            assert found.scores_AK[row, k].item() == pytest.approx(score, abs=1e-4)


def test_the_forms_differ_where_they_should(model, inputs):
    """The table in beam.py is not idle: some rows end differently."""
    found = {form: beams_of(model, inputs, 8, 4, form).ids_AKN[:, 0].tolist() for form in ("hf", "t5")}
    assert sum(a != b for a, b in zip(found["hf"], found["t5"], strict=True)) >= 2
    alphas = {alpha: beams_of(model, inputs, 30, 4, "t5", alpha).ids_AKN[:, 0] for alpha in (0.0, 3.0)}
    assert lengths(alphas[3.0].numpy()) > lengths(alphas[0.0].numpy())


@pytest.mark.parametrize("form", ["hf", "t5"])
@pytest.mark.parametrize("beams", [2, 5])
def test_beam_search_is_the_same_with_static_shapes(model, inputs, form, beams):
    free, static = (beams_of(model, inputs, 20, beams, form, static=static) for static in (False, True))
    assert torch.equal(free.ids_AKN[:, 0], static.ids_AKN[:, 0])
    torch.testing.assert_close(free.scores_AK[:, 0], static.scores_AK[:, 0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("alpha", [0.6, 1.0, -0.5])
@pytest.mark.parametrize("beams", [1, 2, 5])
@pytest.mark.parametrize("kind", [{}, {"feed_forward": "gated_gelu", "tied_embeddings": False}])
def test_ids_are_those_of_transformers(inputs, tmp_path, kind, beams, alpha):
    # transformers' cache has as many layers as the encoder
    model = T5(ENDING_MODEL.replace(num_encoder_layers=ENDING_MODEL.num_decoder_layers, **kind)).initialise(6)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.mul_(8.0 if name.split(".")[-2] in ("o", "wo") else 1.0)
        model.output_weight[1].mul_(2.0)
    to_hf(model, tmp_path)
    theirs = T5ForConditionalGeneration.from_pretrained(tmp_path).eval()
    ids = torch.from_numpy(inputs)
    more = {"length_penalty": alpha, "early_stopping": False} if beams > 1 else {}
    expected = theirs.generate(
        ids, attention_mask=(ids != 0).long(), max_new_tokens=NEW, num_beams=beams, do_sample=False, **more
    )
    found = generate(from_hf(tmp_path), ids, None, NEW, beams, alpha)
    for ours, others in zip(found.tolist(), expected.tolist(), strict=True):
        others = others[1:]
        end = others.index(1) + 1 if 1 in others else len(others)
        assert ours == others[:end] + [0] * (NEW - end)
    assert len(set(lengths(found.numpy()))) > 2


def test_an_ensemble_averages_logits_before_the_softmax(model, inputs):
    others = [T5(ENDING_MODEL.replace(num_decoder_layers=1, d_ff=24)).initialise(seed).eval() for seed in (2, 3)]
    members = [model, *others]
    ids = torch.from_numpy(inputs)
    out = torch.zeros(len(ids), NEW, dtype=torch.int64)
    with torch.no_grad():
        for n in range(NEW):
            forced = [m(ids, attention_mask=ids != 0, labels=out[:, : n + 1]).logits[:, n] for m in members]
            token = torch.stack(forced).mean(0).argmax(-1)
            out[:, n] = token.where(~(out[:, :n] == 1).any(1), 0)
    found = searched(members, inputs)
    assert np.array_equal(found, out.numpy())
    assert not np.array_equal(found, searched(model, inputs))


@pytest.mark.parametrize("beams", [1, 3])
def test_an_ensemble_of_the_same_model_is_the_model(model, inputs, beams):
    assert np.array_equal(searched([model, model], inputs, num_beams=beams), searched(model, inputs, num_beams=beams))


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("architecture", ["shared_encoder_decoder", "language_model", "prefix_lm"])
def test_every_architecture_decodes_what_it_recomputes(inputs, architecture, beams):
    layers = {"num_encoder_layers": 0 if architecture in ("language_model", "prefix_lm") else 2}
    config = ENDING_MODEL.replace(architecture=architecture, num_decoder_layers=2, adapter_size=8, **layers)
    model = T5(config).initialise(4).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.mul_(4.0 if name.split(".")[-2] in ("o", "wo") else 1.0)
    if beams == 1:
        assert np.array_equal(searched(model, inputs), recomputed(model, inputs, NEW))
        return
    found = beams_of(model, inputs[:4], 6, beams, "hf")
    for row in range(4):
        expected = written_out(model, inputs[row : row + 1], 6, beams, "hf", 0.6)
        assert found.ids_AKN[row].tolist() == [[*ids] + [0] * (6 - len(ids)) for ids, _ in expected]


def test_more_beams_than_words_leave_no_gaps(inputs):
    model = T5(ModelConfig(vocab_size=5, d_model=8, d_kv=4, d_ff=8, num_heads=2, num_encoder_layers=1)).initialise(0)
    ids = torch.from_numpy(inputs % 5)
    found = generate(model, ids, num_beams=8, max_new_tokens=4)
    assert found.shape == (12, 4)


def test_a_batch_may_be_empty(model):
    assert generate(model, torch.zeros(0, 5, dtype=torch.int64)).shape == (0, 12)
    assert generate(model, torch.zeros(0, 5, dtype=torch.int64), num_beams=2).shape == (0, 12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_ids": torch.tensor([[3, 40]])}, "input_ids=40: give ids from 0 to 39"),
        ({"input_ids": torch.tensor([[-1, 4]])}, "input_ids=-1: give ids from 0 to 39"),
        ({"input_ids": torch.tensor([3, 4])}, r"input_ids=\(2,\)"),
        ({"input_ids": torch.tensor([[3.0, 4.0]])}, r"input_ids=\(1, 2\): give a tensor of whole numbers"),
        ({"input_ids": [[3, 4]]}, "input_ids='list': give a tensor"),
        ({"input_ids": torch.zeros(2, 0, dtype=torch.int64)}, "give at least one token"),
        ({"attention_mask": torch.ones(2, 3)}, r"attention_mask=\(2, 3\): give the shape of input_ids, \(1, 3\)"),
        ({"num_beams": 0}, "num_beams=0: give a whole number above 0"),
        ({"num_beams": 2.0}, "num_beams=2.0: give a whole number above 0"),
        ({"max_new_tokens": 0}, "max_new_tokens=0"),
        ({"length_penalty": math.nan}, "length_penalty=nan: give a number"),
        ({"length_penalty_form": "gnmt"}, "length_penalty_form='gnmt': choose one of hf, t5"),
        ({"model": []}, r"models=\(\): give at least one"),
    ],
)
def test_what_cannot_be_decoded_is_refused_by_name(model, arguments, message):
    with pytest.raises(ConfigError, match=message):
        generate(**{"model": model, "input_ids": torch.tensor([[3, 4, 1]]), **arguments})


def test_an_ensemble_of_different_vocabularies_is_refused(model):
    other = T5(ENDING_MODEL.replace(vocab_size=41))
    with pytest.raises(ConfigError, match=r"models=\(40, 41\).*share a vocabulary"):
        generate([model, other], torch.tensor([[3, 4, 1]]))
