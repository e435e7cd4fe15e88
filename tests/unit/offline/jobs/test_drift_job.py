"""Each kind of drift leads to a training, with its reason."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest

from adapters.parquet.archive import ParquetArchive
from adapters.sqlite.jobs import SqliteDocuments
from models.als import Als
from models.structures.lists import USERS, ScoredList
from offline.jobs import drift_job
from offline.jobs.schedule import SchedulePolicy, ScheduleState, VersionState, due
from schemas.events import LoggedEvent
from schemas.log import topics
from schemas.log.codec import encode_event
from schemas.log.records import Record
from schemas.offline.manifest import DataWindow, Manifest

AT = datetime(2026, 1, 1, tzinfo=UTC)
PEOPLE, EACH = 60, 10
ITEMS = tuple(f"i{number:02}" for number in range(20))
SIDE = PEOPLE * EACH


class Quiet:
    """Stands for a run under way."""

    def progress(self, step, done, total):
        """Show nothing."""


@pytest.fixture
def archive(tmp_path):
    return ParquetArchive(tmp_path / "archive")


@pytest.fixture
def documents(tmp_path):
    documents = SqliteDocuments(tmp_path)
    yield documents
    documents.close()


@pytest.fixture
def happen(archive):
    """Sixty people who do ten things each, from an offset on; ``changed`` says what is otherwise."""

    def happen(begin, people=PEOPLE, each=EACH, kind="like", items=ITEMS):
        records = []
        for number in range(people * each):
            user = f"u{number % people:02}"
            event = LoggedEvent(
                event_id=f"e{begin + number}", type=kind, user_id=user, item_id=items[number % len(items)],
                occurred_at=AT, received_at=AT,
            )  # fmt: skip
            offset = begin + number
            records.append(Record(topics.EVENTS, 0, offset, 1_000 + offset, user.encode(), encode_event(event)))
        archive.write("log", records)

    return happen


@pytest.fixture
def publish(store):
    """A version and its parent, the same but for what ``parents`` says of the parent."""

    def publish(gap_before=0.5, gap=0.5, parents_list=ITEMS, parents_turn=0.0):
        users = tuple(f"u{number:02}" for number in range(PEOPLE))
        angles = np.linspace(0, 3, PEOPLE)
        people = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        things = np.random.default_rng(1).normal(size=(len(ITEMS), 2))
        turned = things @ np.array(
            [[np.cos(parents_turn), -np.sin(parents_turn)], [np.sin(parents_turn), np.cos(parents_turn)]]
        )
        for version, parent, items, factors, lost in (
            ("v1", None, parents_list, turned, gap_before),
            ("v2", "v1", ITEMS, things, gap),
        ):
            manifest = Manifest(
                version=version, created_at=AT, algorithm="als", engine="single", parameters={},
                window=DataWindow(interactions=1, users=1, items=1), offsets={"log/events/0": SIDE}, values=("als",),
                lists={USERS: PEOPLE}, metrics={"NDCG@10": 1 - lost, "training NDCG@10": 1.0}, parent=parent,
            )  # fmt: skip
            scores = tuple(np.linspace(1, 0.1, len(items)).tolist())
            packed = ScoredList(items, scores).save()
            als = Als(users, ITEMS, people, factors, 1.0, 1.0)
            store.write(manifest, {"als": als.save()}, {USERS: ((user, packed) for user in users)})
        store.activate("v2", None)

    return publish


@pytest.fixture
def watched(archive, store, documents):
    """The report of a look, as the schedule reads it back."""

    def watched():
        drift_job.watch(archive, store, documents, Quiet(), AT)
        return drift_job.last_report(documents)

    return watched


def test_where_nothing_has_changed_everything_is_measured_and_nothing_is_a_reason(happen, publish, watched):
    happen(0)
    happen(SIDE)
    publish()
    report = watched()
    assert report.reasons == []
    assert set(report.observed) == {"types", "items", "activity", "overlap", "scores", "gap", "gap_before"}


@pytest.mark.parametrize(
    ("later", "versions", "said"),
    [
        ({"kind": "purchase"}, {}, "the kinds of events have shifted"),
        ({"items": ("x1", "x2", "x3")}, {}, "what people come to has shifted"),
        ({"people": 3, "each": 200}, {}, "how much people do has shifted"),
        ({}, {"parents_list": tuple(f"o{number}" for number in range(20))}, "lists have drifted"),
        ({}, {"parents_turn": 3.0}, "scores have drifted"),
        ({}, {"gap_before": 0.3, "gap": 0.6}, "it remembers more than it learns"),
    ],
)
def test_each_trigger_is_seen_and_leads_to_a_training_that_says_so(happen, publish, watched, later, versions, said):
    happen(0)
    happen(SIDE, **later)
    publish(**versions)
    [reason] = watched().reasons
    assert reason.startswith(said)

    full = VersionState(version="v2", trained_at=AT.timestamp(), seen=100_000, new=1)
    now = AT.timestamp() + 1
    [job] = [
        each
        for each in due(SchedulePolicy(), ScheduleState(now=now, events=1, active=full, full=full, drift=[reason]))
        if each.job == "train"
    ]
    assert (job.cause, job.reason) == ("drift", reason)


def test_the_gap_is_that_of_full_trainings_for_incremental_ones_are_not_measured(happen, publish, store, watched):
    happen(0)
    publish(gap_before=0.3, gap=0.6)
    after = msgspec.structs.replace(store.manifest("v2"), version="v3", parent="v2", metrics={}, values=(), lists={})
    store.write(after, {}, {})
    store.activate("v3", "v2")
    report = watched()
    assert (report.observed["gap"], report.observed["gap_before"]) == (pytest.approx(0.6), pytest.approx(0.3))


def test_too_few_new_events_are_chance_and_a_first_version_has_nothing_to_be_compared_with(happen, store, watched):
    happen(0)
    happen(SIDE, people=3, each=2, kind="purchase")
    manifest = Manifest(
        version="v1", created_at=AT, algorithm="als", engine="single", parameters={}, values=(), lists={},
        window=DataWindow(interactions=1, users=1, items=1), offsets={"log/events/0": SIDE},
    )  # fmt: skip
    store.write(manifest, {}, {})
    store.activate("v1", None)
    report = watched()
    assert (report.reasons, report.observed) == ([], {})


def test_without_a_version_there_is_no_report(watched):
    assert watched() is None
