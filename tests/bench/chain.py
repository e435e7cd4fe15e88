"""A bare chain over the same servers, which only passes events on: ``PART=worker python -m tests.bench.chain``.

``collector`` writes request bodies to the log unchanged. ``worker`` is a Faust loop that writes the offset of each event to
Redis. ``api`` answers with the offset once it is there. No system with these parts can be fresher on this machine.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import faust
import orjson
import uvicorn
import uvloop
from redis import asyncio as aioredis

from adapters.kafka.log import KafkaLogWriter
from adapters.redis.pipeline import PipelinedConnection
from deploy.config import CommandSettings
from deploy.processes.supervisor import Service
from schemas.configuration import site
from schemas.log import topics
from schemas.log.records import LogEntry

PREFIX = "chain"
_LOOK_SECONDS, _WAIT_SECONDS = 0.002, 1.0
_FENCE = "chain-fence:"

Handler = Callable[[bytes, bytes], Awaitable[tuple[int, dict[str, Any]]]]
"""Takes a query string and a body. Returns a status and the body of the answer."""


def services(settings: CommandSettings, folder: Path, collector: int, api: int) -> list[Service]:
    """Returns one service for each part. Those with HTTP listen on these ports."""
    environment = {"FRESHET_KAFKA": settings.kafka, "FRESHET_REDIS": settings.redis, "FRESHET_WORKER_DIR": str(folder)}
    ports = {"collector": collector, "worker": 0, "api": api}
    return [
        Service(f"chain-{part}", "tests.bench.chain", {**environment, "PART": part, "PORT": str(port)})
        for part, port in ports.items()
    ]


def collector() -> Handler:
    writer = KafkaLogWriter(os.environ["FRESHET_KAFKA"], site.topic_prefix(PREFIX))

    async def append(_: bytes, body: bytes) -> tuple[int, dict[str, Any]]:
        entry = LogEntry(orjson.loads(body)["user_id"].encode(), body)
        [token] = await asyncio.wrap_future(writer.append(topics.EVENTS, [entry]))
        return 202, {"results": [{"offset": str(token)}]}

    return append


def api() -> Handler:
    line = PipelinedConnection(aioredis.Redis.from_url(os.environ["FRESHET_REDIS"]))

    async def wait(query: bytes, _: bytes) -> tuple[int, dict[str, Any]]:
        partition, offset = query.decode().partition("after=")[2].split(":")
        begun, reached = time.monotonic(), -1
        while reached < int(offset) and time.monotonic() - begun < _WAIT_SECONDS:
            await asyncio.sleep(_LOOK_SECONDS)
            reached = int(await line.execute("GET", _FENCE + partition) or -1)
        return 200, {"signals_offset": f"{partition}:{reached}"}

    return wait


def serve(port: int, make: Callable[[], Handler]) -> None:
    """Answer every request by the handler that ``make`` returns. ``make`` is called on the event loop."""
    handlers: list[Handler] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        if not handlers:
            handlers.append(make())
        status, told = await handlers[0](scope["query_string"], (await receive()).get("body", b""))
        answer = orjson.dumps(told)
        headers = [(b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    uvicorn.run(
        app, host="127.0.0.1", port=port, log_level="error", access_log=False, lifespan="off", timeout_keep_alive=600
    )


def work() -> None:
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    app = faust.App(
        "chain",
        broker=f"kafka://{os.environ['FRESHET_KAFKA']}",
        store="memory://",
        datadir=os.environ["FRESHET_WORKER_DIR"],
        web_enabled=False,
        consumer_auto_offset_reset="latest",
    )
    name = topics.topic_name(topics.EVENTS, site.topic_prefix(PREFIX))
    topic = app.topic(name, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")

    @app.agent(topic)  # type: ignore[untyped-decorator]
    async def hand_on(stream: Any) -> None:
        redis = aioredis.Redis.from_url(os.environ["FRESHET_REDIS"])
        async for event in stream.events():
            await redis.set(f"{_FENCE}{event.message.partition}", event.message.offset)

    sys.argv = [sys.argv[0], "worker"]
    faust.Worker(app, loglevel="WARNING", redirect_stdouts=False, quiet=True).execute_from_commandline()


if __name__ == "__main__":
    if os.environ["PART"] == "worker":
        work()
    else:
        serve(int(os.environ["PORT"]), {"collector": collector, "api": api}[os.environ["PART"]])
