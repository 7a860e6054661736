import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from t5core.config import ObjectiveConfig
from t5core.errors import ConfigError
from t5core.objectives import Lengths, corrupt_batch, lengths, random_spans_lengths, recipe
from t5core.objectives.shown import Words, shown_examples

VOCAB, SENTINELS = 1000, 100
KINDS = ("prefix_lm", "bert_style", "deshuffling", "mass_style", "replace_spans", "drop_tokens")


def corrupted(objective, tokens, size=None, lengths_of_rows=None, seed=0):
    size = size or lengths(objective, tokens.shape[1])
    return corrupt_batch(
        objective,
        tokens,
        np.full(len(tokens), tokens.shape[1]) if lengths_of_rows is None else lengths_of_rows,
        vocab_size=VOCAB,
        extra_ids=SENTINELS,
        inputs_length=size.inputs,
        targets_length=size.targets,
        rng=np.random.default_rng(seed),
    )


def body(row):
    """A row's ids before EOS; EOS must be there, and nothing but padding behind it."""
    end = row.tolist().index(1)
    assert not row[end + 1 :].any()
    return row[:end].tolist()


@pytest.mark.parametrize(
    ("objective", "expected"),
    [
        (ObjectiveConfig(noise_density=0.1), (512, 103)),
        (ObjectiveConfig(noise_density=0.15), (512, 192)),
        (ObjectiveConfig(noise_density=0.25), (512, 256)),
        (ObjectiveConfig(noise_density=0.5), (512, 512)),
        (ObjectiveConfig(kind="drop_tokens"), (512, 104)),
        (ObjectiveConfig(mean_noise_span_length=2), (552, 126)),
        (ObjectiveConfig(mean_noise_span_length=3), (568, 114)),
        (ObjectiveConfig(mean_noise_span_length=5), (581, 105)),
        (ObjectiveConfig(mean_noise_span_length=10), (591, 99)),
        (ObjectiveConfig(kind="prefix_lm"), (512, 512)),
        (ObjectiveConfig(kind="bert_style"), (512, 512)),
        (ObjectiveConfig(kind="mass_style"), (512, 512)),
        (ObjectiveConfig(kind="deshuffling"), (512, 512)),
    ],
    ids=str,
)
def test_lengths_at_512_are_the_released_configurations(objective, expected):
    size = lengths(objective, 512)
    assert (size.raw_tokens, size.targets, size.inputs) == (*expected, 512)


@pytest.mark.parametrize("density", [0.1, 0.15, 0.25, 0.5])
@pytest.mark.parametrize("kind", ["replace_spans", "drop_tokens"])
def test_at_other_lengths_most_iid_targets_fit_and_few_columns_stay_empty(kind, density):
    objective = ObjectiveConfig(kind=kind, noise_density=density)
    size = lengths(objective, 128)
    assert size.targets <= 128
    tokens = np.random.default_rng(0).integers(3, 900, (2000, size.raw_tokens))
    _, roomy = corrupted(objective, tokens, type(size)(raw_tokens=128, inputs=128, targets=300))
    needed = np.argmax(roomy == 1, axis=1) + 1
    assert (needed > size.targets).mean() < 0.2
    assert size.targets - np.median(needed) < 0.2 * size.targets + 4


@given(
    inputs_length=st.integers(16, 600),
    density=st.floats(0.05, 0.5),
    mean=st.floats(1.5, 20),
)
def test_span_corrupted_text_fills_inputs_and_targets_without_a_gap(inputs_length, density, mean):
    raw, targets_length = random_spans_lengths(inputs_length, density, mean)
    objective = ObjectiveConfig(noise_density=density, mean_noise_span_length=mean)
    size = lengths(objective, inputs_length)
    assert (size.raw_tokens, size.targets) == (raw, min(targets_length, raw))
    inputs, targets = corrupted(objective, np.full((2, raw), 5), size)
    for row in range(2):
        # one token may be missing: lengths count in whole spans, and rounding at a half differs in the last bit
        assert inputs_length - 3 <= len(body(inputs[row])) + 1 <= inputs_length
        assert len(body(targets[row])) + 1 <= size.targets


