"""Validation turns a record from outside into a log entry, or into a rejection that names the field at fault.

Pure functions: the caller passes time and ids. HTTP, importers and the replay of dead letters all use them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from ingest.validation.bounds import MAX_VALUES, NestedFault, check_nested, overfull_field
from ingest.validation.consent import EXEMPT, FIELD, NEEDS_IDS, consent_in, without_ids
from ingest.validation.generalize import DropRules, generalize, rules_for_events, rules_for_users
from ingest.validation.jsontext import Broken, json_kind
from schemas.catalogue import ItemFields, ItemUpsert, Upsert, UserFields, encode_upsert
from schemas.errors import ConfigurationInvalid
from schemas.events import MAX_AHEAD, TYPES, ConsentMode, Event, LoggedEvent, TypeName, accept, range_fault
from schemas.http.problems import printable
from schemas.log.codec import encode_event
from schemas.log.records import LogEntry
from schemas.values.ids import PLACEHOLDERS, Id, is_placeholder, placeholder_set
from schemas.values.pseudonyms import ID_FIELDS, Pseudonyms
from schemas.values.rating_scale import DEFAULT_SCALE, RatingScale

MAX_RECORD_BYTES: Final = 262_144
"""Most bytes of a record. Kafka's default limit for a whole batch is 1 MiB."""

_EVENT: Final = TypeAdapter(Event)
_ID: Final = TypeAdapter(Id)
_TYPE_NAME: Final = TypeAdapter(TypeName)
_NEEDS: Final = {"search": "query", "impression": "impression", "identify": "anonymous_id", "retract": "event_id"}


class Rejection(Exception):
    """One event, item or user is not valid: a code for counting, the fault in words, and the field at fault."""

    def __init__(self, code: str, detail: str, field: str | None = None) -> None:
        super().__init__(f"{field}: {detail}" if field else detail)
        self.code, self.detail, self.field = code, detail, printable(field) if field else None


class Accepted(NamedTuple):
    """A valid event or upsert: its id, its type (for an upsert the operation), and its entry for the log."""

    id: str
    type: str
    entry: LogEntry


class Policy(NamedTuple):
    """The event types that a site allows, the personal data that it drops, its scale of ratings, and what is no id."""

    types: frozenset[str]
    event_rules: DropRules
    user_rules: DropRules
    scale: RatingScale
    placeholders: frozenset[str]
    """Texts that are no id of a guest or a session, as ``placeholder_set`` returns them."""
    imports: bool = False
    """True if the events come from an import, not from a client."""
    consent: ConsentMode = "off"
    """What becomes of events without consent."""
    pseudonyms: Pseudonyms | None = None
    """What is kept in place of the ids of users, guests and sessions; None if they are kept as they are."""

    def kept(self, event: LoggedEvent) -> LoggedEvent:
        """Returns what the log gets of a valid event; raises Rejection if it gets nothing of an event without consent."""
        if self.consent != "off" and event.type not in EXEMPT and not _has_consent(event, self.consent):
            return without_ids(event, self.pseudonyms.digest if self.pseudonyms else None)
        return event if self.pseudonyms is None else _pseudonymous(event, self.pseudonyms)


def policy(
    extra_types: Iterable[str] = (),
    personal_keys: Iterable[str] = (),
    scale: RatingScale = DEFAULT_SCALE,
    placeholders: Iterable[str] = PLACEHOLDERS,
) -> Policy:
    """The default policy with a site's additions; raises ConfigurationInvalid for a name that cannot be a type."""
    extra, keys = frozenset(extra_types), frozenset(personal_keys)
    for name in extra:
        try:
            _TYPE_NAME.validate_python(name)
        except ValidationError as error:
            rule = "lower-case letters, digits and underscores, at most 32"
            raise ConfigurationInvalid(f"'{name}' cannot be an event type: use {rule}") from error
    known = placeholder_set(placeholders)
    return Policy(TYPES | extra, rules_for_events(keys), rules_for_users(keys), scale, known)


