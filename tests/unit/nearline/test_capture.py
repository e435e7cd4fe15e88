"""A capture gives the values of one commit, whatever is committed while it reads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearline.recovery.in_memory_store import InMemorySignalStore
from nearline.snapshots import capture as capturing
from nearline.snapshots.capture import Capture
from nearline.snapshots.recording import RecordingStore
from schemas.errors import SnapshotAbandoned, StoreUnavailable
from schemas.log.fence import Fence
from schemas.ports import Replacement

LOG = "log"
keys = st.sampled_from([f"k{n}" for n in range(12)])
commits = st.dictionaries(keys, st.one_of(st.none(), st.binary(max_size=3)), max_size=5)


class ScannedSlowly(InMemorySignalStore):
    """A store whose scan reads each value late, as Redis does, and lets others act in between."""

    def __init__(self) -> None:
        super().__init__()
        self.between = lambda: None

    def scan(self, partition, signal):
        for key, _ in list(super().scan(partition, signal)):
            self.between()
            [value] = super().load(partition, signal, [key])
            if value is not None:
                yield key, value

    def load(self, partition, signal, keys):
        loaded = super().load(partition, signal, keys)
        self.between()
        return loaded


class Site:
    """A store with a worker's view of it, and the values after each commit."""

    def __init__(self, first: dict) -> None:
        self.store = ScannedSlowly()
        self.recording = RecordingStore(self.store)
        self.fence: Fence | None = None
        self.states: list[dict] = []
        self.commit(first)

    def commit(self, values: dict) -> None:
        following = Fence(LOG, len(self.states))
        self.recording.commit(0, "users", self.fence, following, values)
        self.fence = following
        self.states.append(dict(InMemorySignalStore.scan(self.store, 0, "users")))

    def capture(self) -> tuple[dict, int]:
        capture = Capture(self.recording, self.store, 0, "users", pause=lambda _: None)
        rows = dict(capture.rows(LOG))
        return {key: value for key, value in rows.items() if value is not None}, capture.offset()


@given(
    first=st.dictionaries(keys, st.binary(max_size=3)),
    later=st.lists(commits, max_size=20),
    last_round=st.integers(0, 3),
)
def test_the_rows_are_the_values_at_the_offset_that_the_capture_names(first, later, last_round):
    site = Site(first)
    waiting = list(later)
    # A commit cannot be made in the last round. The worker would wait for the lock, so this thread must not.
    site.store.between = lambda: site.commit(waiting.pop(0)) if waiting and not _held(site) else None
    before = capturing.LAST_ROUND
    capturing.LAST_ROUND = last_round
    try:
        values, offset = site.capture()
    finally:
        capturing.LAST_ROUND = before
    assert values == site.states[offset]


def _held(site: Site) -> bool:
    return any(record.lock.locked() for record in site.recording._records.values())


def test_a_commit_of_another_process_abandons_the_capture():
    site = Site({"a": b"1", "b": b"2"})
    site.store.between = lambda: _commit_beside(site)
    with pytest.raises(SnapshotAbandoned, match="another process"):
        site.capture()
    assert site.recording._records == {}


def _commit_beside(site: Site) -> None:
    site.store.between = lambda: None
    site.store.commit(0, "users", site.fence, Fence(LOG, 7), {"a": b"other"})


@pytest.mark.parametrize("change", ["reset", "replace", "failing commit"])
def test_a_change_that_is_no_commit_abandons_the_capture(change, monkeypatch):
    site = Site({"a": b"1", "b": b"2"})

    def act() -> None:
        site.store.between = lambda: None
        if change == "reset":
            site.recording.reset(0, "users", site.fence, Fence(LOG, -1))
        elif change == "replace":
            site.recording.replace(0, [Replacement("users", site.fence, Fence(LOG, 5), [{"a": b"9"}])])
        else:
            monkeypatch.setattr(site.store, "commit", _unavailable)
            with pytest.raises(StoreUnavailable):
                site.recording.commit(0, "users", site.fence, Fence(LOG, 5), {"a": b"9"})

    site.store.between = act
    with pytest.raises(SnapshotAbandoned):
        site.capture()


def _unavailable(*_):
    raise StoreUnavailable("away")


def test_a_partition_that_changes_too_fast_is_left_for_later(monkeypatch):
    monkeypatch.setattr(capturing, "LAST_ROUND", 2)
    monkeypatch.setattr(capturing, "MOST_IN_LAST_ROUND", 5)
    site = Site({f"k{n}": b"x" for n in range(10)})
    site.store.between = lambda: None if _held(site) else site.commit({f"k{n}": b"y" for n in range(10)})
    with pytest.raises(SnapshotAbandoned, match="too many"):
        site.capture()


def test_a_partition_without_a_fence_of_this_log_is_not_copied():
    site = Site({"a": b"1"})
    with pytest.raises(SnapshotAbandoned, match="no fence of this log"):
        list(Capture(site.recording, site.store, 0, "users").rows("another log"))
    with pytest.raises(SnapshotAbandoned, match="no fence"):
        list(Capture(site.recording, site.store, 1, "users").rows(LOG))


def test_an_offset_before_the_last_row_is_refused():
    site = Site({"a": b"1"})
    capture = Capture(site.recording, site.store, 0, "users")
    next(capture.rows(LOG))
    with pytest.raises(SnapshotAbandoned, match="not read to its end"):
        capture.offset()
