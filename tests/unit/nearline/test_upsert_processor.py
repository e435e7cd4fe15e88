"""Items and attributes of users are stored with their fence. Each upsert is applied once."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearline.processor import processor_for
from schemas.catalogue import Upsert, decode_item, decode_profile, encode_upsert
from schemas.errors import StoreUnavailable
from schemas.keys import Signal
from schemas.log.topics import ANSWERS, ITEMS, USERS

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
LATER = datetime(2026, 2, 1, tzinfo=UTC)


def upsert(op: str, at: datetime = FIRST, key: str = "i", **fields) -> Upsert:
    return Upsert(id=key, op=op, fields=fields, received_at=at)


@pytest.fixture
def refused():
    return []


@pytest.fixture
def worker_on(refused):
    def worker_on(store, topic=ITEMS, log_id="log-one"):
        worker = processor_for(topic, 0, log_id, store, lambda record, reason: refused.append((record.offset, reason)))
        worker.resume()
        return worker

    return worker_on


def test_items_and_profiles_are_kept_with_their_fence(faulty_store, records, worker_on):
    store = faulty_store()
    worker_on(store).process(records([encode_upsert(upsert("put", title="Ico"))], ITEMS), 1.0)
    worker_on(store, USERS).process(records([encode_upsert(upsert("put", attributes={"a": 1}))], USERS), 1.0)
    assert decode_item(store.load(0, Signal.ITEMS, ["i"])[0]).title == "Ico"
    assert decode_profile(store.load(0, Signal.PROFILES, ["i"])[0]).attributes == {"a": 1}
    assert store.fence(0, Signal.ITEMS).offset == store.fence(0, Signal.PROFILES).offset == 0


def test_what_cannot_be_applied_is_refused_and_the_rest_counts(faulty_store, records, worker_on, refused):
    store = faulty_store()
    good, wrong = encode_upsert(upsert("put", title="Ico")), encode_upsert(upsert("put", title=3, key="w"))
    worker_on(store).process(records([b"{", wrong, good], ITEMS), 1.0)
    assert [offset for offset, _ in refused] == [0, 1]
    assert store.fence(0, Signal.ITEMS).offset == 2
    assert store.everything()[Signal.ITEMS].keys() == {"i"}


upserts = st.lists(
    st.builds(
        Upsert,
        id=st.sampled_from(["a", "b", "c"]),
        op=st.sampled_from(["put", "patch", "delete"]),
        fields=st.fixed_dictionaries({}, optional={"title": st.text(max_size=3) | st.none(), "price": st.floats(0, 9)}),
        received_at=st.sampled_from([FIRST, LATER]),
    ),
    min_size=1,
    max_size=30,
)


@given(upserts, st.integers(0, 2**32).map(Random))
def test_deaths_and_restarts_leave_the_bytes_of_one_fold(faulty_store, records, made, random):
    log, store, once = records([encode_upsert(u) for u in made], ITEMS), faulty_store(), faulty_store()
    whole = processor_for(ITEMS, 0, "log-one", once, dead_letters=None)
    whole.resume()
    whole.process(log, 1.0)
    store.error = StoreUnavailable
    store.fate = lambda: random.choice(["before", "after", None])
    at = 0
    while at < len(log):
        worker = processor_for(ITEMS, 0, "log-one", store, dead_letters=None)
        at = worker.resume()
        try:
            while at < len(log):
                batch = log[at : at + random.choice([1, 2, 5])]
                worker.process(batch, 1.0)
                at += len(batch)
        except StoreUnavailable:
            continue
    assert store.everything() == once.everything()


def test_other_topics_have_no_processor(faulty_store):
    with pytest.raises(KeyError):
        processor_for(ANSWERS, 0, "log-one", faulty_store(), dead_letters=None)
