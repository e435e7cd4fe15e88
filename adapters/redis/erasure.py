"""Makes Redis write its files anew after an erasure: they hold the commands that wrote what was removed."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from contextlib import closing
from typing import Final

import redis
import structlog

from adapters.redis.servers import BlockingCommands, redis_servers
from adapters.redis.signals import ANSWER_SECONDS
from schemas.configuration.addresses import Address

_REWRITE_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 0.1
_WRITING: Final = re.compile(rb"(aof_rewrite_in_progress|aof_rewrite_scheduled|rdb_bgsave_in_progress):1")
_SNAPSHOTS_TAKEN: Final = re.compile(rb"rdb_saves:[1-9]")
_FAILED: Final = re.compile(rb"(aof_last_bgrewrite_status|rdb_last_bgsave_status):err")

_log = structlog.get_logger(__name__)


def scrub(address: Address, _: Sequence[bytes]) -> bool:
    """Makes Redis write its files anew, without the commands that wrote what was removed. False: it could not, or not yet."""
    with closing(redis_servers(address.url, address.access, ANSWER_SECONDS).blocking()) as connection:
        try:
            persistence = _persistence(connection)
            commands = ["BGREWRITEAOF"] if b"aof_enabled:1" in persistence else []
            commands += ["BGSAVE"] if _SNAPSHOTS_TAKEN.search(persistence) else []
            return all(_is_written(connection, command) for command in commands)
        except redis.RedisError as error:
            _log.warning("redis_files_not_rewritten", reason=str(error))
            return False


def _is_written(connection: BlockingCommands, command: str) -> bool:
    """Has a file written and waits for it; False if that takes long, or if it failed."""
    connection.on_primaries(command)
    deadline = time.monotonic() + _REWRITE_SECONDS
    while _WRITING.search(persistence := _persistence(connection)):
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_SECONDS)
    return not _FAILED.search(persistence)


def _persistence(connection: BlockingCommands) -> bytes:
    replies: list[str | bytes] = connection.on_primaries("INFO", "persistence")
    return b"\n".join(reply.encode() if isinstance(reply, str) else reply for reply in replies)
