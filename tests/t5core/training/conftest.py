import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread():
    """Sums are taken in the order of one thread, so that bits can be compared between processes."""
    earlier = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(earlier)
