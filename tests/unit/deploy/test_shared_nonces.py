"""A signed request counts at one process of a site, and nobody knows while the store is away."""

from __future__ import annotations

import time

import pytest

from adapters.sqlite.nonces import SqliteNonces
from deploy.access.nonces import SharedNonces
from schemas.errors import StoreUnavailable


class Away:
    """A store that does not answer."""

    def __init__(self) -> None:
        self.asked = 0

    def add(self, name: str, seconds: float) -> bool:
        self.asked += 1
        raise StoreUnavailable("Redis is away: start it")

    def close(self) -> None:
        raise StoreUnavailable("Redis is away: start it")


class Slow(Away):
    """A store that answers too late."""

    def add(self, name: str, seconds: float) -> bool:
        time.sleep(1.5)
        return False


async def test_a_nonce_counts_once_for_two_processes_and_after_a_restart(tmp_path):
    one, other = (SharedNonces(lambda: SqliteNonces(tmp_path)) for _ in range(2))
    assert await one("frk_1", "nonce-nonce")
    assert not await other("frk_1", "nonce-nonce")
    assert await other("frk_2", "nonce-nonce")
    for each in (one, other):
        each.close()
    restarted = SharedNonces(lambda: SqliteNonces(tmp_path))
    assert not await restarted("frk_1", "nonce-nonce")
    assert restarted.warnings() == []
    restarted.close()


async def test_it_counts_again_only_when_its_time_stamp_is_too_old_for_any_clock(tmp_path):
    now = [0.0]
    nonces = SharedNonces(lambda: SqliteNonces(tmp_path, lambda: now[0]))
    for at, is_new in ((0.0, True), (599.0, False), (600.0, True)):
        now[0] = at
        assert await nonces("frk_1", "nonce-nonce") == is_new
    nonces.close()


async def test_a_store_that_is_away_is_said_in_readiness_and_asked_again_after_a_pause():
    now, store = [1_000.0], Away()
    nonces = SharedNonces(lambda: store, lambda: now[0])
    assert nonces.warnings() == []
    assert await nonces("frk_1", "one") is None
    assert await nonces("frk_1", "two") is None
    assert store.asked == 1
    assert "Redis is away" in nonces.warnings()[0]
    now[0] += 1.0
    assert await nonces("frk_1", "three") is None
    assert store.asked == 2
    now[0] += 301.0
    assert nonces.warnings() == []
    nonces.close()


@pytest.mark.filterwarnings("ignore")
async def test_a_store_that_is_slow_holds_no_request_for_long():
    nonces = SharedNonces(Slow)
    assert await nonces("frk_1", "one") is None, "its late reply does not count"
    assert "no reply" in nonces.warnings()[0]
