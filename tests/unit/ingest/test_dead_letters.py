from __future__ import annotations

import json

import pytest

from ingest import dead_letters
from ingest.validation.validate import policy
from schemas.errors import DeadLetterRefused, LetterUnknown, LogBusy
from schemas.log.codec import decode_event
from schemas.log.dead_letters import encode_dead_letter, refuse
from schemas.log.records import LogEntry, OffsetToken, Record

GOOD = b'{"event_id":"e1","type":"view","user_id":"ann","item_id":"i","occurred_at":"2026-11-23T10:00:00Z","received_at":"2026-11-23T10:00:00Z"}'


@pytest.fixture
def bury(memory_log, noon):
    """Puts a record on the dead letters."""

    def put(value: bytes, offset: int = 4, topic: str = "events", key: bytes = b"ann"):
        letter = refuse(Record(topic, 3, offset, 0, key, value), "nearline", "not an event", noon)
        memory_log.append("deadletters", [LogEntry(key, encode_dead_letter(letter))])

    return put


@pytest.fixture
def replay(memory_log, noon):
    def again(number: int = 0, mended: bytes | None = None):
        found = list(dead_letters.letters(memory_log, resolved=True))[number]
        return dead_letters.replay(found, memory_log, noon, policy(), mended)

    return again


def test_letters_are_listed_with_their_place_reason_and_bytes(bury, memory_log):
    bury(b"\xff{")
    (found,) = dead_letters.letters(memory_log)
    assert (found.letter.topic, found.letter.partition, found.letter.offset) == ("events", 3, 4)
    assert (found.letter.reason, found.letter.original()) == ("not an event", b"\xff{")
    assert dead_letters.find(memory_log, found.token) == found
    with pytest.raises(LetterUnknown, match="7:99"):
        dead_letters.find(memory_log, OffsetToken(7, 99))


def test_a_letter_that_is_valid_by_now_is_replayed_to_its_topic_and_no_longer_listed(bury, replay, memory_log):
    bury(GOOD)
    done = replay()
    (record,) = memory_log.all("events")
    assert (done.topic, done.token, done.again) == ("events", OffsetToken(record.partition, record.offset), False)
    assert (record.key, decode_event(record.value).event_id) == (b"ann", "e1")
    assert list(dead_letters.letters(memory_log)) == []
    (resolved,) = dead_letters.letters(memory_log, resolved=True)
    assert resolved.resolution.token == str(done.token)


def test_a_letter_that_was_replayed_is_not_replayed_again(bury, replay, memory_log):
    bury(GOOD)
    first, second = replay(), replay()
    assert (second.token, second.again) == (first.token, True)
    assert len(memory_log.all("events")) == 1


def test_two_letters_of_one_refused_record_are_one(bury, replay, memory_log):
    bury(GOOD)
    bury(GOOD)
    assert len(list(dead_letters.letters(memory_log))) == 1
    replay()
    assert list(dead_letters.letters(memory_log)) == []


def test_a_letter_can_be_mended(bury, replay, memory_log):
    bury(b'{"type":"vew","user_id":"ann","item_id":"i"}')
    with pytest.raises(DeadLetterRefused, match="type: 'vew' is not known"):
        replay()
    replay(mended=b'{"type":"view","user_id":"ann","item_id":"i"}')
    (record,) = memory_log.all("events")
    assert decode_event(record.value).type == "view"


def test_a_mended_event_without_an_id_gets_the_same_one_every_time(bury, replay, memory_log):
    bury(b"{")
    mended = b'{"type":"view","user_id":"ann","item_id":"i"}'
    # The second write is lost, as if the command had been killed: it is replayed again.
    memory_log.refusals = [set(), LogBusy("killed here")]
    with pytest.raises(LogBusy):
        replay(mended=mended)
    replay(mended=mended)
    first, second = (decode_event(record.value) for record in memory_log.all("events"))
    assert first.event_id == second.event_id


@pytest.mark.parametrize("value", [b"", b"\xff", b"[]", b"null", b'{"type":"view"}'])
def test_what_is_still_not_valid_stays_a_letter(bury, replay, memory_log, value):
    bury(value)
    with pytest.raises(DeadLetterRefused):
        replay()
    assert not memory_log.all("events")
    assert len(list(dead_letters.letters(memory_log))) == 1


@pytest.mark.parametrize("op", ["put", "patch", "delete"])
@pytest.mark.parametrize("topic", ["items", "users"])
def test_items_and_users_are_replayed_too(bury, replay, memory_log, topic, op):
    bury(json.dumps({"id": "x", "op": op, "fields": {"attributes": {"age": 34}}}).encode(), topic=topic)
    replay()
    (record,) = memory_log.all(topic)
    assert (record.key, json.loads(record.value)["op"]) == (b"x", op)
    assert (b'"age"' in record.value) == (topic == "items" and op != "delete")


def test_records_of_derived_topics_are_not_replayed(bury, replay):
    bury(b"{}", topic="answers")
    with pytest.raises(DeadLetterRefused, match="made anew"):
        replay()


def test_what_is_no_letter_is_passed_over(bury, memory_log):
    memory_log.append("deadletters", [LogEntry(b"k", b"\xff"), LogEntry(b"k", b"{}")])
    bury(GOOD)
    assert len(list(dead_letters.letters(memory_log))) == 1


def test_a_cut_letter_is_replayed_only_with_the_whole_record(memory_log, noon, replay):
    record = Record("events", 3, 4, 0, b"ann", GOOD)
    memory_log.append("deadletters", [LogEntry(b"ann", encode_dead_letter(refuse(record, "nearline", "no", noon, 20)))])
    with pytest.raises(DeadLetterRefused, match=f"a part of its {len(GOOD)} bytes"):
        replay()
    assert replay(mended=GOOD).topic == "events"
