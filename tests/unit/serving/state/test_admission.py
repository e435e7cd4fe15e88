"""An id without item data enters the catalogue once enough different people were at it, with all that was counted of it."""

from __future__ import annotations

from collections import defaultdict
from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.log.fence import Fence
from schemas.ports import SignalChanges
from serving.ranking.defaults import default_config
from serving.state.admission.waiting import Admission, Cell
from serving.state.aggregates import Aggregates
from serving.state.catalogue import Catalogue
from serving.state.merged import Merged
from serving.state.online_state import OnlineState
from signals import aggregates, users
from signals.counters import transition
from signals.users import EMPTY

NOW = 1_795_428_000.0
PARTITIONS = 3
WEIGHTS = default_config().population_weights
relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Nearline:
    """Folds events of several partitions, and remembers what has changed since it was last asked."""

    def __init__(self) -> None:
        self.cells = [dict[str, aggregates.Counters]() for _ in range(PARTITIONS)]
        self.values: dict[str, users.UserValue] = defaultdict(lambda: EMPTY)
        self.changed = [set[str]() for _ in range(PARTITIONS)]
        self.offset = 0

    def happen(self, event, partition: int) -> None:
        before = self.values[event.subject]
        after = self.values[event.subject] = users.fold(before, event, self.offset)
        changed = aggregates.fold(self.cells[partition], [transition(before, after, event, self.offset)])
        self.cells[partition].update(changed)
        self.changed[partition].update(changed)
        self.offset += 1

    def changes(self) -> list[tuple[int, SignalChanges]]:
        packed = [
            {key: aggregates.encode(self.cells[partition][key]) for key in sorted(keys)}
            for partition, keys in enumerate(self.changed)
        ]
        self.changed = [set() for _ in range(PARTITIONS)]
        return [(number, SignalChanges(Fence("log", 1), values, whole=False)) for number, values in enumerate(packed)]

    def whole(self, order=sorted) -> list[tuple[int, SignalChanges]]:
        return [
            (
                number,
                SignalChanges(
                    Fence("log", 1), {key: aggregates.encode(cells[key]) for key in order(cells)}, whole=True
                ),
            )
            for number, cells in enumerate(self.cells)
        ]


def a_process(admit_after: int = 2, **options) -> OnlineState:
    catalogue = Catalogue()
    return OnlineState(catalogue, Aggregates(catalogue, PARTITIONS, WEIGHTS, admit_after=admit_after, **options))


def read(process: OnlineState, changes) -> None:
    for _ in process.apply_aggregates(changes):
        pass


def state_of(process: OnlineState) -> dict[str, object]:
    """What requests read of the process, by item id."""
    catalogue, counts, ids = process.catalogue, process.aggregates, process.catalogue.ids
    every = np.arange(len(ids), dtype=np.int32)
    covisits = {}
    for position in every.tolist():
        found = counts.followers(position)
        covisits[ids[position]] = (
            dict(zip(map(ids.__getitem__, found.items), found.visits, strict=True)) if found else {}
        )
    sessions = counts.sessions._sessions.values()
    return {
        "ids": set(ids),
        "counts": dict(zip(ids, counts.count(every).tolist(), strict=True)),
        "trending": [ids[position] for position in counts.trending],
        "born": dict(zip(ids, catalogue.column("born").tolist(), strict=True)),
        "exposure": dict(zip(ids, counts.exposure.relative(every, NOW).round(6).tolist(), strict=True)),
        "covisits": {item: {other: pytest.approx(v) for other, v in found.items()} for item, found in covisits.items()},
        "sessions": sorted([ids[position] for position in session.positions] for session in sessions),
    }


def traffic(say, random: Random, count: int) -> list[tuple[object, int]]:
    """Events on items without item data, each person in one partition."""
    events = []
    for number in range(count):
        person, at = random.randrange(6), NOW - 1_000 + number
        fields = {"user_id": f"user-{person}", "event_id": f"e{number}"}
        if random.random() < 0.3:
            shown = [f"item-{random.randrange(8)}" for _ in range(3)]
            events.append((say("impression", None, at, impression=shown, **fields), person % PARTITIONS))
        else:
            kind = random.choice(["click", "like", "unlike", "view"])
            events.append((say(kind, random.randrange(8), at, **fields), person % PARTITIONS))
    return events


@settings(relaxed, max_examples=40)
@given(random=st.integers(0, 2**32).map(Random), count=st.integers(1, 60), often=st.floats(0.05, 1.0))
def test_a_process_that_followed_along_knows_what_one_that_reads_everything_at_once_knows(say, random, count, often):
    nearline, followed, visitors = Nearline(), a_process(), defaultdict(set)
    for event, partition in traffic(say, random, count):
        nearline.happen(event, partition)
        if event.item_id is not None:
            visitors[event.item_id].add(event.subject)
        if random.random() < often:
            read(followed, nearline.changes())
            state_of(followed)  # A request that fills the caches changes nothing.
    read(followed, nearline.changes())
    restarted = a_process()
    read(restarted, nearline.whole())
    assert state_of(followed) == state_of(restarted)
    assert set(followed.catalogue.ids) == {item for item, people in visitors.items() if len(people) >= 2}


