import re

import pytest


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--batch", "0"], "batch='0': give a whole number from 1 up"),
        (["--size", "smal"], "size='smal': choose one of .*did you mean 'small'"),
        (["--dropout", "1"], "dropout=1.0: give a rate"),
        (["--dropout", "much"], "dropout='much': give a rate"),
        (["--what", "tran"], "what='tran': choose one of train, decode"),
        (["--against", "nobody"], "against='nobody': choose one of none, transformers"),
        (["--rounds", "-1"], "rounds='-1': give a whole number"),
        (["--device", "gpu"], "'gpu': choose one of auto, cpu, cuda, xla"),
    ],
)
def test_bad_values_end_in_one_line(t5core, arguments, message):
    code, out, err = t5core("bench", *arguments)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert re.search(message, err)
