"""Answers/s of one online API process, beside a FastAPI route that returns constant bytes of the same size."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp

from deploy import cluster
from deploy.commands.data import import_into
from deploy.parts import open_parts
from deploy.training import train_in
from tests.bench.load import Load, closed_loop
from tests.bench.results import Figures, percentiles
from tests.bench.system import processes, servers
from tests.e2e.systems import eventually, free_port

SECONDS = 10.0
CONNECTIONS = 16
SHOPPERS = 2_000
WAITING = 16
"""People who ask again and again while nothing new is known of them."""

_CONSTANT = """
import sys, uvicorn
from fastapi import FastAPI, Response
app = FastAPI()
body = b"x" * int(sys.argv[2])

@app.get("/health/live")
async def live():
    return {}

@app.get("/constant")
async def constant():
    return Response(body, media_type="application/json")

uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="error", access_log=False)
"""


def measure() -> Figures:
    with servers() as (settings, folder), processes(settings, folder) as running:
        with open_parts(folder, settings) as parts:
            import_into(parts, folder, None)
            train_in(parts, "single", force=False, progress=lambda *_: None)
        eventually(lambda: cluster.ready(running.api), 120, "the API is ready")
        asyncio.run(closed_loop(_ask(running.api), CONNECTIONS, 2.0))
        size = asyncio.run(_size(running.api))
        with _constant(size) as constant:
            asked = {
                "constant": _get(f"{constant}/constant"),
                "new": _ask(running.api),
                "unchanged": _again(running.api),
            }
            loads: dict[str, list[Load]] = {name: [] for name in asked}
            for _ in range(2):
                for name, ask in asked.items():
                    loads[name].append(asyncio.run(closed_loop(ask, CONNECTIONS, SECONDS / 2)))
    figures: dict[str, Any] = {"answer_bytes": size}
    for name, found in loads.items():
        figures |= _told(name, found)
    for name in ("new", "unchanged"):
        figures[f"{name}_share_of_constant"] = round(figures[f"{name}_per_second"] / figures["constant_per_second"], 3)
    return Figures("cluster", figures)


def _told(name: str, loads: list[Load]) -> dict[str, Any]:
    times = percentiles([second for load in loads for second in load.seconds])
    rate = sum(load.rate for load in loads) / len(loads)
    return {f"{name}_per_second": round(rate), **{f"{name}_{each}": value for each, value in times.items()}}


def _ask(api: str) -> Any:
    """Everybody in turn, each time with another visit: no list has been made before."""
    return _get_each(
        lambda n: f"{api}/v1/users/shopper-{n * 7919 % SHOPPERS:05d}/recommendations?session_id={os.getpid()}-{n}"
    )


def _again(api: str) -> Any:
    """A few people, over and over, of whom nothing new is known."""
    return _get_each(lambda n: f"{api}/v1/users/shopper-{n % WAITING:05d}/recommendations")


def _get(url: str) -> Any:
    return _get_each(lambda _: url)


def _get_each(url: Any) -> Any:
    async def get(session: aiohttp.ClientSession, number: int) -> None:
        async with session.get(url(number)) as answered:
            assert answered.status == 200
            await answered.read()

    return get


async def _size(api: str) -> int:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{api}/v1/users/shopper-00042/recommendations") as answered,
    ):
        return len(await answered.read())


@contextmanager
def _constant(size: int) -> Iterator[str]:
    port = free_port()
    process = subprocess.Popen([sys.executable, "-c", _CONSTANT, str(port), str(size)], cwd=Path(__file__).parent)
    try:
        eventually(lambda: cluster.alive(f"http://127.0.0.1:{port}"), 30, "the constant route answers")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)
