"""A disk that loses its power keeps what was synced, and nothing else."""

from __future__ import annotations

import os
import sqlite3

import pytest

from tests.faults.disk import CannotMount, mounted


@pytest.fixture
def disk(tmp_path):
    try:
        with mounted(tmp_path, 32) as disk:
            yield disk
    except CannotMount as error:
        pytest.skip(str(error))


def test_what_was_synced_survives_a_power_cut_and_what_was_only_written_does_not(disk):
    for name, synced in (("synced", True), ("written", False)):
        with (disk.path / name).open("wb") as file:
            file.write(b"x" * 10_000)
            file.flush()
            if synced:
                os.fsync(file.fileno())
    disk.lose_power()
    disk.unmount()
    disk.mount()
    assert (disk.path / "synced").read_bytes() == b"x" * 10_000
    assert not (disk.path / "written").exists()


@pytest.mark.parametrize(("synchronous", "kept"), [("FULL", 100), ("OFF", 0)])
def test_a_power_cut_takes_the_commits_that_sqlite_did_not_sync(disk, synchronous, kept):
    database = sqlite3.connect(disk.path / "log.sqlite", isolation_level=None)
    for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "CREATE TABLE records (value)"):
        database.execute(statement)
    database.execute(f"PRAGMA synchronous={synchronous}")
    for number in range(100):
        database.execute("INSERT INTO records VALUES (?)", (number,))
    disk.lose_power()
    with pytest.raises(sqlite3.Error):
        database.execute("INSERT INTO records VALUES (100)")
    database.close()
    disk.unmount()
    disk.mount()
    database = sqlite3.connect(disk.path / "log.sqlite")
    assert database.execute("SELECT count(*) FROM records").fetchone() == (kept,)
    database.close()


def test_a_full_disk_takes_nothing_until_it_is_freed(disk):
    disk.fill()
    with pytest.raises(OSError, match="No space left"):
        (disk.path / "more").write_bytes(b"x" * 10_000)
    disk.free()
    (disk.path / "more").write_bytes(b"x" * 10_000)
