"""The audit log: a record on the topic ``audit`` for each change that a person, a key or a command made."""

from __future__ import annotations

from hashlib import blake2b, sha256
from typing import Any, Final, Literal

import msgspec

from schemas.errors import Undecodable
from schemas.log.records import LogEntry

LONGEST_CHANGE: Final = 16_384
"""Bytes of a change that are kept whole. Of a larger one, the size and the digest are kept."""

ActorKind = Literal["key", "person", "loopback", "insecure", "anonymous", "stranger", "command"]
"""``stranger`` is what earlier releases called ``anonymous``; no record is written with it any more."""


class AuditRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="audit"):
    """Who changed what. ``at`` in seconds since 1970."""

    at: float
    actor_kind: ActorKind
    actor: str
    """The id of a key, the name of an account, or the name of the system user who ran a command."""
    action: str
    """The method and route of a request, such as ``PUT /v1/items/{item_id}``; or a command, such as ``keys revoke``."""
    target: str = ""
    """What was changed, such as ``item 42``. Users are named by ``user_label``, so that an erasure leaves nothing of them here."""
    before: Any = None
    """The value before the change, where whoever changed it knew it. For items, ``freshet audit show`` reads it from the log."""
    after: Any = None
    """The change as it was sent; for users the names of the changed attributes alone."""
    offset: str = ""
    """Where the changed fact stands on its topic, as ``partition:offset``; empty if the change is no record of its own."""
    address: str = ""
    """The client's address; empty for a command."""


def user_label(user_id: str) -> str:
    """The name of a user in the audit log: a short digest, which finds the user's records but does not tell the id."""
    return f"user {blake2b(user_id.encode('utf-8', 'surrogatepass'), digest_size=8).hexdigest()}"


def change_of(body: bytes) -> Any:
    """A request's body as the audit log keeps it: the JSON value, or size and SHA-256 if it is large or no JSON."""
    if len(body) <= LONGEST_CHANGE:
        try:
            return msgspec.json.decode(body) if body else None
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass
    return {"bytes": len(body), "sha256": sha256(body).hexdigest()}


def field_names(change: Any) -> Any:
    """The names of the fields that a change of a user's attributes has, without their values."""
    if not isinstance(change, dict):
        return None
    attributes = change.get("attributes")
    return sorted(attributes) if isinstance(attributes, dict) else sorted(change)


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(AuditRecord)


def audit_entry(record: AuditRecord) -> LogEntry:
    """The record for the topic ``audit``. Records of one actor keep their order."""
    return LogEntry(f"{record.actor_kind}:{record.actor}".encode("utf-8", "replace"), _ENCODER.encode(record))


def decode_audit(value: bytes) -> AuditRecord:
    """Reads a record of the audit log; raises Undecodable if the bytes are not one."""
    try:
        return _DECODER.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Undecodable(f"not an audit record: {error}") from error
