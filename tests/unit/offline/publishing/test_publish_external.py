"""External models become a version, with the other values of the active one."""

from datetime import UTC, datetime

import numpy as np
import pytest

from adapters.sqlite.log import SqliteLogWriter
from adapters.sqlite.models import SqliteModelStore
from models.als import Als
from models.neighbours import Neighbours
from models.structures.lists import ITEMS, USERS, ScoredList
from offline.engines.options import TrainingOptions
from offline.jobs.publish_external import Receiving, receive
from offline.publishing import publish
from offline.publishing.external_models import ExternalModel
from offline.publishing.thresholds import GateThresholds
from schemas.errors import ModelRefused, PointerMoved
from schemas.offline.manifest import DataWindow, Manifest

LIST = ScoredList(("a", "b"), (0.5, 0.25)).save()
NEW = ScoredList(("b",), (1.0,)).save()
NEAR = Neighbours(("a", "b"), np.array([[1], [0]]), np.array([[0.5], [0.5]])).save()
ALS = Als((), ("a", "b"), np.zeros((0, 2)), np.eye(2), 1.0, 1.0).save()


@pytest.fixture
def parts(tmp_path):
    writer, store = SqliteLogWriter(tmp_path), SqliteModelStore(tmp_path)
    yield Receiving(store, writer, TrainingOptions())
    store.close()
    writer.close()


@pytest.fixture
def parent(parts):
    manifest = Manifest(
        version="20200101T000000000Z-1", created_at=datetime(2020, 1, 1, tzinfo=UTC), algorithm="ials",
        engine="single", parameters={"factors": 2}, offsets={"log/events/0": 7}, values=("als", "neighbours"),
        window=DataWindow(interactions=9, users=3, items=2), lists={USERS: 3, ITEMS: 1}, metrics={"NDCG@10": 0.4},
    )  # fmt: skip
    lists = {USERS: iter((name, LIST) for name in ("ann", "bob", "cem")), ITEMS: iter([("a", NEW)])}
    parts.store.write(manifest, {"als": ALS, "neighbours": NEAR}, lists)
    parts.store.activate(manifest.version, None)
    return manifest


def test_what_was_made_replaces_its_kind_and_the_rest_is_the_parents(parts, parent, now):
    other = Neighbours(("a", "b"), np.array([[1], [-1]]), np.array([[0.9], [0]])).save()
    made = receive(parts, "neighbours", ExternalModel(1, {"neighbours": other}, {ITEMS: {"a": NEW, "b": LIST}}), now)
    assert parts.store.active() == made.version
    assert (made.parent, made.algorithm, made.engine) == (parent.version, "neighbours", "elsewhere")
    assert (made.offsets, made.window, made.metrics) == (parent.offsets, parent.window, {})
    assert (made.values, made.lists) == (parent.values, {USERS: 3, ITEMS: 2})
    assert parts.store.value(made.version, "neighbours") == other
    assert parts.store.value(made.version, "als") == ALS
    assert dict(parts.store.entries(made.version, USERS)) == dict.fromkeys(("ann", "bob", "cem"), LIST)
    assert dict(parts.store.entries(made.version, ITEMS)) == {"a": NEW, "b": LIST}


def test_rolling_back_brings_the_parent_back_whole(parts, parent, now):
    receive(parts, "lists", ExternalModel(1, {}, {USERS: {"ann": NEW}}), now)
    assert publish.rollback(parts.store, parts.hints, now).version == parent.version
    assert parts.store.entry(parent.version, USERS, "ann") == LIST


def test_the_first_version_of_all_can_be_made_elsewhere(parts, now):
    made = receive(parts, "neighbours", ExternalModel(1, {"neighbours": NEAR}, {ITEMS: {"a": NEW}}), now)
    assert (parts.store.active(), made.parent) == (made.version, None)
    assert (made.values, made.lists) == (("neighbours",), {ITEMS: 1})


def test_it_goes_through_the_same_gate(parts, parent, now):
    strict = parts._replace(options=TrainingOptions(gate=GateThresholds(require_metric=True)))
    with pytest.raises(ModelRefused, match=r"NDCG@10 was not measured"):
        receive(strict, "lists", ExternalModel(1, {}, {USERS: {"ann": NEW}}), now)
    with pytest.raises(ModelRefused, match="'ann' is not in order"):
        receive(
            parts, "lists", ExternalModel(1, {}, {USERS: {"ann": ScoredList(("a", "b"), (0.0, 1.0)).save()}}), now + 1
        )
    assert parts.store.active() == parent.version


def test_who_is_overtaken_loses_and_leaves_the_winner_whole(parts, parent, now, monkeypatch):
    """Another publisher moves the pointer after this one has written its version and before it points to it."""
    admit = receive.__globals__["gate"].admit
    second = []

    def overtaken(*arguments):
        admit(*arguments)
        if not second:
            second.append(None)
            second[0] = receive(parts, "lists", ExternalModel(1, {}, {USERS: {"ann": NEW}}), now + 1)

    monkeypatch.setattr("offline.publishing.gate.admit", overtaken)
    with pytest.raises(PointerMoved):
        receive(parts, "lists", ExternalModel(1, {}, {USERS: {"ann": ScoredList(("a",), (1.0,)).save()}}), now)
    assert parts.store.active() == second[0].version
    assert parts.store.entry(second[0].version, USERS, "ann") == NEW
