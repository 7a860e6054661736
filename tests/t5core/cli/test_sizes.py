import functools
import re

import pytest

from t5core import sizes
from t5core.model import PRESETS

HEADS = {
    *("model", "parameters", "weights", "gradients", "moments", "activations", "total", "with", "recomputing"),
    *("fits", "in", "16", "GiB", "params", "grads", "acts", "recomp."),
}


def rows_of(lines):
    return {name: cells for name, *cells in map(str.split, lines) if name in PRESETS}


def test_every_preset_is_shown_in_whole_numbers_in_a_pipe_and_in_terminals_of_any_width(t5core, monkeypatch):
    monkeypatch.setattr(sizes, "device_bytes", functools.cache(sizes.device_bytes))  # computed once for all widths
    command = ("sizes", "--mesh", "16x4", "--memory-gib", "16")
    code, out, _ = t5core(*command)
    assert code == 0 and "64 devices (16x4)" in out
    whole = rows_of(out.splitlines())
    assert list(whole) == list(PRESETS) and {len(cells) for cells in whole.values()} == {8}
    for width in (40, 60, 80, 100):
        # rich's word for a terminal of some width
        for name, value in (("FORCE_COLOR", "1"), ("TERM", "xterm"), ("COLUMNS", str(width))):
            monkeypatch.setenv(name, value)
        lines = re.sub(r"\x1b\[[0-9;]*m", "", t5core(*command)[1]).splitlines()
        assert max(map(len, lines)) <= width and "…" not in "".join(lines)
        rule = next(at for at, line in enumerate(lines) if set(line.strip()) == {"─"})
        below = rule + 1 + len(PRESETS)
        heads, note = lines[2 if width == 40 else 1 : rule], " ".join(lines[below:])  # the title takes a line, or two
        assert set(" ".join(heads).split()) <= HEADS
        left_out = note.removeprefix("no room for ").removesuffix(": see all with | cat").split(", ") if note else []
        shown = rows_of(lines[rule + 1 : below])
        assert list(shown) == list(PRESETS)
        for name, cells in shown.items():
            assert len(cells) == 8 - len(left_out)
            remaining = iter(whole[name])
            assert all(cell in remaining for cell in cells)  # each is whole, and in the order of the pipe


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--mesh", "2"], "mesh='2': give data x model devices, like 16x4"),
        (["--batch", "0"], "batch='0': give a whole number from 1 up"),
        (["--mesh", "3x1"], "batch_size=128: give a multiple of 3, the mesh's data axis"),
        (["--precision", "fp8"], "precision='fp8': choose one of bfloat16, float32"),
    ],
)
def test_what_the_command_cannot_use_is_one_line_and_exit_code_2(t5core, flags, message):
    code, _, err = t5core("sizes", *flags)
    assert code == 2 and err.startswith(f"t5core: error: {message}")