@settings(relaxed, max_examples=20)
@given(random=st.integers(0, 2**32).map(Random), count=st.integers(1, 60))
def test_admitted_items_count_what_they_count_where_every_id_is_admitted(say, random, count):
    nearline, careful, open_to_all = Nearline(), a_process(), a_process(admit_after=1)
    for event, partition in traffic(say, random, count):
        nearline.happen(event, partition)
    read(careful, nearline.whole())
    read(open_to_all, nearline.whole())
    everything = state_of(open_to_all)
    assert state_of(careful)["counts"].items() <= everything["counts"].items()
    assert state_of(careful)["born"].items() <= everything["born"].items()


def test_one_persons_invented_ids_stay_out_and_take_bounded_memory(say):
    nearline, process = Nearline(), a_process(waiting_bytes=1_000_000)
    for number in range(0, 20_000, 100):
        shown = [f"invented-{each}" for each in range(number, number + 100)]
        nearline.happen(say("impression", None, impression=shown, event_id=f"e{number}"), 0)
    for number in range(2_000):
        nearline.happen(say("view", 100 + number), 0)
    read(process, nearline.changes())
    admission = process.aggregates._admission
    assert len(process.catalogue) == 0
    assert admission._size <= 1_000_000
    assert 0 < len(admission) < 3_000
    assert admission._size == sum(waiting.size for waiting in admission._waiting.values())
    assert sum(len(cells) for cells in process.aggregates._counters) < 100


def test_an_item_that_was_let_go_enters_once_its_people_come_again(say):
    nearline, process = Nearline(), a_process(waiting_bytes=5_000)
    nearline.happen(say("view", 1, user_id="ann"), 0)
    read(process, nearline.changes())
    for number in range(100):
        nearline.happen(say("view", 100 + number, user_id="flood"), 1)
    read(process, nearline.changes())
    for person, partition in (("bob", 1), ("ann", 0)):
        nearline.happen(say("like", 1, user_id=person), partition)
        read(process, nearline.changes())
    assert process.catalogue.ids == ["item-1"]
    assert process.aggregates.count(np.zeros(1, np.int32)) > 0


def test_imported_events_count_at_once_also_where_each_item_has_one_person(say):
    nearline, process = Nearline(), a_process(admit_after=16)
    for number in range(50):
        nearline.happen(say("view", number, user_id=f"user-{number}", imported=True), number % PARTITIONS)
    read(process, nearline.changes())
    assert len(process.catalogue) == 50


def test_an_item_enters_with_its_counts_when_its_item_data_comes(say, an_item):
    nearline, process = Nearline(), a_process()
    nearline.happen(say("like", 3), 0)
    read(process, nearline.changes())
    assert process.aggregates.empty
    process.catalogue.put(an_item(3))
    read(process, nearline.changes())
    assert [process.catalogue.ids[position] for position in process.aggregates.popular] == ["item-3"]


def test_items_that_were_counted_before_people_were_stay_where_they_are(say):
    nearline, process = Nearline(), a_process()
    nearline.happen(say("like", 3), 0)
    for cells in nearline.cells:
        cells.pop("people:item-3", None)
    read(process, nearline.whole())
    assert process.catalogue.ids == ["item-3"]


@pytest.mark.parametrize("order", [sorted, lambda keys: sorted(keys, reverse=True)])
def test_an_item_without_item_data_is_dated_by_its_first_event_in_whatever_order_keys_are_read(say, order):
    nearline, process = Nearline(), a_process(admit_after=1)
    nearline.happen(say("impression", None, NOW - 50, impression=["item-4"], user_id="zoe"), 0)
    nearline.happen(say("view", 4, NOW - 30, user_id="ann", context={"country": "DE"}), 1)
    nearline.happen(say("view", 4, NOW - 40, user_id="bob"), 2)
    read(process, nearline.whole(order))
    [born] = process.catalogue.column("born")
    assert born == NOW - 40


def test_a_bare_item_keeps_its_date_and_one_with_item_data_its_own(an_item):
    catalogue = Catalogue()
    position = catalogue.ensure("bare", 50.0)
    catalogue.ensure("bare")
    catalogue.ensure("bare", 90.0)
    assert catalogue.column("born")[position] == 50.0
    position = catalogue.put(an_item(1))
    born = catalogue.column("born")[position]
    catalogue.ensure("item-1", 50.0)
    assert catalogue.column("born")[position] == born


def test_a_changed_cell_replaces_the_one_that_waits():
    admission = Admission(Catalogue(), 2, 10_000)
    for data in (b"1234567890", b"12"):
        assert admission.holds("a", Cell(0, "exp:a", data))
    admission._catalogue.ensure("a")
    assert list(admission.released()) == [Cell(0, "exp:a", b"12")]
    assert admission._size == 0


def test_a_flood_of_ids_that_wait_is_read_one_key_a_step(say):
    nearline = Nearline()
    for number in range(300):
        nearline.happen(say("view", number, user_id="abuser"), 0)
    merged = Merged.nothing()
    waiting = Aggregates(Catalogue(), PARTITIONS, WEIGHTS, admit_after=2)
    [changes, *_] = [changes for _, changes in nearline.changes()]
    assert sum(1 for _ in waiting.merge(0, changes, merged)) >= 300
    assert not merged.counts
