"""The store of the partition workers counts the commits that are made, and those that the fence refuses."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from nearline import metrics
from nearline.recovery.in_memory_store import InMemorySignalStore
from nearline.snapshots.recording import RecordingStore
from schemas.errors import FenceMoved
from schemas.keys import Signal
from schemas.log.fence import Fence

FIRST, SECOND = Fence("log", 0), Fence("log", 1)


def counts() -> tuple[float, float, float]:
    """Commits made, commits timed, and commits refused since the process began."""
    timed = next(
        sample.value for sample in metrics.COMMIT_SECONDS.collect()[0].samples if sample.name.endswith("_count")
    )
    return metrics.COMMITS.labels(Signal.USERS)._value.get(), timed, metrics.FENCE_MOVED._value.get()


@pytest.fixture(params=[False, True], ids=["alone", "while a partition is copied"])
def store(request):
    with ExitStack() as contexts:
        inner = InMemorySignalStore()
        store = RecordingStore(inner)
        if request.param:
            contexts.enter_context(store.recording(3, Signal.USERS, inner))
        yield store


def test_a_commit_is_counted_and_timed_once(store):
    made, timed, refused = counts()
    store.commit(3, Signal.USERS, None, FIRST, {"u": b"1"})
    assert counts() == (made + 1, timed + 1, refused)


def test_a_commit_on_a_fence_that_moved_counts_as_refused_and_not_as_made(store):
    store.commit(3, Signal.USERS, None, FIRST, {"u": b"1"})
    made, timed, refused = counts()
    with pytest.raises(FenceMoved):
        store.commit(3, Signal.USERS, None, SECOND, {"u": b"2"})
    assert counts() == (made, timed + 1, refused + 1)