def validate_event(raw: Any, now: datetime, new_id: Callable[[], str], allowed: Policy) -> Accepted:
    """The log entry of an event, keyed by its partition key; raises Rejection."""
    fields = _object(raw, "an event")
    _check_type(fields.get("type"), allowed.types)
    event = _validated(_EVENT.validate_python, fields)
    if event.occurred_at is not None and event.occurred_at - now > MAX_AHEAD:
        raise Rejection(
            "ahead", f"is more than {MAX_AHEAD.seconds // 60} minutes ahead of the collector's clock", "occurred_at"
        )
    _check_ids(event, allowed.placeholders)
    if fault := range_fault(event, allowed.scale):
        raise Rejection("out-of-range", fault[1], fault[0])
    if event.properties:
        _check_nested(event.properties, "properties")
        event.properties = generalize(event.properties, allowed.event_rules, now)
    if event.context:
        _check_nested(event.context, "context")
        event.context = generalize(event.context, allowed.event_rules, now)
    logged = accept(event, event.event_id or new_id(), now, imported=allowed.imports)
    kept = allowed.kept(logged)
    return Accepted(logged.event_id, logged.type, _entry(kept.partition_key, encode_event(kept)))


def _pseudonymous(event: LoggedEvent, pseudonyms: Pseudonyms) -> LoggedEvent:
    """Returns the event with pseudonyms in place of its ids, which are valid."""
    return msgspec.structs.replace(
        event, **{name: pseudonyms.of(id_) for name in ID_FIELDS if (id_ := getattr(event, name)) is not None}
    )


def _has_consent(event: LoggedEvent, mode: ConsentMode) -> bool:
    """Returns whether an event has consent; raises Rejection if nothing of it may be kept under this mode."""
    consent, field = consent_in(event.context), f"context.{FIELD}"
    if consent is None:
        raise Rejection("consent-value", "must be true or granted, false or denied", field)
    if consent:
        return True
    if mode == "refuse":
        raise Rejection(
            "no-consent", "this site keeps only events with consent: send true once the person agrees", field
        )
    if event.type in NEEDS_IDS:
        detail = f"without consent no ids are kept, and an event of the type {event.type} says nothing without them"
        raise Rejection("no-consent", detail, field)
    return False


def validate_item(raw: Any, now: datetime) -> Accepted:
    """The log entry of an item in a bulk request, a ``put``; raises Rejection."""
    item = _validated(ItemUpsert.model_validate, _object(raw, "an item"))
    return _upsert(item.item_id, "put", item, now)


def put_item(item_id: str, raw: Any, now: datetime) -> Accepted:
    """The log entry that replaces an item's fields; raises Rejection."""
    fields = _validated(ItemFields.model_validate, _object(raw, "an item"))
    return _upsert(check_id(item_id, "item_id"), "put", fields, now)


def patch_item(item_id: str, raw: Any, now: datetime) -> Accepted:
    """The log entry of a merge patch of an item (RFC 7396: null removes); raises Rejection."""
    fields = _validated(ItemFields.model_validate, _object(raw, "a merge patch"))
    return _upsert(check_id(item_id, "item_id"), "patch", fields, now)


def put_user(user_id: str, raw: Any, now: datetime, allowed: Policy) -> Accepted:
    """The log entry that replaces a user's attributes, generalized; raises Rejection."""
    return _upsert(check_id(user_id, "user_id"), "put", _user_fields(raw, now, allowed), now)


def patch_user(user_id: str, raw: Any, now: datetime, allowed: Policy) -> Accepted:
    """The log entry of a merge patch of a user, generalized; raises Rejection."""
    return _upsert(check_id(user_id, "user_id"), "patch", _user_fields(raw, now, allowed), now)


def delete(id_: str, field: str, now: datetime) -> Accepted:
    """The log entry that removes an item or a user; raises Rejection if the id is not valid."""
    return _accepted(Upsert(id=check_id(id_, field), op="delete", received_at=now))


def check_id(value: str, field: str) -> str:
    """Returns the id; raises Rejection if it is not valid."""
    return _validated(_ID.validate_python, value, field)


def _user_fields(raw: Any, now: datetime, allowed: Policy) -> UserFields:
    user = _validated(UserFields.model_validate, _object(raw, "a user"))
    if user.attributes:
        _check_nested(user.attributes, "attributes")
        user.attributes = generalize(user.attributes, allowed.user_rules, now)
    return user


