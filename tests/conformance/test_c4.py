"""The C4 rules against the released code's page cleaner (``c4_pages.jsonl``, open cases)."""

import json

import pytest
from reference_cases import SHARED

from t5core.corpora.c4 import clean_page

PAGES = SHARED / "c4_pages.jsonl"
if not PAGES.is_file():
    pytest.skip("the shared folder of open cases is not beside the repository", allow_module_level=True)
CASES = [json.loads(line) for line in PAGES.read_text(encoding="utf-8").split("\n") if line]


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in CASES])
def test_pages_are_kept_and_counted_as_by_the_released_code(case):
    assert clean_page(case["text"]) == (case["expected"], case["counters"])
