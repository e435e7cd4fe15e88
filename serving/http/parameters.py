"""Parameters and bodies of requests, read strictly; each fault names its field."""

from __future__ import annotations

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
from schemas.statistics import MOST, Period
from serving.filtering.expressions import compiled
from serving.service.cursors import shown_before

P = TypeVar("P", bound=msgspec.Struct)
Params = list[tuple[str, str]]

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern=NO_CONTROL)]
Count = Annotated[int, msgspec.Meta(ge=1, le=500, description="How many items.")]
MAX_SESSION_EVENTS: Final = 200
MAX_SCORED: Final = 1_000
_MAX_SEED: Final = 2**32 - 1
_REPEATED: Final = frozenset({"exclude", "include", "category", "pin", "boost"})
_LAST_PLACE: Final = 1_000
_FACTOR: Final = re.compile(r"\d{1,6}(?:\.\d{1,6})?")
_AT: Final = re.compile(r"^(?P<what>.*?)(?: - at `(?P<path>.*)`)?$", re.DOTALL)


class ListParameters(msgspec.Struct, frozen=True, kw_only=True):
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


class RecommendationParameters(ListParameters, frozen=True, kw_only=True):
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


class SessionParameters(RecommendationParameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``POST /v1/sessions/recommendations``."""

    events: Annotated[list[dict[str, Any]], msgspec.Meta(max_length=MAX_SESSION_EVENTS)]


class RankParameters(RecommendationParameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``POST /v1/users/{user_id}/rank``."""

    item_ids: Annotated[tuple[Id, ...], msgspec.Meta(min_length=1, max_length=500, description="The list to order.")]
    count: Count = 500


class SimilarParameters(ListParameters, frozen=True, kw_only=True):
    """Parameters of ``GET /v1/items/{item_id}/similar``."""

    user_id: Annotated[Id, msgspec.Meta(description="Leave out what this user has seen.")] | None = None


class TogetherParameters(SimilarParameters, frozen=True, kw_only=True):
    """Parameters of ``GET /v1/items/{item_id}/together``."""

    type: Annotated[
        Literal["viewed", "bought"],
        msgspec.Meta(description="What people went on to, or what they put in the same basket."),
    ] = "viewed"


class ScoresParameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of ``POST /v1/users/{user_id}/scores``."""

    item_ids: Annotated[list[Id], msgspec.Meta(min_length=1, max_length=MAX_SCORED)]


class NoParameters(msgspec.Struct, frozen=True, kw_only=True):
    """The query of a call that takes none."""


class UserItemParameters(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of calls about a user and an item."""

    item_id: Annotated[Id, msgspec.Meta(description="The item in question.")]


class SimilarUsersParameters(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of ``GET /v1/users/{user_id}/similar``."""

    count: Count = 20


class CatalogueParameters(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of ``GET /v1/items``."""

    query: Annotated[str, msgspec.Meta(max_length=512, description="Words to look for.")] | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 50
    cursor: Annotated[str, msgspec.Meta(max_length=64, description="next_cursor of the page before.")] | None = None


class StatisticsParameters(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of ``GET /v1/statistics/{kind}``."""

    period: Annotated[Period, msgspec.Meta(description="Counted back from the newest event that was counted.")] = (
        "month"
    )
    category: Annotated[tuple[str, ...], msgspec.Meta(max_length=1, description="One category; all without it.")] = ()
    count: Annotated[int, msgspec.Meta(ge=1, le=MOST, description="How many items.")] = 20


def list_fields(parameters: ListParameters) -> dict[str, Any]:
    """Returns the fields of a ``RecommendationRequest`` that every list's parameters give."""
    return {
        "count": parameters.count,
        "categories": parameters.category,
        "filter": parameters.filter,
        "context": parameters.context,
    }


def recommendation_fields(parameters: RecommendationParameters) -> dict[str, Any]:
    """Returns the fields of a ``RecommendationRequest`` that recommendations' parameters give; raises ProblemError."""
    return list_fields(parameters) | {
        "anonymous_id": parameters.anonymous_id,
        "session_id": parameters.session_id,
        "exclude": parameters.exclude,
        "include": parameters.include,
        "diversity": parameters.diversity,
        "seed": parameters.seed,
        "shown": shown_before(parameters.cursor),
        "pins": pins(parameters.pin),
        "boosts": boosts(parameters.boost),
    }


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
    return _with_readable_filter(_convert(kind, found))


def from_body(kind: type[P], body: bytes) -> P:
    """Read a JSON body; raises ProblemError."""
    try:
        return _with_readable_filter(msgspec.json.decode(body, type=kind))
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


def _convert(kind: type[P], found: Mapping[str, Any]) -> P:
    try:
        return msgspec.convert(found, kind, strict=False)
    except msgspec.ValidationError as error:
        raise _invalid(error) from error


def _with_readable_filter(parameters: P) -> P:
    if isinstance(parameters, ListParameters) and parameters.filter:
        _readable(parameters.filter, "filter")
    return parameters


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