@pytest.mark.parametrize(
    ("inputs_length", "density", "mean", "expected"),
    [
        # as the released code's own test has them
        (64, 0.2, 2.0, (70, 22)),
        (64, 0.2, 1.0, (63, 27)),
        # by its rules
        (128, 0.15, 1.0, (127, 39)),
        (512, 0.15, 1.0, (511, 155)),
        (512, 0.15, 1.5, (538, 136)),
        (512, 0.5, 1.0, (510, 512)),
        (12, 0.5, 1.0, (10, 12)),
        (11, 0.5, 1.0, (10, 11)),
        (13, 0.5, 1.0, (12, 13)),
        (512, 0.0, 3.0, (511, 1)),
        (512, 1e-9, 3.0, (511, 1)),
        (9, 0.15, 1.5, (8, 3)),  # of 9 tokens 1 is noise, in a span of its own
        (10, 0.15, 1.5, (10, 4)),  # of 10 tokens 2 are, in one span
        (1, 0.15, 3.0, (0, 1)),
        (2, 0.15, 3.0, (1, 1)),
    ],
)
def test_text_is_as_long_as_the_released_code_makes_it(inputs_length, density, mean, expected):
    assert random_spans_lengths(inputs_length, density, mean) == expected


# densities at which counting in double precision and drawing in single round alike at every length
@given(inputs_length=st.integers(8, 600), density=st.sampled_from([0.1, 0.2, 0.25, 0.4, 0.45]))
def test_single_corrupted_tokens_fill_inputs_and_targets_and_lose_nothing(inputs_length, density):
    objective = ObjectiveConfig(noise_density=density, mean_noise_span_length=1)
    size = lengths(objective, inputs_length)
    assert (size.raw_tokens, size.inputs) == (inputs_length - 1, inputs_length)
    roomy = Lengths(raw_tokens=size.raw_tokens, inputs=2 * inputs_length, targets=2 * inputs_length)
    tokens = np.full((2, size.raw_tokens), 5)
    inputs, targets = corrupted(objective, tokens, roomy)
    for row in range(2):
        assert len(body(inputs[row])) + 1 == inputs_length
        assert len(body(targets[row])) + 1 == size.targets


@pytest.mark.parametrize("inputs_length", [8, 9, 10, 11, 48, 127, 128, 510, 511, 512])
def test_half_of_single_tokens_fits_on_both_sides(inputs_length):
    objective = ObjectiveConfig(noise_density=0.5, mean_noise_span_length=1)
    size = lengths(objective, inputs_length)
    roomy = Lengths(raw_tokens=size.raw_tokens, inputs=2 * inputs_length, targets=2 * inputs_length)
    inputs, targets = corrupted(objective, np.full((1, size.raw_tokens), 5), roomy)
    assert inputs_length - 2 <= len(body(inputs[0])) + 1 <= inputs_length
    assert len(body(targets[0])) + 1 <= size.targets <= inputs_length


def test_the_baseline_span_example_is_exactly_full():
    inputs, targets = corrupted(
        ObjectiveConfig(mean_noise_span_length=3),
        np.full((4, 568), 5),
        lengths(ObjectiveConfig(mean_noise_span_length=3), 512),
    )
    assert inputs.shape == (4, 512) and targets.shape == (4, 114)
    assert (inputs[:, -1] == 1).all() and (targets[:, -1] == 1).all()
    assert [token for token in inputs[0].tolist() if token >= 900] == list(range(999, 999 - 28, -1))


def text(rows=50, width=64):
    return np.random.default_rng(7).integers(3, VOCAB - SENTINELS, (rows, width))


def test_bert_style_masks_or_replaces_and_asks_for_the_whole_text():
    tokens = text(400)
    inputs, targets = corrupted(ObjectiveConfig(kind="bert_style"), tokens)
    assert (targets[:, :63] == tokens[:, :63]).all() and (targets[:, 63] == 1).all()
    changed = inputs[:, :63] != tokens[:, :63]
    assert changed.mean() == pytest.approx(0.15, abs=0.01)
    assert (inputs[:, :63][changed] == VOCAB - 1).mean() == pytest.approx(0.9, abs=0.02)


