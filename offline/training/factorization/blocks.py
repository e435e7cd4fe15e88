"""Work on blocks by several threads. numpy and BLAS release the interpreter lock."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

In = TypeVar("In")
Out = TypeVar("Out")


def in_order(work: Callable[[In], Out], inputs: Iterable[In], threads: int = 0) -> Iterator[Out]:
    """Yields the result of ``work`` for each input, in order. ``threads`` (0: one for each core) work a little ahead."""
    workers = threads or os.cpu_count() or 1
    waiting = iter(inputs)
    with ThreadPoolExecutor(workers) as pool:
        ahead = deque(pool.submit(work, block) for block in islice(waiting, workers + 1))
        while ahead:
            ready = ahead.popleft().result()
            ahead.extend(pool.submit(work, block) for block in islice(waiting, 1))
            yield ready
