"""What a task can tell, and the standing that follows."""

import math

import numpy as np
import pytest

from orchestrator.results.noise import Measured, Sample
from orchestrator.results.signal import signal_to_noise, signals, smallest_difference, standing, with_smallest


def column(better=1, **rows):
    return Measured({name: Sample(runs=dict(enumerate(values))) for name, values in rows.items()}, better=better)


STRONG = column(a=[10.0, 11.0], b=[20.0, 21.0], c=[30.0, 31.0])
WEAK = column(a=[1.0, 3.0], b=[2.0, 2.0], c=[3.0, 1.0])
SAME = column(a=[5.0, 5.0], b=[5.0, 5.0], c=[5.0, 5.0])


def test_signal_to_noise_is_the_deviation_of_means_over_that_between_seeds():
    assert signal_to_noise(STRONG) == pytest.approx(10 / math.sqrt(0.5))
    assert signal_to_noise(SAME) == 0.0


def test_signal_to_noise_of_the_fields_fourteen_rows():
    qa = """0.298 0.318 1.219 1.170 2.058 2.059 0.387 0.314 2.152 2.119 1.646 1.653 2.196 2.216 1.909 1.900
            1.768 1.786 2.018 2.030 1.782 1.792 1.768 1.883 1.822 1.884 1.720 1.855"""
    runs = np.array(qa.split(), dtype=float).reshape(14, 2)
    fourteen = Measured({str(i): Sample(runs=dict(enumerate(r))) for i, r in enumerate(runs)}, better=-1)
    assert signal_to_noise(fourteen) == pytest.approx(15.0, abs=0.05)


def test_signal_to_noise_takes_two_seeds_in_two_rows():
    assert signal_to_noise(column(a=[1.0, 2.0], b=[5.0], c=[9.0])) is None
    assert signal_to_noise(column(a=[1.0, 2.0], b=[5.0, 6.0], c=[9.0])) is not None
    assert signal_to_noise(column(a=[1.0, 1.0], b=[5.0, 5.0])) is None, "runs that never differ tell no noise"


def test_tasks_below_the_mark_and_constant_ones_take_no_part():
    found = signals({"strong": {"score": STRONG}, "weak": {"score": WEAK}, "same": {"score": SAME}, "none": {}})
    assert {task: (s.takes_part, s.constant) for task, s in found.items()} == {
        "strong": (True, False),
        "weak": (False, True),
        "same": (False, True),
    }


def test_where_no_task_reaches_the_mark_only_constant_ones_are_left_out():
    weak = column(a=[1.0, 3.0], b=[2.0, 2.2], c=[3.0, 1.5])
    found = signals({"weak": {"score": weak}, "same": {"score": SAME}})
    assert {task: s.takes_part for task, s in found.items()} == {"weak": True, "same": False}


def test_bits_are_what_counts_where_every_row_has_them():
    bits = column(-1, a=[3.0, 3.1], b=[2.0, 2.1], c=[1.0, 1.1])
    partly = column(-1, a=[3.0, 3.1], b=[2.0, 2.1])
    found = signals({"t": {"score": WEAK, "bits": bits}, "u": {"score": STRONG, "bits": partly}})
    assert {task: s.measure for task, s in found.items()} == {"t": "bits", "u": "score"}
    order = standing({"t": {"score": WEAK, "bits": bits}}, {"t": found["t"]})
    assert {row: s.value for row, s in order.samples.items()} == pytest.approx({"a": -1.0, "b": 0.0, "c": 1.0})


def test_standing_is_the_mean_of_standardised_numbers_seed_by_seed():
    other = column(a=[2.0, 3.0], b=[0.0, 1.0], c=[1.0, 2.0])
    columns = {"s": {"score": STRONG}, "o": {"score": other}}
    order = standing(columns, signals({"s": {"score": STRONG}}) | signals({"o": {"score": other}}))
    assert {row: s.value for row, s in order.samples.items()} == pytest.approx({"a": 0.0, "b": -0.5, "c": 0.5})
    assert order.samples["a"].runs[1] - order.samples["a"].runs[0] == pytest.approx((0.1 + 1.0) / 2)


def test_rows_that_are_all_the_same_stand_at_nought():
    order = standing({"t": {"score": SAME}}, signals({"t": {"score": SAME}}))
    assert {row: s.value for row, s in order.samples.items()} == {"a": 0.0, "b": 0.0, "c": 0.0}
    assert order.difference("a", "b").p == 1.0


def test_the_smallest_difference_is_that_of_the_middle_row_at_the_corrected_level():
    smallest = smallest_difference(STRONG, "a", 0.001)
    assert smallest == pytest.approx(STRONG.difference("b", "a").smallest(0.001))
    found = with_smallest(signals({"t": {"score": STRONG}}), {"t": {"score": STRONG}}, "a", 0.001)
    assert found["t"].smallest == {"score": smallest}
    assert smallest_difference(STRONG, "nobody", 0.001) is None
