"""Records of remaining users that named an erased guest: a fold of what is left gives the same values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.privacy.erasure import new_erasure
from ingest.privacy.guest_links import GuestLinks, unlink_entry
from ingest.privacy.link_search import Link, LinkSearch
from ingest.privacy.person import Person
from ingest.privacy.secret import SiteSecret
from schemas.erasures import ForgetNotice
from schemas.events import LoggedEvent
from schemas.log import topics
from schemas.log.codec import decode_event, encode_event
from schemas.log.fence import Fence
from schemas.log.records import OffsetToken, Record
from signals import user_codec, users

AT = datetime(2026, 11, 23, tzinfo=UTC)
GUEST, KEEPER = "guest-0", "keeper"
GUESTS = [f"guest-{number}" for number in range(12)]
NOTICE = ForgetNotice(
    event_id="f", subject=f"a:{GUEST}", links=(), log_id="log", partition=1, offset=3, at=AT + timedelta(days=1)
)


class Signals:
    """A signal store of one partition that has applied everything."""

    def __init__(self, values: dict[str, bytes], offset: int) -> None:
        self._values, self._offset = values, offset

    def fence(self, *_: object) -> Fence:
        return Fence("log", self._offset)

    def scan(self, *_: object) -> Any:
        return iter(self._values.items())


def links_of(values: dict[str, bytes], end: int, applied: int | None = None) -> GuestLinks:
    reader = SimpleNamespace(log_id=lambda _: "log", partitions=lambda _: 1, bounds=lambda *_: (0, end))
    signals = Signals(values, end - 1 if applied is None else applied)
    stores: Any = SimpleNamespace(reader=reader, signals=signals, secret=SiteSecret(b"a secret"))
    search = LinkSearch(stores.signals, lambda: 1)
    links = GuestLinks(stores, new_erasure("e", "hash", AT), Person({NOTICE.subject: NOTICE}), search)
    links.are_folded()
    links.found()
    while search.step():
        pass
    return links


def event(number: int, kind: str, **fields: Any) -> LoggedEvent:
    at = AT + timedelta(minutes=number)
    return LoggedEvent(
        event_id=f"e{number}", type=kind, occurred_at=at, received_at=at, **({"user_id": KEEPER} | fields)
    )


def records_of(events: list[LoggedEvent]) -> list[Record]:
    return [
        Record(topics.EVENTS, 0, offset, 0, each.partition_key.encode(), encode_event(each))
        for offset, each in enumerate(events)
    ]


def folded(records: list[Record]) -> bytes:
    value = users.EMPTY
    for record in records:
        value = users.fold(value, decode_event(record.value or b""), record.offset)
    return user_codec.encode(value)


acts = st.lists(
    st.tuples(st.sampled_from(["identify", "view", "retract"]), st.sampled_from(GUESTS)), min_size=1, max_size=40
)


@given(acts)
def test_a_fold_of_what_is_left_equals_the_values_without_the_link(chosen):
    events = [event(number, kind, anonymous_id=guest, item_id="i1") for number, (kind, guest) in enumerate(chosen)]
    records = records_of(events)
    links = links_of({f"u:{KEEPER}": folded(records)}, len(records))
    found = links.found()
    assert found == [Link(KEEPER, GUEST)] * (GUEST in user_codec.decode(folded(records)).links)
    for link in found:
        offset = len(records)
        records.append(Record(topics.EVENTS, 0, offset, 0, b"", unlink_entry("x", link, AT).value))
        links.note(link, OffsetToken(0, offset))
    left = [links.renamed("log", record) for record in records]
    assert GUEST not in str(msgspec.msgpack.decode(folded(records)))
    assert f'"{GUEST}"' not in str([record.value for record in left])
    assert folded(left) == folded(records)


def test_two_records_of_one_guest_keep_one_pseudonym_and_other_guests_their_ids():
    own = [event(0, "identify", anonymous_id=GUEST), event(1, "view", anonymous_id=GUEST, item_id="i1")]
    records = records_of([*own, event(2, "identify", anonymous_id="guest-00")])
    links = links_of({}, 3)
    first, second, other = (decode_event(links.renamed("log", record).value or b"") for record in records)
    assert first.anonymous_id == second.anonymous_id != GUEST
    assert other.anonymous_id == "guest-00"
    assert links.renamed("log", links.renamed("log", records[0])) == links.renamed("log", records[0])


def test_an_event_after_the_erasure_names_a_new_guest_of_the_same_name():
    later = Record(topics.EVENTS, 0, 5, 0, b"", encode_event(event(0, "identify", anonymous_id=GUEST)))
    links = links_of({}, 5)
    assert links.renamed("log", later) == later
    links.note(Link(KEEPER, GUEST), OffsetToken(0, 6))
    assert links.renamed("log", later) != later, "the link that it made was removed after it"
    assert links.renamed("log", later._replace(offset=7)) == later._replace(offset=7)
    assert links.renamed("an earlier log", later._replace(offset=7)) != later._replace(offset=7)


@pytest.mark.parametrize("value", [b"", b"\xff", b"{}", None])
def test_what_is_no_event_stays_as_it_is(value):
    record = Record(topics.EVENTS, 0, 0, 0, b"key", value)
    assert links_of({}, 1).renamed("log", record) == record


def test_links_are_not_looked_for_before_the_workers_have_applied_all_events():
    assert not links_of({}, 3, applied=1).are_folded()
    assert links_of({}, 3, applied=2).are_folded()
    assert links_of({}, 0, applied=-1).are_folded()
