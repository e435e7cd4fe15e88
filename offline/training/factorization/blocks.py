"""Work on blocks by several threads: numpy and BLAS let go of the interpreter while they work."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

In = TypeVar("In")
Out = TypeVar("Out")


def in_order(work: Callable[[In], Out], given: Iterable[In], threads: int = 0) -> Iterator[Out]:
    """``work`` of everything given, in its order, by several threads (0: one a core) that run little ahead."""
    workers = threads or os.cpu_count() or 1
    waiting = iter(given)
    with ThreadPoolExecutor(workers) as pool:
        ahead = deque(pool.submit(work, each) for each in islice(waiting, workers + 1))
        while ahead:
            ready = ahead.popleft().result()
            ahead.extend(pool.submit(work, each) for each in islice(waiting, 1))
            yield ready
