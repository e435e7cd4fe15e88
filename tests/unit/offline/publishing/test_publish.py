from concurrent.futures import Future
from datetime import UTC, datetime

import pytest

from offline.metrics import HINTS_LOST, MODEL_TRAINED_AT
from offline.publishing import publish
from schemas.errors import LogBusy, LogUnavailable, PointerMoved, VersionUnknown
from schemas.log import topics
from schemas.log.records import OffsetToken
from schemas.offline.manifest import DataWindow, Manifest
from schemas.offline.model_hints import ModelHint, decode_hint

AT = datetime(2026, 1, 1, tzinfo=UTC)


class Hints:
    """Keeps what is appended; fails on request."""

    def __init__(self, answer=None, refusal=None):
        self.sent, self._answer, self._refusal = [], answer, refusal

    def append(self, topic, entries):
        if self._refusal is not None:
            raise self._refusal
        assert topic == topics.MODELS
        self.sent += [decode_hint(entry.value) for entry in entries]
        future = Future()
        future.set_result([self._answer or OffsetToken(0, len(self.sent))] * len(entries))
        return future

    def close(self):
        """Nothing is open."""


@pytest.fixture
def write(store):
    def write(*versions, parents=None):
        for version in versions:
            store.write(
                Manifest(
                    version=version, created_at=AT, algorithm="als", engine="single", parameters={}, offsets={},
                    window=DataWindow(interactions=1, users=1, items=1), values=(), lists={},
                    parent=(parents or {}).get(version),
                ),
                {},
                {},
            )  # fmt: skip

    return write


def test_publishing_moves_the_pointer_and_says_so(store, write, now):
    write("v1", "v2")
    hints = Hints()
    publish.activate(store, hints, "v1", None, now)
    publish.activate(store, hints, "v2", "v1", now)
    assert store.active() == "v2"
    at = datetime.fromtimestamp(now, UTC)
    assert hints.sent == [
        ModelHint(version="v1", previous=None, reason="published", at=at),
        ModelHint(version="v2", previous="v1", reason="published", at=at),
    ]
    assert MODEL_TRAINED_AT._value.get() == AT.timestamp()


def test_who_loses_the_race_says_nothing(store, write, now):
    write("v1", "v2")
    store.activate("v1", None)
    hints = Hints()
    with pytest.raises(PointerMoved):
        publish.activate(store, hints, "v2", None, now)
    assert hints.sent == []
    assert store.active() == "v1"


@pytest.mark.parametrize("hints", [Hints(answer=LogUnavailable("gone")), Hints(refusal=LogBusy("full"))])
def test_a_hint_that_is_lost_is_counted_and_the_pointer_has_moved(store, write, now, hints):
    write("v1")
    before = HINTS_LOST._value.get()
    publish.activate(store, hints, "v1", None, now)
    assert store.active() == "v1"
    assert HINTS_LOST._value.get() == before + 1


def test_an_unknown_version_cannot_be_promoted(store, now):
    with pytest.raises(VersionUnknown):
        publish.promote(store, Hints(), "v9", now)


def test_rolling_back_goes_to_the_parent_and_then_to_its_parent(store, write, now):
    write("v1", "v2", "v3", "v4", parents={"v4": "v2", "v2": "v1"})
    store.activate("v4", None)
    hints = Hints()
    assert publish.rollback(store, hints, now).version == "v2"
    assert publish.rollback(store, hints, now).version == "v1"
    assert [hint.reason for hint in hints.sent] == ["rolled_back", "rolled_back"]
    with pytest.raises(VersionUnknown, match="oldest"):
        publish.rollback(store, hints, now)


def test_rolling_back_past_an_expired_parent_goes_to_the_newest_older_version(store, write, now):
    write("v1", "v2", "v4", "v5", parents={"v4": "v3"})
    store.activate("v4", None)
    assert publish.rollback(store, Hints(), now).version == "v2"


def test_there_is_nothing_to_roll_back_from_before_the_first_publish(store, now):
    with pytest.raises(VersionUnknown, match="train one first"):
        publish.rollback(store, Hints(), now)


def test_promoting_takes_any_whole_version(store, write, now):
    write("v1", "v2")
    store.activate("v2", None)
    hints = Hints()
    publish.promote(store, hints, "v1", now)
    assert store.active() == "v1"
    assert hints.sent[0].reason == "promoted"


def test_old_versions_expire_but_never_the_active_one_nor_its_parent(store, write):
    write("v1", "v2", "v3", "v4", "v5", "v6", parents={"v3": "v1"})
    store.activate("v3", None)
    assert publish.expire(store, keep=2) == ["v4", "v2"]
    assert [manifest.version for manifest in store.versions()] == ["v6", "v5", "v3", "v1"]
    assert publish.expire(store, keep=2) == []


def test_what_is_held_ready_does_not_expire_and_can_be_promoted(store, write, now):
    write("v1", "v2", "v3", "v4")
    store.activate("v4", None)
    store.hold("v1")
    assert publish.expire(store, keep=1) == ["v3", "v2"]
    publish.promote(store, Hints(), "v1", now)
    assert store.active() == "v1"


def test_what_is_promoted_while_others_expire_stays(store, write, monkeypatch):
    write("v1", "v2", "v3")
    store.activate("v1", None)
    monkeypatch.setattr(store, "active", lambda: None)
    assert publish.expire(store, keep=1) == ["v2"]
    assert {manifest.version for manifest in store.versions()} == {"v1", "v3"}
