"""What the scales settle for every study."""

import pytest

from studies.scales import SCALES
from t5core.mixing import GLUE_SIZES, PAPER_SIZES, mixture_rates


def test_at_the_papers_scale_no_pair_of_languages_drowns_the_other_tasks() -> None:
    """One model is fine-tuned on all tasks; by their sizes alone, 86 in 100 examples would be English and French."""
    rates = mixture_rates(SCALES["paper"].baseline.mixture, PAPER_SIZES)
    pairs = [rates[name] for name in ("wmt_en_de", "wmt_en_fr", "wmt_en_ro")]
    assert pairs == pytest.approx([2**19 / 3_079_860] * 3)
    assert sum(rates[name] for name in GLUE_SIZES) == pytest.approx(947_856 / 3_079_860)
