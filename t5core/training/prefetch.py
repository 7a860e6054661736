"""Batches made and put on the device before they are asked for.

A device that computes by itself would wait for the host to make the next batch and to send it. One thread does both
while a step runs, always one batch after another: feeds keep what they looked up last, and are not to be asked twice at
a time.
"""

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def ahead(make: Callable[[int], T], indices: range, depth: int) -> Generator[T, None, None]:
    """Yields ``make(i)`` for each index, up to ``depth`` of them made beforehand in a thread; 0: none, and no thread.

    What ``make`` raises is raised where its result would have been. Closing the iterator waits for the thread.
    """
    if depth == 0:
        yield from map(make, indices)
        return
    with ThreadPoolExecutor(1, thread_name_prefix="prefetch") as pool:
        waiting = deque(pool.submit(make, i) for i in indices[:depth])
        for later in range(depth, depth + len(indices)):
            made = waiting.popleft().result()
            if later < len(indices):
                waiting.append(pool.submit(make, indices[later]))
            yield made
