"""Reads the columns that filters need on a thread of its own, each once, however many requests wait for it.

The thread pauses more than it works, so that it never keeps the event loop from the interpreter for long.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from schemas.http.problems import ProblemError
from serving import metrics
from serving.filtering.columns import Column, Entries, Reading
from serving.filtering.fields import FieldNotReady, Fields, Path

_ITEMS: Final = 250
"""Items that are read before the thread pauses: a fraction of a millisecond."""
_PAUSE_SECONDS: Final = 0.0005


class ColumnReading:
    """Used from one event loop."""

    def __init__(self, fields: Fields, seconds: float) -> None:
        """``seconds`` is the longest wait of a request for its columns."""
        self._fields, self._seconds = fields, seconds
        fields.is_read_aside = True
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="columns")
        self._tasks: dict[Path, asyncio.Task[None]] = {}

    def close(self) -> None:
        """Stop reading; nobody waits any more."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        for task in self._tasks.values():
            task.cancel()

    async def wait_for(self, paths: Collection[Path]) -> None:
        """Wait until these fields can be read; raises ProblemError where one is too large, and FieldNotReady after the deadline."""
        unready = [path for path in paths if not self._fields.is_ready(path)]
        if not unready:
            return
        self._check_size(unready)
        # A request that is given up leaves the tasks to those that wait for the same columns.
        _, late = await asyncio.wait({self._task(path) for path in unready}, timeout=self._seconds)
        self._check_size(unready)
        if late and (missing := [path for path in unready if not self._fields.is_ready(path)]):
            raise FieldNotReady(missing[0])

    def _check_size(self, paths: Collection[Path]) -> None:
        for path in paths:
            if self._fields.is_refused(path):
                detail = (
                    f"the field {'.'.join(path)} of all items takes more memory than filters may have"
                    f" ({self._fields.limit >> 20} MiB, FRESHET_FILTER_COLUMNS_MIB)"
                )
                raise ProblemError(400, "invalid", detail, field="filter")

    def _task(self, path: Path) -> asyncio.Task[None]:
        name = self._fields.name(path)
        task = self._tasks.get(name)
        if task is None:
            task = self._tasks[name] = asyncio.create_task(self._read(path))
            task.add_done_callback(lambda _: self._tasks.pop(name, None))
        return task

    async def _read(self, path: Path) -> None:
        column = self._fields.unread_column(path)
        reading = column.begin()
        try:
            loop = asyncio.get_running_loop()
            entries = await loop.run_in_executor(self._thread, _entries, column, reading, self._fields.limit)
            if entries is None:
                self._fields.refuse(path)
                metrics.FILTER_COLUMNS.labels("refused").inc()
            else:
                column.take_over(reading, entries)
                metrics.FILTER_COLUMNS.labels("read").inc()
        finally:
            column.end(reading)
            self._fields.fit()


def _entries(column: Column, reading: Reading, limit: int) -> Entries | None:
    """All values of the column; None as soon as they take more than ``limit`` bytes."""
    parts: list[Entries] = []
    size = column.size - column.text_size
    for begin in range(0, len(reading.positions), _ITEMS):
        part = column.read(reading.positions[begin : begin + _ITEMS])
        parts.append(part)
        size += sum(array.nbytes for array in part)
        if size + column.text_size > limit:
            return None
        time.sleep(_PAUSE_SECONDS)
    return column.merged(reading, parts)
