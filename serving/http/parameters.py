"""What requests may ask: parameters and bodies, read strictly, each fault naming its field."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from pydantic import ValidationError

from schemas.answers import Boost
from schemas.errors import FilterInvalid, InvalidToken
from schemas.events import NO_CONTROL, Event
from schemas.http.problems import ProblemError, printable
from schemas.log.records import OffsetToken
from serving.filtering.expressions import compiled

P = TypeVar("P", bound=msgspec.Struct)
Params = list[tuple[str, str]]

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern=NO_CONTROL)]
Count = Annotated[int, msgspec.Meta(ge=1, le=500, description="How many items.")]
MAX_SHOWN: Final = 1_000
"""Items on the pages before that a cursor can carry; there is no next page after them."""
MAX_SESSION_EVENTS: Final = 200
MAX_SCORED: Final = 1_000
_MAX_SEED: Final = 2**32 - 1
_REPEATED: Final = frozenset({"exclude", "include", "category", "pin", "boost"})
_LAST_PLACE: Final = 1_000
_FACTOR: Final = re.compile(r"\d{1,6}(?:\.\d{1,6})?")
_AT: Final = re.compile(r"^(?P<what>.*?)(?: - at `(?P<path>.*)`)?$", re.DOTALL)


class ListAsk(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters that every list of recommendations takes."""

    count: Count = 20
    category: Annotated[tuple[Id, ...], msgspec.Meta(max_length=64, description="Only items in any of these.")] = ()
    filter: Annotated[str, msgspec.Meta(description='Only items that fulfil it: genres has "RPG" and price < $max')] = (
        ""
    )
    context: Annotated[
        dict[str, str],
        msgspec.Meta(description="context.<name>: device, country, page, …; $<name> in filters, and kept on record."),
    ] = {}


class RecommendAsk(ListAsk, frozen=True, kw_only=True):
    """Parameters of ``GET /v1/users/{user_id}/recommendations``."""

    after: Annotated[str, msgspec.Meta(description="Offset token of an event that the answer must know.")] | None = None
    anonymous_id: Annotated[Id, msgspec.Meta(description="The guest that this user was.")] | None = None
    session_id: Annotated[Id, msgspec.Meta(description="The visit that is going on.")] | None = None
    exclude: Annotated[tuple[Id, ...], msgspec.Meta(max_length=500, description="Items to leave out.")] = ()
    diversity: Annotated[
        float, msgspec.Meta(ge=0, le=1, description="0: by score alone; 1: as unlike each other as can be.")
    ] = 0.0
    cursor: Annotated[str, msgspec.Meta(max_length=8_192, description="next_cursor of the page before.")] | None = None
    include: Annotated[tuple[Id, ...], msgspec.Meta(max_length=1_000, description="Rank these items alone.")] = ()
    pin: Annotated[
        tuple[str, ...],
        msgspec.Meta(
            max_length=50, description="item:place, from 1: an item that stands at this place, come what may."
        ),
    ] = ()
    boost: Annotated[
        tuple[str, ...],
        msgspec.Meta(max_length=10, description='factor:filter, as 1.5:genres has "RPG": multiplies scores.'),
    ] = ()
    seed: Annotated[int, msgspec.Meta(ge=0, le=_MAX_SEED, description="Explore: the same seed, the same list.")] = 0


