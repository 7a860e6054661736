import pickle

import pytest

from t5core.errors import CheckpointError, ConfigError, DataError, NonFiniteLoss, did_you_mean


def test_an_error_is_one_line_with_field_value_way_out_and_hint():
    error = ConfigError("scale", "tinny", "choose one of tiny, mini", choices=["tiny", "mini"])
    assert str(error) == "scale='tinny': choose one of tiny, mini (did you mean 'tiny'?)"
    assert (error.field, error.value) == ("scale", "tinny")


def test_no_hint_where_nothing_is_close_or_the_value_is_no_text():
    assert did_you_mean("zebra", ["tiny", "mini"]) == ""
    assert str(ConfigError("steps", -1, "give a number above 0", choices=["1"])) == "steps=-1: give a number above 0"


@pytest.mark.parametrize("kind", [ConfigError, DataError, CheckpointError])
def test_errors_keep_type_and_fields_between_processes(kind):
    error = kind("path", "a b.txt", "name a file")
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is kind
    assert (str(back), back.field, back.value) == (str(error), "path", "a b.txt")
    assert isinstance(back, ConfigError)


def test_a_nonfinite_loss_names_step_and_saved_batch_also_between_processes():
    error = pickle.loads(pickle.dumps(NonFiniteLoss(17, float("nan"), "run/nonfinite.npz")))
    assert error.step == 17
    assert str(error) == "loss=nan at step 17: training stopped; the batch of that step was saved to run/nonfinite.npz"
