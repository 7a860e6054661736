"""Where XLA's compiled programs are kept, so that a study's lanes and later runs need not compile them again.

A program of a paper's size takes minutes to compile on a TPU. torch-xla finds it again by a hash of the program, the
compiler's flags and the hardware. The folder is ``xla`` in the user's cache (``t5core.cache``), shared by all processes
of a host; of processes that run one program together, the first writes and the others read.

XLA's CPU client writes programs and cannot read them (2.9), so nothing is kept there.
"""

import os
from typing import Any

from t5core.cache import user_cache_dir

PROGRAMS = "XLA_PERSISTENT_CACHE_PATH"
"""torch-xla's variable for the folder; one that is named stays."""


def keep_programs(runtime: Any, pjrt_device: str, rank: int) -> bool:
    """Lets torch-xla keep what it compiles; returns whether it does. Before the first computation of a process.

    Args:
        runtime: ``torch_xla.runtime``.
        pjrt_device: what programs are for.
        rank: of this process among those of its machine, of which the first one writes.
    """
    if pjrt_device == "CPU" or os.environ.get(PROGRAMS):
        return bool(os.environ.get(PROGRAMS))
    try:
        folder = user_cache_dir() / "xla"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return False
    readonly = rank > 0 or not os.access(folder, os.W_OK)
    try:
        runtime.initialize_cache(str(folder), readonly=readonly)
    except AssertionError:  # the process has computed something already
        return False
    return True
