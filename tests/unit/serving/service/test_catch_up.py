"""A cluster's online process is ready once the signals hold what was on the log when it began."""

import pytest

from schemas.errors import LogUnavailable
from schemas.keys import Signal
from schemas.log import topics
from schemas.log.fence import Fence
from serving.service import catch_up
from serving.service.catch_up import CatchUp


class Log:
    """A log of two partitions; the events' first one has begun to forget."""

    def __init__(self, **ends):
        self.ends, self.error = ends, None

    def bounds(self, topic, partition):
        if self.error:
            raise self.error
        return (2 if topic == topics.EVENTS else 0, self.ends.get(f"{topic}{partition}", 0))

    def log_id(self, topic):
        return "log-1"


def fold(signals, signal, partition, offset, log_id="log-1"):
    signals.held_fences[partition, signal] = Fence(log_id, offset)


@pytest.fixture
def signals(shop):
    return shop.signals


async def test_an_empty_log_is_caught_up_with(signals):
    assert await CatchUp(Log(), signals, 2).look() is None


async def test_what_is_behind_is_counted_until_every_signal_has_it(signals):
    looks = CatchUp(Log(events0=10, events1=5, items0=3, users1=1), signals, 2)
    for signal, partition, offset in (
        (Signal.USERS, 0, 9),
        (Signal.USERS, 1, 4),
        (Signal.AGGREGATES, 0, 6),
        (Signal.AGGREGATES, 1, 4),
        (Signal.ITEMS, 0, 2),
        (Signal.PROFILES, 1, 0),
    ):
        assert await looks.look() is not None
        fold(signals, signal, partition, offset)
    assert await looks.look() == "signals are 3 records behind the log"
    fold(signals, Signal.AGGREGATES, 0, 9)
    assert await looks.look() is None


async def test_fences_of_another_log_count_for_nothing(signals):
    fold(signals, Signal.ITEMS, 0, 99, log_id="former")
    assert await CatchUp(Log(items0=3), signals, 2).look() == "signals are 3 records behind the log"


async def test_records_that_come_later_are_not_waited_for(signals):
    log = Log(items0=3)
    looks = CatchUp(log, signals, 2)
    assert await looks.look() is not None
    log.ends["items0"] = 50
    fold(signals, Signal.ITEMS, 0, 2)
    assert await looks.look() is None


@pytest.mark.parametrize("error", [LogUnavailable("Kafka does not answer"), None])
async def test_without_a_log_or_workers_the_process_waits_only_so_long(signals, error):
    log = Log(users0=3)
    log.error = error
    looks = CatchUp(log, signals, 2)
    for _ in range(catch_up._PATIENCE):
        assert ("Kafka does not answer" if error else "3 records behind") in await looks.look()
    assert await looks.look() is None


async def test_progress_is_waited_for_however_long_it_takes(signals):
    looks = CatchUp(Log(items0=500), signals, 2)
    for offset in range(0, 499, 2):
        fold(signals, Signal.ITEMS, 0, offset)
        assert await looks.look() is not None


async def test_the_process_is_ready_once_it_has_read_what_the_signals_caught_up_with(shop, monkeypatch):
    monkeypatch.setattr(catch_up, "_LOOK_SECONDS", 0.01)
    shop.models.publish()
    service = shop.serve(refresh_seconds=0.02, follow_seconds=0.02)
    service = type(service)(service._stores._replace(facts=Log(users1=4)), service._settings)
    await service.start()
    assert any("behind the log" in sentence or "nobody has looked" in sentence for sentence in service.missing())
    fold(shop.signals, Signal.PROFILES, 1, 3)
    for _ in range(500):
        if not service.missing():
            break
        await catch_up.asyncio.sleep(0.01)
    assert service.missing() == []
    await service.stop()
