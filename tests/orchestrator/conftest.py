"""Models of one layer are slower on two threads than on one, and crawl where the cores are shared."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="package", autouse=True)
def one_thread() -> Iterator[None]:
    """Gives torch one thread in this process; workers on Ray have one each anyway."""
    import torch

    earlier = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(earlier)
