import pytest

from t5core.arguments import real_number, whole_number
from t5core.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "bounds", "value"),
    [
        ("0", {}, 0),
        ("007", {}, 7),
        ("9223372036854775807", {}, 2**63 - 1),
        ("3", {"least": 3, "most": 3}, 3),
        ("4096", {"least": 1, "most": 4096}, 4096),
    ],
)
def test_a_whole_number_within_its_bounds_is_taken(text, bounds, value):
    assert whole_number("steps", text, **bounds) == value


@pytest.mark.parametrize(
    "text", ["", "-1", "+1", "1.0", "1e3", " 1", "1_000", "½", "²", "many", str(2**63), "9" * 5_000]
)
def test_what_is_no_whole_number_of_64_bits_is_named(text):
    with pytest.raises(ConfigError) as caught:
        whole_number("seed", text)
    assert str(caught.value) == f"seed={text!r}: give a whole number from 0 up"


@pytest.mark.parametrize("text", ["0", "4097"])
def test_bounds_are_said(text):
    with pytest.raises(ConfigError) as caught:
        whole_number("beams", text, least=1, most=4_096)
    assert str(caught.value) == f"beams={text!r}: give a whole number from 1 up to 4,096"


def test_a_real_number_and_what_is_said_where_there_is_none():
    assert real_number("rate", "1.5e-1") == 0.15
    with pytest.raises(ConfigError, match=r"rate='much': give a number$"):
        real_number("rate", "much")
    with pytest.raises(ConfigError, match="dropout='': give a rate"):
        real_number("dropout", "", "give a rate")
