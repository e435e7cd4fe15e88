"""The training job on a real log, archive and store in a folder."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from adapters.parquet.archive import ParquetArchive
from adapters.sqlite.log import SqliteLogReader, SqliteLogWriter
from adapters.sqlite.models import SqliteModelStore
from models.als import Als
from models.neighbours import Neighbours
from models.popularity import Popularity
from models.source_weights import CURVES, SourceWeights
from models.structures.lists import ITEMS, USERS, ScoredList
from offline.jobs.train import Skipped, TrainingParts, train, version_of
from offline.metrics import TRAININGS
from offline.publishing import gate
from offline.training.parameters import AlsParameters
from schemas.errors import ConfigurationInvalid, ModelRefused, NothingToTrain, ServerMissing
from schemas.events import LoggedEvent
from schemas.log import topics
from schemas.log.codec import encode_event
from schemas.log.records import LogEntry
from schemas.offline.model_hints import decode_hint


@pytest.fixture
def parts(tmp_path, now):
    writer = SqliteLogWriter(tmp_path)
    opened = TrainingParts(
        SqliteLogReader(tmp_path), ParquetArchive(tmp_path / "archive"), SqliteModelStore(tmp_path), writer, lambda: now
    )
    yield opened
    for part in (opened.log, opened.store, writer):
        part.close()


@pytest.fixture
def happen(parts, now):
    """Puts likes on the log: ``(user, item)``, a minute apart; a user who begins with '?' is a guest."""
    began, count = datetime.fromtimestamp(now, UTC) - timedelta(days=30), 0

    def happen(pairs):
        nonlocal count
        entries = []
        for user, item in pairs:
            count += 1
            at = began + timedelta(minutes=count)
            who = {"anonymous_id": user[1:]} if user.startswith("?") else {"user_id": user}
            event = LoggedEvent(event_id=f"e{count}", type="like", item_id=item, occurred_at=at, received_at=at, **who)
            entries.append(LogEntry(event.partition_key.encode(), encode_event(event)))
        parts.hints.append(topics.EVENTS, entries).result()

    return happen


@pytest.fixture
def some(happen, two_tastes):
    entries = two_tastes.matrix.tocoo()
    happen([(f"u{user:02}", f"i{item:02}") for user, item in zip(entries.row, entries.col, strict=True)])
    happen([("?guest", "i00"), ("?guest", "i01")])


def hints_of(parts):
    found = []
    for partition in range(parts.log.partitions(topics.MODELS)):
        found += [decode_hint(record.value) for record in parts.log.read(topics.MODELS, partition, 0, 100)]
    return found


def test_what_happened_becomes_an_active_version(parts, some, small):
    manifest = train(parts, options=small)
    assert parts.store.active() == manifest.version
    assert parts.store.manifest(manifest.version) == manifest
    assert (manifest.engine, manifest.algorithm, manifest.parent) == ("single", "ials", None)
    assert manifest.lists == {USERS: 40, ITEMS: 30}
    assert manifest.window.interactions == 402
    assert sum(manifest.offsets.values()) == 402
    assert [(hint.version, hint.previous, hint.reason) for hint in hints_of(parts)] == [
        (manifest.version, None, "published")
    ]


def test_further_models_are_stored_up_to_so_many_interactions(parts, some, small):
    assert "ease-auto" in train(parts, options=small).values
    beyond = train(parts, force=True, options=replace(small, models_limit=401))
    assert beyond.values == ("als", "neighbours", "popularity")


def test_what_sources_weigh_is_learned_by_a_full_training_and_kept_by_an_incremental_one(parts, some, small):
    weights = SourceWeights(("covisitation",), np.array([3]), np.full((2, 1, CURVES), 0.5))
    weighing = replace(parts, weigh=lambda *_: weights)
    full = train(weighing, options=small)
    further = train(replace(parts, weigh=None), force=True, options=small, incremental=True)
    for version in (full, further):
        assert SourceWeights.load(parts.store.value(version.version, SourceWeights.kind)).save() == weights.save()
    assert SourceWeights.kind not in train(parts, force=True, options=small).values


def test_its_values_and_lists_are_those_of_one_training(parts, some, small):
    version = train(parts, options=small).version
    als = Als.load(parts.store.value(version, "als"))
    assert Neighbours.load(parts.store.value(version, "neighbours")).item_ids == als.item_ids
    assert Popularity.load(parts.store.value(version, "popularity")).item_ids == als.item_ids
    read = ScoredList.load(parts.store.entry(version, USERS, "u07"))
    assert len(read) == 8
    assert read.scores == pytest.approx(als.score_items(als.vector("u07"), read.item_ids).tolist(), rel=1e-5)
    assert len(ScoredList.load(parts.store.entry(version, ITEMS, "i03"))) == 5


def test_guests_are_learned_from_and_not_stored(parts, some, small):
    version = train(parts, options=small).version
    assert len(Als.load(parts.store.value(version, "als")).user_ids) == 40
    assert parts.store.entry(version, USERS, "a:guest") is None


def test_metrics_of_a_hold_out_stand_beside_popularitys(parts, some, small):
    metrics = train(parts, options=small).metrics
    assert 0 < metrics["NDCG@10"] <= 1
    assert 0 <= metrics["popularity NDCG@10"] <= 1


def test_the_same_log_gives_the_same_bytes(parts, some, small, now):
    one = train(parts, now=now, options=small)
    other = train(parts, force=True, now=now, options=small)
    assert one.version != other.version
    for name in one.values:
        assert parts.store.value(one.version, name) == parts.store.value(other.version, name)
    for user in range(40):
        assert parts.store.entry(one.version, USERS, f"u{user:02}") == parts.store.entry(
            other.version, USERS, f"u{user:02}"
        )


def test_without_news_nothing_is_trained_unless_forced(parts, some, small, now):
    first = train(parts, options=small)
    skipped = train(parts, options=small)
    assert isinstance(skipped, Skipped)
    assert skipped.version == first.version
    forced = train(parts, force=True, now=now + 1, options=small)
    assert forced.parent == first.version
    assert parts.store.active() == forced.version


def test_news_are_trained_on(parts, some, happen, small, now):
    train(parts, options=small)
    happen([("newcomer", "i00")])
    manifest = train(parts, now=now + 1, options=small)
    assert parts.store.entry(manifest.version, USERS, "newcomer") is not None


def test_an_empty_log_is_nothing_to_train_on(parts, small):
    failed = TRAININGS.labels("failed")._value.get()
    with pytest.raises(NothingToTrain):
        train(parts, options=small)
    assert parts.store.versions() == []
    assert TRAININGS.labels("failed")._value.get() == failed + 1


def test_what_the_gate_refuses_is_kept_and_not_active(parts, some, small, now, monkeypatch):
    first = train(parts, options=small)
    monkeypatch.setattr(gate, "objections", lambda *_: ["it smells"])
    with pytest.raises(ModelRefused, match=r"it smells.*freshet models promote"):
        train(parts, force=True, now=now + 1, options=small)
    assert parts.store.active() == first.version
    assert len(parts.store.versions()) == 2
    assert len(hints_of(parts)) == 1


def test_too_many_users_are_folded_in_instead_of_stored(parts, some, small, now):
    manifest = train(parts, options=replace(small, stored_users=39))
    als = Als.load(parts.store.value(manifest.version, "als"))
    assert als.user_ids == ()
    assert manifest.lists[USERS] == 40


def test_only_so_many_versions_are_kept(parts, some, small, now):
    few = replace(small, keep_versions=2)
    made = [train(parts, force=True, now=now + i, options=few).version for i in range(4)]
    assert [manifest.version for manifest in parts.store.versions()] == made[:1:-1]


def test_an_engine_that_is_none_is_refused(parts, some, small):
    with pytest.raises(ConfigurationInvalid, match="choose auto, single or spark"):
        train(parts, engine="abacus", options=small)


def test_versions_sort_by_time_and_differ_by_what_they_are_about(now):
    ids = [version_of(now + seconds, {"a": 1}) for seconds in (0, 0.001, 1, 86_400)]
    assert ids == sorted(ids)
    assert version_of(now, {"a": 1}) == version_of(now, {"a": 1}) != version_of(now, {"a": 2})


@pytest.mark.slow
@pytest.mark.stack
@pytest.mark.timeout(600)
def test_spark_publishes_the_same_kind_of_version(parts, some, small):
    pytest.importorskip("pyspark")
    try:
        manifest = train(
            parts, engine="spark", options=replace(small, held_out_users=0, als=AlsParameters(factors=8, iterations=2))
        )
    except ServerMissing as error:
        pytest.skip(str(error))
    assert manifest.engine == "spark"
    assert manifest.lists == {USERS: 40, ITEMS: 30}
    assert manifest.window.interactions == 402
    als = Als.load(parts.store.value(manifest.version, "als"))
    assert als.per_interaction > 0
    read = ScoredList.load(parts.store.entry(manifest.version, USERS, "u07"))
    assert read.scores == pytest.approx(als.score_items(als.vector("u07"), read.item_ids).tolist(), rel=1e-5)


@pytest.mark.slow
@pytest.mark.stack
@pytest.mark.timeout(600)
def test_spark_gives_the_same_kind_of_model(two_tastes):
    pytest.importorskip("pyspark")
    from offline.engines.spark_session import session
    from offline.training.factorization import als_spark

    try:
        spark = session("freshet-test")
    except ServerMissing as error:
        pytest.skip(str(error))
    als = als_spark.train(spark, two_tastes, AlsParameters(factors=2, iterations=6))
    scores = als.user_factors @ als.item_factors.T
    assert all(scores[user, :15].min() > scores[user, 15:].max() for user in range(0, 40, 2))
    line = two_tastes.matrix[7]
    profile = {two_tastes.item_ids[column]: float(w) for column, w in zip(line.indices, line.data, strict=True)}
    np.testing.assert_allclose(als.fold_in(profile), als.vector("u07"), atol=1e-4)
