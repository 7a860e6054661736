"""The model, its loss and gradients, greedy and beam search against transformers' T5 on the same weights.

The cases were computed by transformers in eval mode with eager attention; their README tells how. The folders
are read through ``from_hf``, as a user would.
"""

import json
from pathlib import Path

import pytest
import torch

from t5core import from_hf, generate
from t5core.decoding import beam_search
from t5core.decoding.beam import rules
from t5core.decoding.ensemble import Ensemble
from t5core.decoding.pace import Pace
from t5core.interchange import hf_name

DATA = Path(__file__).parent / "data" / "model"
FOLDERS = ("t5_v1_0", "t5_v1_1")
NEW = 12


def all_cases():
    for folder in FOLDERS:
        lines = (DATA / folder / "cases.jsonl").read_text(encoding="ascii").split("\n")
        for case in (json.loads(line) for line in lines if line):
            yield pytest.param(folder, case, id=f"{folder}-{case['name']}")


CASES = list(all_cases())


def tensors(case, *names):
    return [torch.tensor(case[name]) for name in names]


def up_to_eos(ids):
    return ids[: ids.index(1) + 1] if 1 in ids else ids


@pytest.mark.parametrize(("folder", "case"), CASES)
def test_logits_and_loss_are_the_references(folder, case):
    input_ids, attention_mask, labels = tensors(case, "input_ids", "attention_mask", "labels")
    out = from_hf(DATA / folder)(input_ids=input_ids, attention_mask=attention_mask, labels=labels)
    torch.testing.assert_close(out.logits, torch.tensor(case["logits"]), rtol=0, atol=1e-4)
    assert out.loss.item() == pytest.approx(case["loss"], abs=1e-5)


@pytest.mark.parametrize(("folder", "case"), CASES)
def test_gradient_norms_are_the_references(folder, case):
    input_ids, attention_mask, labels = tensors(case, "input_ids", "attention_mask", "labels")
    model = from_hf(DATA / folder)
    model(input_ids=input_ids, attention_mask=attention_mask, labels=labels).loss.backward()
    norms = {hf_name(name): p.grad.norm().item() for name, p in model.named_parameters()}
    assert {name: norms[name] for name in case["grad_norms"]} == pytest.approx(case["grad_norms"], rel=1e-4)


@pytest.mark.parametrize(("folder", "case"), CASES)
def test_greedy_ids_are_the_references(folder, case):
    input_ids, attention_mask = tensors(case, "input_ids", "attention_mask")
    found = generate(from_hf(DATA / folder), input_ids, attention_mask, max_new_tokens=NEW)
    assert found.shape == (len(input_ids), NEW)
    assert [up_to_eos(row) for row in found.tolist()] == [up_to_eos(row[1:]) for row in case["greedy_ids"]]


@pytest.mark.parametrize(("folder", "case"), CASES)
def test_beam_ids_are_the_references(folder, case):
    input_ids, attention_mask = tensors(case, "input_ids", "attention_mask")
    found = generate(from_hf(DATA / folder), input_ids, attention_mask, max_new_tokens=NEW, num_beams=4)
    assert [up_to_eos(row) for row in found.tolist()] == [up_to_eos(row[1:]) for row in case["beam_ids"]]


@pytest.mark.parametrize("static_shapes", [False, True])
@pytest.mark.parametrize(("folder", "case"), CASES)
def test_all_hypotheses_have_the_references_ids_and_scores(folder, case, static_shapes):
    input_ids, attention_mask = tensors(case, "input_ids", "attention_mask")
    pace = Pace(static_shapes=static_shapes, end_step=lambda: None)
    with torch.no_grad():
        found = beam_search(
            Ensemble(from_hf(DATA / folder)), input_ids, attention_mask > 0, NEW, 4, rules("hf", 0.6), pace
        )
    for row, hypotheses in enumerate(case["all_hypotheses"]):
        for k, expected in enumerate(hypotheses):
            ids = up_to_eos(found.ids_AKN[row, k].tolist())
            assert ids == up_to_eos(expected["ids"][1:])
            score = found.scores_AK[row, k].item()
            assert score == pytest.approx(expected["score"], abs=1e-5)
            log_probability = score * len(ids) ** 0.6
            assert log_probability == pytest.approx(expected["sum_logprob"], abs=1e-4)
            assert log_probability / rules("t5", 0.6).penalty(len(ids)) == pytest.approx(expected["score_gnmt"], 1e-5)
