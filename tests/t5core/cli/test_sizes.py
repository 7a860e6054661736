import pytest

from t5core.model import PRESETS


def test_the_command_shows_every_preset_and_says_which_fit(t5core, monkeypatch):
    monkeypatch.setenv("COLUMNS", "140")
    code, shown, _ = t5core("sizes", "--mesh", "16x4", "--memory-gib", "16")
    assert code == 0
    first = [line.split()[0] for line in shown.splitlines() if line.strip()]
    assert [word for word in first if word in PRESETS] == list(PRESETS)
    assert "64 devices (16x4)" in shown


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