def test_mass_style_only_masks():
    tokens = text()
    inputs, targets = corrupted(ObjectiveConfig(kind="mass_style"), tokens)
    changed = inputs[:, :63] != tokens[:, :63]
    assert (inputs[:, :63][changed] == VOCAB - 1).all() and changed.mean() == pytest.approx(0.15, abs=0.03)
    assert (targets[:, :63] == tokens[:, :63]).all()


def test_deshuffling_shows_the_same_tokens_in_another_order():
    tokens = text(width=64)
    size = lengths(ObjectiveConfig(kind="deshuffling"), 65)
    inputs, targets = corrupted(ObjectiveConfig(kind="deshuffling"), tokens, size)
    for row in range(len(tokens)):
        assert sorted(body(inputs[row])) == sorted(tokens[row]) and body(inputs[row]) != tokens[row].tolist()
        assert body(targets[row]) == tokens[row].tolist()


def test_prefix_lm_cuts_the_text_in_two_at_a_random_place():
    tokens = text()
    inputs, targets = corrupted(ObjectiveConfig(kind="prefix_lm"), tokens)
    for row in range(len(tokens)):
        assert body(inputs[row]) + body(targets[row]) == tokens[row].tolist()
    assert len({len(body(row)) for row in inputs}) > 20


def test_noise_of_any_kind_can_come_in_spans():
    tokens = text()
    inputs, _ = corrupted(ObjectiveConfig(kind="mass_style", mean_noise_span_length=3), tokens)
    assert ((inputs == VOCAB - 1).sum(axis=1) >= 9).all()  # exactly 10 of 64, the last of which may be cut


@pytest.mark.parametrize("kind", KINDS)
def test_every_row_ends_in_eos_and_short_rows_do_not_read_past_their_end(kind):
    objective = ObjectiveConfig(kind=kind)
    row_lengths = np.array([64, 40, 8, 1])
    tokens = text(4)
    size = lengths(objective, 64)
    inputs, targets = corrupted(objective, tokens, size, row_lengths)
    other = tokens.copy()
    for row, length in enumerate(row_lengths):
        other[row, length:] = 899
    again = corrupted(objective, other, size, row_lengths)
    assert (inputs == again[0]).all() and (targets == again[1]).all()
    for row in range(4):
        assert len(body(inputs[row])) <= min(row_lengths[row] + 1, 63)
        assert len(body(targets[row])) <= size.targets - 1


def test_only_prefix_lm_and_deshuffling_cut_documents_alone():
    assert {kind for kind in KINDS if not recipe(ObjectiveConfig(kind=kind)).joined} == {"prefix_lm", "deshuffling"}


def test_a_language_model_is_shown_nothing_and_asked_for_the_whole_text():
    size = lengths(ObjectiveConfig(kind="lm"), 65)
    assert (size.raw_tokens, size.inputs, size.targets) == (64, 0, 65)
    assert recipe(ObjectiveConfig(kind="lm")).joined
    tokens = text()
    inputs, targets = corrupted(ObjectiveConfig(kind="lm"), tokens, size, np.full(50, 60))
    assert inputs.shape == (50, 0)
    assert (targets[:, :60] == tokens[:, :60]).all()
    assert (targets[:, 60] == 1).all() and not targets[:, 61:].any()


def test_what_a_language_model_reads_can_be_printed():
    words = " ".join(f"w{i}" for i in range(20))
    parts = list(shown_examples(words, Words(words), ObjectiveConfig(kind="lm"), inputs_length=13, seed=0))
    assert [part.inputs for part in parts] == ["", ""] and parts[0].input_ids == ()
    assert " ".join(part.targets for part in parts) == words
    assert [len(part.target_ids) for part in parts] == [13, 9]


def test_inputs_too_short_for_a_text_are_refused():
    with pytest.raises(ConfigError, match="inputs_length=4"):
        lengths(ObjectiveConfig(), 4)
