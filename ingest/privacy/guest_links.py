"""What remaining users keep of an erased guest: links in their values, and the guest's id in their own records.

A remaining user's value loses the link by an event, so a fold of the log gives the same value. In the records that stay, the
guest's id becomes a pseudonym, the same in each: a fold of them gives the same values again, and nobody can tell who it was.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from ingest.privacy.erasure import Erasure
from ingest.privacy.link_search import Link, LinkRequest, LinkSearch
from ingest.privacy.person import Person, decoded_event
from ingest.privacy.stores import ErasureStores
from schemas.events import UNLINK_GUEST, LoggedEvent
from schemas.keys import Signal, anonymous_key, user_key
from schemas.log import topics
from schemas.log.codec import encode_event
from schemas.log.records import LogEntry, OffsetToken, Record


class GuestLinks:
    """The links to the guests of one erasure. Its methods raise the errors of the ports."""

    def __init__(self, stores: ErasureStores, erasure: Erasure, person: Person, search: LinkSearch) -> None:
        self._stores, self._erasure, self._guests, self._search = stores, erasure, person.guests, search
        self._own = person.subjects

    def are_folded(self) -> bool:
        """True once the workers have applied every record that the log had when this was called first."""
        if not self._erasure.link_ends:
            count = self._stores.reader.partitions(topics.EVENTS)
            self._erasure.link_ends = [self._stores.reader.bounds(topics.EVENTS, p)[1] for p in range(count)]
        return all(self._has_applied(partition, end - 1) for partition, end in enumerate(self._erasure.link_ends))

    def are_removed(self) -> bool:
        """True once the workers have applied the event that removes each link."""
        tokens = map(OffsetToken.parse, self._erasure.unlinked.values())
        return all(self._has_applied(token.partition, token.offset) for token in tokens)

    def found(self) -> list[Link] | None:
        """The links in the values of remaining users; None until the values of all users are read."""
        ends = tuple(self._erasure.link_ends)
        found = self._search.find(LinkRequest(self._erasure.receipt.erasure_id, self._guests, ends))
        return None if found is None else [link for link in found if user_key(link.user_id) not in self._own]

    def note(self, link: Link, removed_at: OffsetToken) -> None:
        """Stores where the log removes a link."""
        self._erasure.unlinked[self._hash(link)] = str(removed_at)

    def renamed(self, log_id: str, record: Record) -> Record:
        """A remaining user's record with a pseudonym in place of the guest's id; another record as it is."""
        event = decoded_event(record)
        if event is None or event.anonymous_id not in self._guests or event.subject in self._own:
            return record
        if not self._is_before(log_id, record, event):
            return record
        fields = msgspec.json.decode(record.value or b"")
        fields["anonymous_id"] = f"erased-{self._stores.secret.person(anonymous_key(event.anonymous_id))[:32]}"
        return record._replace(value=msgspec.json.encode(fields))

    def _is_before(self, log_id: str, record: Record, event: LoggedEvent) -> bool:
        """True unless the record is newer than the erasure: then the guest is a new one."""
        if event.type == UNLINK_GUEST or log_id != self._stores.reader.log_id(topics.EVENTS):
            return True
        ends = self._erasure.link_ends
        removed_at = self._erasure.unlinked.get(self._hash(Link(event.user_id or "", event.anonymous_id or "")))
        end = OffsetToken.parse(removed_at).offset if removed_at else -1
        return record.offset <= end or record.partition >= len(ends) or record.offset < ends[record.partition]

    def _has_applied(self, partition: int, offset: int) -> bool:
        begin, _ = self._stores.reader.bounds(topics.EVENTS, partition)
        if offset < begin:
            return True
        fence = self._stores.signals.fence(partition, Signal.USERS)
        return fence is not None and fence.offset >= offset

    def _hash(self, link: Link) -> str:
        return self._stores.secret.person(f"{user_key(link.user_id)}\n{link.guest}")


def unlink_entry(event_id: str, link: Link, now: datetime) -> LogEntry:
    """The event that removes a link from the user's value."""
    event = LoggedEvent(
        event_id=event_id,
        type=UNLINK_GUEST,
        user_id=link.user_id,
        anonymous_id=link.guest,
        occurred_at=now,
        received_at=now,
    )
    return LogEntry(event.partition_key.encode(), encode_event(event))
