"""Makes ``training/small_run.py``, a small model on made-up batches, importable from all tests below here."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent / "training"))
