"""A TCP proxy on loopback that delays, cuts, or loses the answers of a server."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from collections.abc import Iterator

PIECE = 65_536


class Proxy:
    """Passes bytes on to a port of this machine, in a thread of its own. Attributes may be set at any time, from any thread."""

    def __init__(self, target: int, seed: int = 0) -> None:
        self.target = target
        self.delay = 0.0
        """Seconds by which each piece of an answer is late."""
        self.lose_answers = 0.0
        """Chance that an answer is lost: the server has done its work, but both connections are cut instead."""
        self.refuse = False
        """True if new connections are cut at once."""
        self.lost = 0
        """Answers that were lost."""
        self._random = random.Random(seed)
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        starting = asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._server = asyncio.run_coroutine_threadsafe(starting, self._loop).result()
        self.port: int = self._server.sockets[0].getsockname()[1]

    def reset(self) -> None:
        """Cut all connections."""
        self._loop.call_soon_threadsafe(self._cut)

    def heal(self) -> None:
        """Pass everything on from now."""
        self.delay, self.lose_answers, self.refuse = 0.0, 0.0, False

    def close(self) -> None:
        """Cut all connections and end the thread."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        self._cut()
        if tasks := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(tasks, timeout=5)

    def _cut(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuse:
            writer.transport.abort()
            return
        with contextlib.suppress(OSError):
            answers, requests = await asyncio.open_connection("127.0.0.1", self.target)
            self._open |= {writer, requests}
            both = [self._requests(reader, requests), self._answers(answers, writer)]
            tasks = [asyncio.create_task(one) for one in both]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for one in (writer, requests):
                one.transport.abort()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._open -= {writer, requests}
            return
        writer.transport.abort()

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(PIECE):
            writer.write(piece)
            await writer.drain()

    async def _answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(PIECE):
            if self.lose_answers and self._random.random() < self.lose_answers:
                self.lost += 1
                return
            if self.delay:
                await asyncio.sleep(self.delay)
            writer.write(piece)
            await writer.drain()


@contextlib.contextmanager
def proxied(target: int, seed: int = 0) -> Iterator[Proxy]:
    """A proxy for the length of a ``with``."""
    proxy = Proxy(target, seed)
    try:
        yield proxy
    finally:
        proxy.close()
