import pytest


@pytest.fixture(autouse=True)
def alone(one_thread):
    """Sums are taken in the order of one thread, so that bits can be compared between processes."""
