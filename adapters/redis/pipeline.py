"""Single connections to Redis. A command costs a fraction of one through a client with a pool."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import redis
from hiredis import pack_command


class _Command(NamedTuple):
    """A packed command and the future of its reply."""

    packed: bytes
    answer: asyncio.Future[Any]


class PipelinedConnection:
    """Sends commands in batches. Commands that arrive while replies are outstanding form the next batch.

    For one event loop, and for commands that may be sent twice: if the connection is dead, the commands without a reply
    are sent once more on a new connection.
    """

    def __init__(self, make_connection: Callable[[], Any]) -> None:
        """Makes the driver's connection; it opens at first use."""
        # Kept for its pool: a connection behind sentinels refers to it weakly.
        self._make_connection = make_connection
        self._connection: Any = make_connection()
        self._pending: list[_Command] = []
        self._running: asyncio.Task[None] | None = None

    def execute(self, *command: str | int | bytes) -> asyncio.Future[Any]:
        """The reply of Redis, as a future; it raises redis.RedisError."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        self._pending.append(_Command(_packed(command), answer))
        if self._running is None or self._running.done():
            self._running = loop.create_task(self._run())
        return answer

    async def close(self) -> None:
        """Closes the connection. Commands without a reply are cancelled."""
        if self._running is not None:
            self._running.cancel()
        await self._connection.disconnect(nowait=True)

    async def _run(self) -> None:
        while self._pending:
            batch, self._pending = self._pending, []
            try:
                try:
                    await self._exchange(batch)
                except redis.ConnectionError:
                    # A restart of Redis leaves a dead connection, which shows only when it is used.
                    await self._connection.disconnect(nowait=True)
                    await self._exchange([command for command in batch if not command.answer.done()])
            except (redis.RedisError, OSError) as error:
                await self._connection.disconnect(nowait=True)
                _fail(batch, error if isinstance(error, redis.RedisError) else redis.ConnectionError(str(error)))

    async def _exchange(self, batch: list[_Command]) -> None:
        """Sends all commands, then reads all replies; raises redis.RedisError, OSError."""
        await self._connection.connect()
        await self._connection.send_packed_command(b"".join([command.packed for command in batch]))
        for command in batch:
            try:
                answer = await self._connection.read_response()
            except redis.ResponseError as error:
                _fail([command], error)
            else:
                # The caller may have cancelled meanwhile.
                if not command.answer.done():
                    command.answer.set_result(answer)


class BlockingConnection:
    """Sends one command at a time and blocks until its reply. Any thread may use it.

    For commands that may be sent twice: if the connection is dead, the command is sent once more on a new connection.
    """

    def __init__(self, make_connection: Callable[[], Any]) -> None:
        """Makes the driver's connection; it opens at first use."""
        # Kept for its pool: a connection behind sentinels refers to it weakly.
        self._make_connection = make_connection
        self._connection: Any = make_connection()
        self._exchanging = threading.Lock()

    def execute(self, *command: str | int | bytes) -> Any:
        """The reply of Redis; raises redis.RedisError."""
        packed = [_packed(command)]
        with self._exchanging:
            try:
                return self._exchange(packed)
            except redis.ConnectionError:
                self._connection.disconnect()
                return self._exchange(packed)

    def on_primaries(self, *command: str) -> list[Any]:
        """The reply of the one server; raises redis.RedisError."""
        return [self.execute(*command)]

    def close(self) -> None:
        """Closes the connection."""
        with self._exchanging:
            self._connection.disconnect()

    def _exchange(self, packed: list[bytes]) -> Any:
        # A connection behind sentinels asks them for the master only here.
        self._connection.connect()
        self._connection.send_packed_command(packed)
        return self._connection.read_response()


def _packed(command: tuple[Any, ...]) -> bytes:
    """Packs a command as the connection would, ten times as fast."""
    packed: bytes = pack_command(command)
    return packed


def _fail(batch: list[_Command], error: redis.RedisError) -> None:
    for command in batch:
        if not command.answer.done():
            command.answer.set_exception(error)