def _upsert(id_: str, op: Any, fields: BaseModel, now: datetime) -> Accepted:
    # Checked before the dump, which walks it too.
    _check_nested(getattr(fields, "attributes", None), "attributes")
    changed = fields.model_dump(exclude={"item_id"}, exclude_unset=op == "patch", exclude_none=op == "put")
    return _accepted(Upsert(id=id_, op=op, fields=changed, received_at=now))


def _accepted(upsert: Upsert) -> Accepted:
    return Accepted(upsert.id, upsert.op, _entry(upsert.id, encode_upsert(upsert)))


def _entry(key: str, value: bytes) -> LogEntry:
    if len(value) > MAX_RECORD_BYTES:
        raise Rejection("too-large", f"is {len(value):,} bytes as JSON; at most {MAX_RECORD_BYTES:,} are taken")
    return LogEntry(key.encode(), value)


def _object(raw: Any, noun: str) -> dict[str, Any]:
    if isinstance(raw, dict):
        _check_size(raw)
        return raw
    if isinstance(raw, Broken):
        raise Rejection("not-json", f"this line is not JSON: {raw.reason}")
    raise Rejection("not-an-object", f"{noun} must be a JSON object, not {json_kind(raw)}")


def _check_type(name: Any, types: frozenset[str]) -> None:
    if isinstance(name, str) and name not in types:
        raise Rejection(
            "unknown-type", f"'{printable(name)}' is not known; use one of {', '.join(sorted(types))}", "type"
        )


def _check_size(raw: dict[str, Any]) -> None:
    if (field := overfull_field(raw)) is not None:
        raise Rejection("too-many-values", f"with it this object holds more than {MAX_VALUES:,} values", field)


def _check_ids(event: Event, placeholders: frozenset[str]) -> None:
    """Refuses what broken clients send in place of an id, where it would join visitors that are not one."""
    fields = ("anonymous_id", "session_id", "user_id") if event.type == "identify" else ("anonymous_id", "session_id")
    for field in fields:
        id_ = getattr(event, field)
        if id_ is not None and is_placeholder(id_, placeholders):
            detail = f"'{printable(id_)}' stands for no id, so it would join different visitors; leave the field out"
            raise Rejection("placeholder-id", detail, field)


_T = TypeVar("_T")


def _validated(validate: Callable[[Any], _T], value: Any, field: str = "") -> _T:
    try:
        return validate(value)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise _rejection(fault, field, value) from error


def _rejection(error: ErrorDetails, field: str, value: Any) -> Rejection:
    location = error["loc"][:2] if error["loc"][:1] == ("context",) else error["loc"]
    field_name = (
        printable(".".join(map(str, location))) or field or (_needed(value) if error["type"] == "value_error" else "")
    )
    if error["type"] == "extra_forbidden":
        return Rejection(
            "unknown-field",
            "is not a field here; put what else is worth keeping under properties or attributes",
            field_name,
        )
    if len(error["loc"]) > 2 and location != error["loc"]:
        return Rejection("scalar", "must be text, a finite number, true, false or null", field_name)
    return Rejection(
        error["type"].replace("_", "-"), printable(error["msg"].removeprefix("Value error, ")), field_name or None
    )


def _needed(value: Any) -> str:
    """The field that the event lacks, if a rule about the whole event failed."""
    if not isinstance(value, Mapping):
        return ""
    if not (value.get("user_id") or value.get("anonymous_id") or value.get("session_id")):
        return "user_id"
    kind = value.get("type")
    if kind == "identify" and not value.get("user_id"):
        return "user_id"
    return _NEEDS.get(str(kind), "value" if value.get("item_id") else "item_id")


def _check_nested(value: Any, path: str) -> None:
    try:
        check_nested(value)
    except NestedFault as fault:
        raise Rejection(fault.code, fault.detail, fault.path_from(path)) from fault


def utc(seconds: float) -> datetime:
    """Seconds since 1970 as a time in UTC."""
    return datetime.fromtimestamp(seconds, UTC)
