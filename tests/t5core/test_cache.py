"""The user's cache: where it is."""

from pathlib import Path

import pytest

from t5core.cache import user_cache_dir


@pytest.mark.parametrize(
    ("named", "caches", "expected"),
    [
        ("/scratch/mine", "/caches", "/scratch/mine"),
        ("~/mine", "/caches", "/home/me/mine"),
        ("", "/caches", "/caches/t5grid"),
        ("", "caches", "/home/me/.cache/t5grid"),  # XDG: a relative path is to be passed over
        ("", "", "/home/me/.cache/t5grid"),
    ],
)
def test_the_cache_is_where_a_variable_says_or_below_the_users_caches(monkeypatch, named, caches, expected):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("T5GRID_CACHE", named)
    monkeypatch.setenv("XDG_CACHE_HOME", caches)
    assert user_cache_dir() == Path(expected)
