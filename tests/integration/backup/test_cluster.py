"""A site on real servers is backed up, and restored into new topics and stores."""

from __future__ import annotations

import time

import pytest

from deploy.config import CommandSettings
from deploy.wiring.dependencies import open_dependencies, prepare
from nearline.loop import EmbeddedLoop
from nearline.processor import SIGNALS
from nearline.recovery.verify import verify
from schemas.log import topics
from tests.integration.backup.conftest import contents, events

pytestmark = [pytest.mark.stack, pytest.mark.slow]


@pytest.fixture
def settings(stack, site, tmp_path):
    return CommandSettings(prefix=site, partitions=2, data=tmp_path / "data").with_servers(stack.environment())


@pytest.fixture
def commands(settings, freshet, monkeypatch):
    """Runs commands on these servers, as the site of the settings or as another."""

    def run(*arguments, prefix=settings.prefix):
        given = {"kafka": settings.kafka, "redis": settings.redis, "cassandra": settings.cassandra}
        for name, value in (given | {"prefix": prefix, "partitions": "2"}).items():
            monkeypatch.setenv(f"FRESHET_{name.upper()}", value)
        return freshet(*arguments, "--stack", "cluster", "--data", settings.data.with_name(prefix))

    return run


def fold(dependencies) -> None:
    """Applies the whole log, as workers do."""
    now = 0.0

    def clock() -> float:
        return now

    loop = EmbeddedLoop(dependencies.reader, dependencies.signals, lambda *_: None, clock)
    for _ in range(30):
        now += 2.0
        loop.poll()
        if loop.caught_up():
            return
    pytest.fail("the log was not applied")


@pytest.mark.timeout(300)
def test_a_site_is_restored_with_its_offsets_times_signals_and_models(settings, commands, fill, tmp_path):
    prepare(settings)
    with open_dependencies(settings) as dependencies:
        fill(dependencies)
        fold(dependencies)
        before = contents(dependencies)
        values = {
            (partition, signal): dict(dependencies.signals.scan(partition, signal))
            for names in SIGNALS.values()
            for signal in names
            for partition in range(2)
        }
    code, said = commands("backup", tmp_path / "backup")
    assert code == 0, said
    assert "Note" not in said

    other = settings.model_copy(update={"prefix": f"{settings.prefix}b"})
    code, said = commands("restore", tmp_path / "backup", prefix=other.prefix)
    assert code == 0, said
    assert "folded from the log" not in said
    with open_dependencies(other) as dependencies:
        assert contents(dependencies) == before
        assert values == {place: dict(dependencies.signals.scan(*place)) for place in values}
        assert verify(dependencies.reader, dependencies.signals).equal
        dependencies.writer.append(topics.EVENTS, events(100, seed=2)).result(timeout=30)
        fold(dependencies)
        assert verify(dependencies.reader, dependencies.signals).equal

    code, said = commands("restore", tmp_path / "backup", prefix=other.prefix)
    assert (code, "hold" in said, "--force" in said) == (1, True, True)
    code, said = commands("restore", tmp_path / "backup", "--force", prefix=other.prefix)
    assert code == 0, said
    with open_dependencies(other) as dependencies:
        assert contents(dependencies)["records"] == before["records"]


@pytest.mark.timeout(300)
def test_gaps_in_the_log_are_restored_as_tombstones_so_that_offsets_stay(settings):
    from adapters.kafka.restore import KafkaLogRestorer
    from schemas.log.records import Record

    restorer = KafkaLogRestorer(settings.log_address)
    restorer.create()
    now = time.time_ns() // 1_000_000  # Kafka removes what is older than its retention
    records = [Record(topics.EVENTS, 1, offset, now + offset, b"k", b"v") for offset in (3, 4, 9)]
    assert restorer.write(topics.EVENTS, 1, records)
    assert not restorer.write(topics.EVENTS, 0, [Record(topics.EVENTS, 0, 2_000_000, now, b"k", b"v")])
    restorer.finish()
    with open_dependencies(settings) as dependencies:
        found = dependencies.reader.read(topics.EVENTS, 1, 0, 100)
        assert [record for record in found if record.value is not None] == records
        assert len(found) == 10
        [shifted] = dependencies.reader.read(topics.EVENTS, 0, 0, 100)
        assert (shifted.offset, shifted.timestamp_ms) == (0, now)
