from __future__ import annotations

import asyncio
import threading

from adapters.sqlite import signals
from schemas.keys import Signal
from schemas.log.fence import Fence


async def test_the_loop_goes_on_while_many_changes_are_read(tmp_path, monkeypatch):
    fence = Fence("log", 7)
    store, reader = signals.SqliteSignalStore(tmp_path), signals.SqliteSignalReader(tmp_path)
    store.commit(0, Signal.AGGREGATES, None, fence, {"popularity:a": b"1"})
    loop_went_on, read = threading.Event(), signals._values

    def read_slowly(rows):
        assert loop_went_on.wait(10), "the loop waits for the read"
        return read(rows)

    monkeypatch.setattr(signals, "_values", read_slowly)
    changes = asyncio.create_task(reader.changes(0, Signal.AGGREGATES, None))
    await asyncio.sleep(0.01)
    assert (await reader.fences(Signal.AGGREGATES, [0])) == {0: fence}
    loop_went_on.set()
    assert await changes == (fence, {"popularity:a": b"1"}, True)
    await reader.close()
    store.close()