class SessionAsk(RecommendAsk, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``POST /v1/sessions/recommendations``."""

    events: Annotated[list[dict[str, Any]], msgspec.Meta(max_length=MAX_SESSION_EVENTS)]


class RankAsk(RecommendAsk, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``POST /v1/users/{user_id}/rank``."""

    item_ids: Annotated[tuple[Id, ...], msgspec.Meta(min_length=1, max_length=500, description="The list to order.")]
    count: Count = 500


class SimilarAsk(ListAsk, frozen=True, kw_only=True):
    """Parameters of ``GET /v1/items/{item_id}/similar``."""

    user_id: Annotated[Id, msgspec.Meta(description="Leave out what this user has seen.")] | None = None


class TogetherAsk(SimilarAsk, frozen=True, kw_only=True):
    """Parameters of ``GET /v1/items/{item_id}/together``."""

    type: Annotated[
        Literal["viewed", "bought"],
        msgspec.Meta(description="What people went on to, or what they put in the same basket."),
    ] = "viewed"


class ScoresAsk(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``POST /v1/users/{user_id}/scores``."""

    item_ids: Annotated[list[Id], msgspec.Meta(min_length=1, max_length=MAX_SCORED)]


class NothingAsk(msgspec.Struct, frozen=True, kw_only=True):
    """The query of a call that takes none."""


class ItemAsk(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of calls about a user and an item."""

    item_id: Annotated[Id, msgspec.Meta(description="The item in question.")]


class UsersAsk(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of ``GET /v1/users/{user_id}/similar``."""

    count: Count = 20


class ItemsAsk(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of ``GET /v1/items``."""

    query: Annotated[str, msgspec.Meta(max_length=512, description="Words to look for.")] | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 50
    cursor: Annotated[str, msgspec.Meta(max_length=64, description="next_cursor of the page before.")] | None = None


def from_query(kind: type[P], params: Params) -> P:
    """Read query parameters; raises ProblemError, for one that there is not too."""
    known = kind.__struct_fields__
    found: dict[str, Any] = {}
    for name, value in params:
        if name not in known and not ("context" in known and name.startswith("context.")):
            raise _unknown(name, known)
        if name in _REPEATED:
            found.setdefault(name, []).append(value)
        elif name.startswith("context."):
            found.setdefault("context", {})[name.removeprefix("context.")[:64]] = value[:256]
        else:
            found[name] = value
    return _supported(_convert(kind, found))


def from_body(kind: type[P], body: bytes) -> P:
    """Read a JSON body; raises ProblemError."""
    try:
        return _supported(msgspec.json.decode(body, type=kind))
    except msgspec.ValidationError as error:
        raise _invalid(error) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProblemError(400, "malformed", f"The body is not JSON: {error}") from error


def valid_id(text: str, field: str) -> str:
    """An id of a path; raises ProblemError."""
    try:
        return msgspec.convert(text, Id)
    except msgspec.ValidationError as error:
        detail = f"{field} must be 1 to 128 characters without control characters"
        raise ProblemError(400, "invalid", detail, field=field) from error


def token(text: str | None, partitions: int) -> OffsetToken | None:
    """The token of ``after``; raises ProblemError."""
    if text is None:
        return None
    try:
        parsed = OffsetToken.parse(text)
    except InvalidToken as error:
        raise ProblemError(400, "invalid", f"after: {error}", field="after") from error
    if parsed.partition >= partitions:
        detail = f"after: there is no partition {parsed.partition}; this log has {partitions}"
        raise ProblemError(400, "invalid", detail, field="after")
    return parsed


def session_events(raw: list[dict[str, Any]]) -> list[Event]:
    """A guest's events; one without any id belongs to this session. Raises ProblemError with field and index."""
    return [_event(each, index) for index, each in enumerate(raw)]


def page(cursor: str | None) -> bytes:
    """The hashes of the items shown before, from a cursor; raises ProblemError."""
    if cursor is None:
        return b""
    try:
        shown = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise ProblemError(400, "invalid", "cursor is not one that an answer gave", field="cursor") from error
    if len(shown) % 4 or len(shown) > 4 * (MAX_SHOWN + 500):
        raise ProblemError(400, "invalid", "cursor is not one that an answer gave", field="cursor")
    return shown


def next_page(shown: bytes) -> str | None:
    """The cursor of the page after these; None where it would grow too long."""
    return base64.urlsafe_b64encode(shown).rstrip(b"=").decode() if len(shown) <= 4 * MAX_SHOWN else None


def pins(texts: Sequence[str]) -> dict[str, int]:
    """Places by item; raises ProblemError."""
    found: dict[str, int] = {}
    for index, text in enumerate(texts):
        item_id, _, place = text.rpartition(":")
        if not (item_id and place.isascii() and place.isdigit() and 1 <= int(place[:4]) <= _LAST_PLACE):
            detail = f"pin: '{printable(text)}' is not item:place, with a place from 1 to {_LAST_PLACE}"
            raise ProblemError(400, "invalid", detail, field="pin", index=index)
        found[item_id] = int(place)
    return found


def boosts(texts: Sequence[str]) -> tuple[Boost, ...]:
    """Rules of a request; raises ProblemError."""
    return tuple(_boost(text, index) for index, text in enumerate(texts))


def _boost(text: str, index: int) -> Boost:
    factor, colon, expression = text.partition(":")
    if not colon or not _FACTOR.fullmatch(factor) or not float(factor):
        detail = f"boost: '{printable(text)}' is not factor:filter, with a factor greater than 0"
        raise ProblemError(400, "invalid", detail, field="boost", index=index)
    _readable(expression, "boost", index)
    return Boost(filter=expression, factor=float(factor))


def offset(cursor: str | None) -> int:
    """Where a page of the catalogue begins; raises ProblemError."""
    if cursor is None:
        return 0
    if not (cursor.startswith("o") and cursor[1:].isascii() and cursor[1:].isdigit() and len(cursor) < 12):
        raise ProblemError(400, "invalid", "cursor is not one that an answer gave", field="cursor")
    return int(cursor[1:])


def next_offset(start: int) -> str:
    """The cursor of the page that begins there."""
    return f"o{start}"


def _convert(kind: type[P], found: Mapping[str, Any]) -> P:
    try:
        return msgspec.convert(found, kind, strict=False)
    except msgspec.ValidationError as error:
        raise _invalid(error) from error


def _supported(ask: P) -> P:
    if isinstance(ask, ListAsk) and ask.filter:
        _readable(ask.filter, "filter")
    return ask


def _readable(expression: str, field: str, index: int | None = None) -> None:
    try:
        compiled(expression)
    except FilterInvalid as error:
        detail = f"{field}: {error}"
        raise ProblemError(400, "invalid", detail, field=field, index=index, column=error.column) from error


def _unknown(name: str, known: Collection[str]) -> ProblemError:
    """A parameter that there is not, with the one that was probably meant."""
    near = get_close_matches(name, known, 1)
    taken = ", ".join(sorted(known)) or "none"
    hint = f"did you mean '{near[0]}'?" if near else f"this address takes {taken}"
    return ProblemError(400, "unknown-parameter", f"There is no parameter '{printable(name)}'; {hint}", field=name)


def _invalid(error: msgspec.ValidationError) -> ProblemError:
    found = _AT.match(str(error))
    what, path = (found["what"], found["path"]) if found else (str(error), None)
    field = re.sub(r"\[(?:\d+|\.\.\.)\]", "", path.removeprefix("$").lstrip(".")) if path else None
    place = re.search(r"\[(\d+)\]", path or "")
    if not field and (named := re.search(r"field `(\w+)`", what)):
        field = named[1]
    detail = f"{field}: {what}" if field else what
    return ProblemError(400, "invalid", detail, field=field, index=int(place[1]) if place else None)


def _event(raw: dict[str, Any], index: int) -> Event:
    named = raw.keys() & {"user_id", "anonymous_id", "session_id"}
    try:
        return Event.model_validate(raw if named else {**raw, "session_id": "session"})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        field = f"events.{place}" if place else "events"
        detail = f"events[{index}]: {place + ': ' if place else ''}{first['msg']}"
        raise ProblemError(400, "invalid", detail, field=field, index=index) from error
