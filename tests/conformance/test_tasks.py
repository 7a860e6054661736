"""Text forms against pairs made by the T5 authors' released code (``tasks.jsonl``, ``tasks_extra.jsonl``)."""

import pytest
from reference_cases import DATA, rows

from t5core.tasks import get_task

CASES = [row for name in ("tasks.jsonl", "tasks_extra.jsonl") for row in rows(DATA / name)]


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in CASES])
def test_examples_become_the_released_codes_text(case):
    assert get_task(case["task"]).to_text(case["example"]) == case["expected"]


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in CASES if "expected_answers" in case])
def test_accepted_answers_are_the_released_codes(case):
    (pair,) = get_task(case["task"]).form(case["example"])
    assert pair.context["answers"] == case["expected_answers"]
