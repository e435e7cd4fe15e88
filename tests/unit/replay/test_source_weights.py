"""The source weights that a training learns from an archive."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from adapters.parquet.archive import ParquetArchive
from models.source_weights import Revisits
from offline.engines.options import TrainingOptions
from offline.training.parameters import IalsParameters
from replay.source_weights import learned_weights, newest
from schemas.events import LoggedEvent
from schemas.log import topics
from schemas.log.codec import encode_event
from schemas.log.records import Record
from serving.ranking.defaults import default_config

START = 1_700_000_000


@pytest.fixture
def archive(tmp_path):
    """A hundred and fifty people who walk one of six fixed paths, spread over two partitions."""
    random = np.random.default_rng(4)
    made = ParquetArchive(tmp_path)
    records: dict[int, list[Record]] = {0: [], 1: []}
    now = START
    for person in range(150):
        path, partition = int(random.integers(6)), person % 2
        for step in range(6):
            now += 30
            at = datetime.fromtimestamp(now, UTC)
            event = LoggedEvent(
                event_id=f"{person}-{step}", type="view", user_id=f"p{person}", item_id=f"{path}-{step}",
                occurred_at=at, received_at=at,
            )  # fmt: skip
            offset = len(records[partition])
            records[partition].append(Record(topics.EVENTS, partition, offset, now * 1_000, b"", encode_event(event)))
    for rows in records.values():
        made.write("log", rows)
    return made


def options(**changes):
    return TrainingOptions(ials=IalsParameters(factors=4, iterations=2), models=(), threads=1, **changes)


def test_sources_that_predict_the_chosen_items_weigh_most_whatever_was_configured(archive):
    wrong = {"covisitation": 0.1, "session_knn": 0.1, "popular": 3.0, "trending_fortnight": 3.0}
    config = default_config(sources={**default_config().sources, **wrong})
    weights = learned_weights(archive, config, options(), lambda *_: None)
    found = {name: sum(weight) for name, weight in weights.of(4).items()}
    assert found["covisitation"] + found["session_knn"] > found["popular"] + found["trending_fortnight"]
    assert weights.revisits is Revisits.NONE


def test_configured_weights_stay_if_they_explain_the_chosen_items_as_well(archive):
    weights = learned_weights(archive, default_config(), options(), lambda *_: None)
    assert weights.of(4) == {}
    assert weights.revisits is Revisits.NONE


def test_nothing_is_learned_where_nothing_is_to_be_replayed_or_too_little_happened(archive, tmp_path):
    assert learned_weights(archive, default_config(), options(weigh_events=0), lambda *_: None) is None
    empty = ParquetArchive(tmp_path / "empty")
    assert learned_weights(empty, default_config(), options(), lambda *_: None) is None


def test_the_newest_events_of_all_partitions_come_in_time_order(archive):
    events = newest(archive, 100)
    assert len(events) == 100
    assert events == sorted(events, key=lambda event: event.occurred_at)
    assert events[-1].occurred_at.timestamp() == START + 30 * 900
