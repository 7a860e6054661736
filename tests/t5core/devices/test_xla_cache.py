"""torch-xla's cache of programs is asked for, with a stand-in: XLA's CPU client cannot read what it wrote."""

import pytest

from t5core.devices.xla_cache import PROGRAMS, keep_programs


class Runtime:
    """What of ``torch_xla.runtime`` is called."""

    def __init__(self, *, computed=False):
        self.calls = []
        self.computed = computed

    def initialize_cache(self, path, readonly=False):
        assert not self.computed
        self.calls.append((path, readonly))


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.delenv(PROGRAMS, raising=False)
    monkeypatch.setenv("T5GRID_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "xla"


def test_programs_are_kept_in_the_users_cache_and_the_first_process_alone_writes(cache):
    first, second = Runtime(), Runtime()
    assert keep_programs(first, "TPU", 0)
    assert keep_programs(second, "TPU", 1)
    assert first.calls == [(str(cache), False)]
    assert second.calls == [(str(cache), True)]
    assert cache.is_dir()


def test_nothing_is_kept_on_a_cpu_whose_client_cannot_read_it(cache):
    runtime = Runtime()
    assert not keep_programs(runtime, "CPU", 0)
    assert runtime.calls == []
    assert not cache.exists()


def test_a_folder_that_is_named_already_stays(monkeypatch, cache):
    monkeypatch.setenv(PROGRAMS, "elsewhere")
    runtime = Runtime()
    assert keep_programs(runtime, "TPU", 0)
    assert runtime.calls == []


def test_a_process_that_has_computed_goes_on_without(cache):
    assert not keep_programs(Runtime(computed=True), "TPU", 0)


def test_a_cache_that_cannot_be_made_is_done_without(cache):
    cache.parent.write_text("a file")
    runtime = Runtime()
    assert not keep_programs(runtime, "TPU", 0)
    assert runtime.calls == []
