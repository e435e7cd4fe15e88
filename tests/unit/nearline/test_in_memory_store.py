"""The store in memory behaves like the stores on disk, because real stores are verified against it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.sqlite.signals import SqliteSignalStore
from nearline.recovery.in_memory_store import InMemorySignalStore
from schemas.errors import FenceMoved
from schemas.keys import Signal
from schemas.log.fence import Fence

fences = st.builds(Fence, st.sampled_from(["one", "two"]), st.integers(-1, 1))
places = st.tuples(st.integers(0, 1), st.sampled_from([Signal.USERS, Signal.AGGREGATES]))
values = st.dictionaries(st.sampled_from("abc"), st.none() | st.binary(max_size=2))
commits = st.tuples(st.just("commit"), places, st.none() | fences, fences, values)
resets = st.tuples(st.just("reset"), places, st.none() | fences, fences)


def outcome(store, step) -> object:
    call, (partition, signal), *arguments = step
    try:
        getattr(store, call)(partition, signal, *arguments)
    except FenceMoved as moved:
        return moved.actual
    return store.fence(partition, signal), dict(store.scan(partition, signal)), store.load(partition, signal, "cab")


@settings(max_examples=50)
@given(st.lists(commits | resets, max_size=12))
def test_memory_and_disk_agree_on_every_step(steps):
    with TemporaryDirectory() as folder:
        memory, disk = InMemorySignalStore(), SqliteSignalStore(Path(folder))
        with closing(disk):
            for step in steps:
                assert outcome(memory, step) == outcome(disk, step)
