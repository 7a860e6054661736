"""Mixing rates against the T5 authors' released code (``mixing.jsonl``)."""

import pytest
from reference_cases import cases

from t5core.mixing import rates


@pytest.mark.parametrize("case", cases("mixing.jsonl"))
def test_rates_are_the_released_codes(case):
    got = rates(case["num_examples"], case["maximum"], case["temperature"])
    assert got == pytest.approx(case["expected_rates"], rel=1e-12)
    assert list(got) == list(case["expected_rates"])
