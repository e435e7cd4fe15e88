"""A bare Faust loop that only counts. ``python -m tests.bench.counting`` prints the time that the first events of a topic take."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import Any

import faust
import uvloop


def run() -> None:
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    app = faust.App(
        f"counting-{os.getpid()}",
        broker=f"kafka://{os.environ['FRESHET_KAFKA']}",
        store="memory://",
        datadir=os.environ["FRESHET_WORKER_DIR"],
        web_enabled=False,
        consumer_auto_offset_reset="earliest",
        broker_max_poll_records=2_000,
    )
    topic = app.topic(
        os.environ["TOPIC"], key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw"
    )
    wanted = int(os.environ["COUNT"])

    @app.agent(topic)  # type: ignore[untyped-decorator]
    async def count(stream: Any) -> None:
        counted, begun, used = 0, 0.0, 0.0
        async for _ in stream:
            if not counted:
                begun, used = time.perf_counter(), time.process_time()
            counted += 1
            if counted == wanted:
                print(f"counted in {time.perf_counter() - begun} s, {time.process_time() - used} CPU s", flush=True)  # noqa: T201

    sys.argv = [sys.argv[0], "worker"]
    faust.Worker(app, loglevel="WARNING", redirect_stdouts=False, quiet=True).execute_from_commandline()


if __name__ == "__main__":
    run()
