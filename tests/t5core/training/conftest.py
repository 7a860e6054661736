"""Makes ``small_run`` importable here and says where it lies to tests that start processes."""

import sys
from pathlib import Path

import pytest
import torch

HERE = str(Path(__file__).parent)
if HERE not in sys.path:
    sys.path.append(HERE)


@pytest.fixture(autouse=True)
def one_thread():
    """Sums are taken in the order of one thread, so that bits can be compared between processes."""
    earlier = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(earlier)
