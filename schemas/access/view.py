"""The view of the topic ``access`` that every HTTP process keeps in memory: keys, accounts, and how far the topic was read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import msgspec

from schemas.access.accounts import Account, decode_account, name_of_record
from schemas.access.keys import AccessKey, decode_key, id_in, id_of_record
from schemas.errors import Undecodable
from schemas.log import topics
from schemas.log.reading import records_between
from schemas.log.records import Record
from schemas.ports import LogReader

V = TypeVar("V")


class AccessView(msgspec.Struct, frozen=True, kw_only=True):
    """The keys of a site as of one moment; an immutable value that the reader of the topic replaces."""

    log_id: str = ""
    """The log that was read; empty before the first read."""
    positions: dict[int, int] = {}
    """By partition, the offset of the next record to read."""
    keys: dict[str, AccessKey] = {}
    """By id; revoked and expired ones too."""
    accounts: dict[str, Account] = {}
    """By name; disabled ones too."""
    had_keys: bool = False
    """True once any key or account was seen, on this log or one before it. From then on access is never open."""

    @property
    def is_known(self) -> bool:
        """True if the topic was read to its end once."""
        return bool(self.log_id)

    def find(self, text: str) -> AccessKey | None:
        """The key with this text, live or not; None if there is none."""
        key = self.keys.get(id_in(text) or "")
        return key if key is not None and key.matches(text) else None

    def origins(self, now: float) -> frozenset[str]:
        """The origins of all live keys."""
        return frozenset(origin for key in self.keys.values() if key.is_live(now) for origin in key.origins)


def read_on(view: AccessView, reader: LogReader, *, check_log: bool = False) -> AccessView:
    """Returns the view with everything that the topic holds now; the same object if nothing is new.

    Blocks. Raises LogUnavailable. If the log was replaced by another, its records alone count: that is noticed where the
    topic is shorter than before, and with ``check_log`` always.
    """
    bounds = {
        partition: reader.bounds(topics.ACCESS, partition) for partition in range(reader.partitions(topics.ACCESS))
    }
    moved_back = any(view.positions.get(partition, 0) > end for partition, (_, end) in bounds.items())
    if check_log or moved_back or not view.is_known:
        view = _of_log(view, reader.log_id(topics.ACCESS))
    records: list[Record] = []
    for partition, (_, end) in bounds.items():
        records += records_between(reader, topics.ACCESS, partition, view.positions.get(partition, 0), end)
    if not records and view.positions.keys() == bounds.keys():
        return view
    applied = with_records(view, records)
    return msgspec.structs.replace(applied, positions={partition: end for partition, (_, end) in bounds.items()})


def with_records(view: AccessView, records: Iterable[Record]) -> AccessView:
    """The view with these records applied, in their order; records of other kinds change nothing."""
    keys, accounts, had_keys = dict(view.keys), dict(view.accounts), view.had_keys
    for record in records:
        if (name := name_of_record(record.key)) is not None:
            _put(accounts, name, _account(record, name))
        elif (id_ := id_of_record(record.key)) is not None:
            _put(keys, id_, _key(record, id_))
        else:
            continue
        had_keys = True
    return msgspec.structs.replace(view, keys=keys, accounts=accounts, had_keys=had_keys)


def _put(values: dict[str, V], name: str, value: V | None) -> None:
    # What cannot be read may be a revocation, so its key or account is refused from here on.
    if value is None:
        values.pop(name, None)
    else:
        values[name] = value


def _key(record: Record, id_: str) -> AccessKey | None:
    try:
        key = decode_key(record.value or b"")
    except Undecodable:
        return None
    return key if key.id == id_ else None


def _account(record: Record, name: str) -> Account | None:
    try:
        account = decode_account(record.value or b"")
    except Undecodable:
        return None
    return account if account.name == name else None


def _of_log(view: AccessView, log_id: str) -> AccessView:
    """The view from which reading this log goes on: the same one, or one without keys."""
    return view if view.log_id == log_id else AccessView(log_id=log_id, had_keys=view.had_keys)
