import re

import pytest
import torch

from t5core.decoding import generate


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--batch", "0"], "batch='0': give a whole number from 1 up"),
        (["--size", "smal"], "size='smal': choose one of .*did you mean 'small'"),
        (["--dropout", "1"], "dropout=1.0: give a rate"),
        (["--dropout", "much"], "dropout='much': give a rate"),
        (["--what", "tran"], "what='tran': choose one of train, decode"),
        (["--against", "nobody"], "against='nobody': choose one of none, transformers"),
        (["--precision", "fp16"], "precision='fp16': choose one of auto, float32, bfloat16"),
        (["--rounds", "-1"], "rounds='-1': give a whole number"),
        (["--device", "gpu"], "'gpu': choose one of auto, cpu, cuda, xla"),
    ],
)
def test_bad_values_end_in_one_line(t5core, arguments, message):
    code, out, err = t5core("bench", *arguments)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert re.search(message, err)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_decoding_is_timed_in_the_precision_that_is_asked_for(t5core, monkeypatch, precision):
    used = set()

    def told(model, *arguments, **more):
        used.add(model.compute_dtype)
        return generate(model, *arguments, **more)

    monkeypatch.setattr("t5core.bench.decode.generate", told)
    sizes = ["--size", "tiny", "--batch", "2", "--inputs-length", "8", "--targets-length", "2", "--rounds", "1"]
    code, out, _ = t5core("bench", "--what", "decode", "--device", "cpu", "--precision", precision, *sizes)
    assert code == 0 and f"cpu, {precision}, 1 rounds" in out
    assert used == {getattr(torch, precision)}


def test_a_training_step_is_taken_apart_into_shares_that_add_up(t5core):
    sizes = ["--size", "tiny", "--batch", "2", "--inputs-length", "8", "--targets-length", "4", "--rounds", "1"]
    code, out, _ = t5core("bench", "--device", "cpu", *sizes)
    shares = re.search(r"of a step: products (\d+)%, attention (\d+)%, passes (\d+)%", out)
    assert code == 0 and shares is not None
    assert abs(sum(int(share) for share in shares.groups()) - 100) <= 1
