"""The tools of ``make abuse``: what is sent, and how a held event loop is measured."""

from __future__ import annotations

import asyncio
import gzip
import os
import time
from urllib.parse import parse_qs, urlsplit

from schemas.events import MAX_BODY_BYTES
from tests.bench import abuses
from tests.bench.prober import probing


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.readuntil(b"\r\n\r\n"):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


async def test_the_time_for_which_the_loop_computes_is_measured_and_not_the_time_for_which_it_sleeps() -> None:
    server = await asyncio.start_server(_answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    held = {}
    for name, hold in {"sleeping": time.sleep, "computing": _compute}.items():
        probe = probing(port, os.getpid())
        figures = await asyncio.to_thread(probe.__enter__)
        await asyncio.sleep(0.1)
        hold(0.2)
        await asyncio.sleep(0.1)
        await asyncio.to_thread(probe.__exit__, None, None, None)
        held[name] = figures["worst_held_ms"]
        assert figures["worst_wait_ms"] >= 150
    server.close()
    assert held["computing"] >= 150
    assert held["sleeping"] < 100


def _compute(seconds: float) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def test_bodies_that_are_meant_to_be_read_fit_into_a_request() -> None:
    bodies = [*abuses._countries(), *abuses._impressions(), abuses._long_key()]
    assert max(map(len, bodies)) <= MAX_BODY_BYTES
    assert len(gzip.compress(abuses._long_key())) < 2_000


def test_parameters_are_encoded_and_lists_repeat() -> None:
    url = urlsplit(abuses._list_of("ann", filter="a = 1 or b = 2", boost=["2:a = 1", "3:b = 2"], count=3))
    assert parse_qs(url.query) == {"filter": ["a = 1 or b = 2"], "boost": ["2:a = 1", "3:b = 2"], "count": ["3"]}
