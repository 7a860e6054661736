"""The precision that is computed in: asked for or found, said with its reason, and near float32 in its losses."""

import pytest
import torch
from small_run import GOLDEN, losses

from t5core.devices import open_device, precision, resolve_precision
from t5core.errors import ConfigError

INTEL = """\
processor\t: 0
model name\t: Some Xeon
cpu family\t: 6
model\t\t: 143
flags\t\t: fpu avx512_bf16 amx_bf16 amx_tile
"""
NEAR = 0.02
"""What a loss of 20 steps in bfloat16 may differ from its float32, as a share of it."""


@pytest.fixture
def processor(monkeypatch, tmp_path):
    """Gives a function that says what this machine's processor is."""

    def says(text):
        (tmp_path / "cpuinfo").write_text(text)
        monkeypatch.setattr(precision, "_CPU_INFO", tmp_path / "cpuinfo")
        precision.matrix_unit.cache_clear()

    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    yield says
    precision.matrix_unit.cache_clear()


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        (INTEL, "AMX"),
        ("flags : fpu avx512_bf16\n", "avx512_bf16"),
        ("Features : fp asimd bf16\n", "bf16 instructions"),
        ("flags : fpu avx2\n", ""),
        ("", ""),
    ],
)
def test_auto_takes_bfloat16_where_the_processor_has_units_for_it(processor, text, unit):
    processor(text)
    found = resolve_precision("auto", "cpu")
    assert (found.value, unit in found.why) == ("bfloat16" if unit else "float32", True)
    assert open_device("cpu", precision="auto").compute_dtype == getattr(torch, found.value)


def test_what_the_library_may_not_use_is_not_counted_on(processor, monkeypatch):
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_BF16")
    processor(INTEL)
    assert resolve_precision("auto", "cpu").why == "this processor has avx512_bf16"
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    processor(INTEL)
    assert resolve_precision("auto", "cpu").value == "float32"


def test_what_is_asked_for_is_taken_and_a_slow_one_is_said_to_be(processor):
    processor("flags : fpu avx2\n")
    assert resolve_precision("bfloat16", "cpu").why == "asked for; slower here, this processor has no units for it"
    assert resolve_precision("float32", "cuda").why == resolve_precision("bfloat16", "cuda").why == "asked for"
    assert resolve_precision("auto", "cuda").value == "bfloat16"
    with pytest.raises(ConfigError, match=r"precision='bf16': choose one of auto, float32, bfloat16"):
        resolve_precision("bf16", "cpu")


def test_a_device_says_what_it_computes_in_now(processor):
    processor("flags : fpu avx2\n")
    device = open_device("cpu")
    with device.in_precision("bfloat16"):
        assert device.compute_dtype == torch.bfloat16
        (now,) = [d for d in device.decisions() if d.what == "precision"]
        assert (now.value, now.why) == ("bfloat16", "asked for; slower here, this processor has no units for it")
    with device.in_precision(None):
        assert device.compute_dtype == torch.float32


def test_the_processor_is_named_with_its_family_and_units(processor):
    processor(INTEL)
    assert precision.processor_name() == "Some Xeon family 6 model 143, AMX"


@pytest.mark.parametrize("name", ["encoder_decoder", "packed", "prefix_lm", "v1.1"])
def test_losses_in_bfloat16_stay_near_those_in_float32(name):
    case = GOLDEN[name]
    exact, rounded = (losses(device=open_device("cpu", precision=p), **case) for p in ("float32", "bfloat16"))
    assert rounded == pytest.approx(exact, rel=NEAR)
    assert rounded != exact
