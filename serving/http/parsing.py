"""Reads requests strictly: paths, queries and bodies become plain values; each fault names its field."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final, TypeVar
from urllib.parse import unquote

import msgspec
from fastapi import Request
from pydantic import ValidationError

from schemas.answers import Boost
from schemas.errors import FilterInvalid, InvalidToken
from schemas.events import MAX_BODY_BYTES, Event
from schemas.http.body import read_body, require_json
from schemas.http.cursors import shown_before
from schemas.http.problems import ProblemError, printable
from schemas.http.pseudonymous import pseudonyms_of
from schemas.log.records import OffsetToken
from schemas.values.ids import id_fault, is_placeholder
from schemas.values.pseudonyms import Pseudonyms
from serving.filtering.expressions import MAX_LENGTH, MAX_TESTS, compiled
from serving.http.parameters import (
    FACTOR_PATTERN,
    PIN_PATTERN,
    ListParameters,
    ParameterId,
    RecommendationParameters,
    SessionParameters,
)

P = TypeVar("P", bound=msgspec.Struct)

_REPEATED: Final = frozenset({"exclude", "include", "category", "pin", "boost"})
_WHOLE_NUMBERS: Final = frozenset({"count", "seed"})
_PIN: Final = re.compile(PIN_PATTERN)
_FACTOR: Final = re.compile(FACTOR_PATTERN)
_TOO_LARGE: Final = f"A body may have {MAX_BODY_BYTES} bytes; send fewer events."
_FAULT: Final = re.compile(r"^(?P<message>.*?)(?: - at `(?P<path>.*)`)?$", re.DOTALL)


def path_id(request: Request, prefix: str, suffix: str, field: str) -> tuple[str, bool]:
    """Returns the id in a path, and True if ``suffix`` is part of that id (because its slash was percent-encoded).

    It reads the undecoded path if the server provides it, so an encoded slash is never a separator.
    Raises ProblemError.
    """
    raw: bytes = request.scope.get("raw_path") or b""
    path = raw.decode("latin-1")
    begin = path.find(prefix)
    if begin < 0:
        return valid_id(request.path_params[field], field), False
    remainder = path[begin + len(prefix) :].partition("?")[0]
    suffix_in_id = bool(suffix) and not remainder.endswith(suffix)
    text = unquote(remainder if suffix_in_id or not suffix else remainder[: -len(suffix)])
    return valid_id(text, field), suffix_in_id


def list_fields(parameters: ListParameters) -> dict[str, Any]:
    """Returns the fields of a ``RecommendationRequest`` from the parameters that all lists take."""
    return {
        "count": parameters.count,
        "categories": parameters.category,
        "filter": parameters.filter,
        "context": parameters.context,
    }


def recommendation_fields(parameters: RecommendationParameters, placeholders: frozenset[str]) -> dict[str, Any]:
    """Returns the fields of a ``RecommendationRequest`` from the parameters of recommendations; raises ProblemError."""
    _refuse_placeholders(parameters, placeholders)
    return list_fields(parameters) | {
        "anonymous_id": parameters.anonymous_id,
        "session_id": parameters.session_id,
        "exclude": parameters.exclude,
        "include": parameters.include,
        "diversity": parameters.diversity,
        "random_seed": parameters.seed,
        "shown_hashes": shown_before(parameters.cursor),
        "pins": pins(parameters.pin),
        "boosts": boosts(parameters.boost),
    }


def _refuse_placeholders(parameters: RecommendationParameters, placeholders: frozenset[str]) -> None:
    """Refuses ids that stand for no id: what an earlier version took for one guest was done by many."""
    for field in ("anonymous_id", "session_id"):
        id_ = getattr(parameters, field)
        if id_ is not None and is_placeholder(id_, placeholders):
            detail = f"{field}: '{printable(id_)}' stands for no id; leave the parameter out"
            raise ProblemError(400, "placeholder-id", detail, field=field)


def query(kind: type[P], request: Request) -> P:
    """Returns the query parameters; raises ProblemError, also for a parameter that does not exist."""
    names = kind.__struct_fields__
    fields: dict[str, Any] = {}
    for name, value in request.query_params.multi_items():
        if name not in names and not ("context" in names and name.startswith("context.")):
            raise _unknown(name, names)
        if name in _REPEATED:
            fields.setdefault(name, []).append(value)
        elif name.startswith("context."):
            fields.setdefault("context", {})[name.removeprefix("context.")[:64]] = value[:256]
        else:
            fields[name] = value
    return _with_readable_filter(_convert(kind, fields))


async def body(kind: type[P], request: Request) -> P:
    """Returns the JSON body; raises ProblemError."""
    require_json(request)
    data = await read_body(request.stream(), MAX_BODY_BYTES, _TOO_LARGE)
    try:
        return _with_pseudonyms(_with_readable_filter(_decoded(kind, data)), pseudonyms_of(request.scope))
    except msgspec.ValidationError as error:
        raise _invalid(error) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProblemError(400, "malformed", f"The body is not JSON: {error}") from error


def _with_pseudonyms(parameters: P, pseudonyms: Pseudonyms | None) -> P:
    """Returns the body with pseudonyms in place of ids, also in its events."""
    if pseudonyms is None:
        return parameters
    changes: dict[str, Any] = pseudonyms.in_fields(msgspec.structs.asdict(parameters))
    if isinstance(parameters, SessionParameters):
        changes["events"] = [fields | pseudonyms.in_fields(fields) for fields in parameters.events]
    return msgspec.structs.replace(parameters, **changes)


def _decoded(kind: type[P], data: bytes) -> P:
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        if "got `float`" not in str(error):
            raise
        return msgspec.convert(_with_whole_numbers(msgspec.json.decode(data)), kind)


def _with_whole_numbers(body: Any) -> Any:
    """The body with 20.0 as 20 where a whole number is wanted; to JSON, both are the same."""
    if isinstance(body, dict):
        for name in _WHOLE_NUMBERS & body.keys():
            if isinstance(body[name], float) and body[name].is_integer():
                body[name] = int(body[name])
    return body


def valid_id(text: str, field: str) -> str:
    """Returns an id from a path; raises ProblemError."""
    try:
        return msgspec.convert(text, ParameterId)
    except msgspec.ValidationError as error:
        what = id_fault(text) or "must be 1 to 128 characters without control characters"
        raise ProblemError(400, "invalid", f"{field} {what}", field=field) from error


def token(text: str | None, partitions: int) -> OffsetToken | None:
    """Returns the offset token of ``after``; raises ProblemError."""
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
    """Returns an anonymous user's events; one without any id belongs to this session. Raises ProblemError with field and index."""
    return [_event(fields, index) for index, fields in enumerate(raw)]


def pins(texts: Sequence[str]) -> dict[str, int]:
    """Returns the position of each pinned item, from 1; raises ProblemError."""
    positions: dict[str, int] = {}
    for index, text in enumerate(texts):
        if not _PIN.match(text):
            detail = f"pin: '{printable(text)}' is not item:place, with a place from 1 to 1000"
            raise ProblemError(400, "invalid", detail, field="pin", index=index)
        item_id, _, position = text.rpartition(":")
        positions[item_id] = int(position)
    return positions


def boosts(texts: Sequence[str]) -> tuple[Boost, ...]:
    """Returns the boosts of a request; raises ProblemError. All together are no larger than one filter may be."""
    if sum(map(len, texts)) > MAX_LENGTH:
        raise _too_large_boosts(f"{MAX_LENGTH:,} characters")
    parsed = tuple(_boost(text, index) for index, text in enumerate(texts))
    if sum(compiled(boost.filter).tests for boost in parsed) > MAX_TESTS:
        raise _too_large_boosts(f"{MAX_TESTS} tests")
    return parsed


def _too_large_boosts(limit: str) -> ProblemError:
    return ProblemError(400, "invalid", f"boost: all boosts of a request have at most {limit} together", field="boost")


def _boost(text: str, index: int) -> Boost:
    factor, colon, expression = text.partition(":")
    if not colon or not _FACTOR.fullmatch(factor) or not float(factor):
        detail = f"boost: '{printable(text)}' is not factor:filter, with a factor greater than 0"
        raise ProblemError(400, "invalid", detail, field="boost", index=index)
    _readable(expression, "boost", index)
    return Boost(filter=expression, factor=float(factor))


def _convert(kind: type[P], fields: Mapping[str, Any]) -> P:
    try:
        return msgspec.convert(fields, kind, strict=False)
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


def _unknown(name: str, names: Collection[str]) -> ProblemError:
    """The problem of an unknown parameter, with the name that was probably meant."""
    near = get_close_matches(name, names, 1)
    allowed = ", ".join(sorted(names)) or "none"
    hint = f"did you mean '{near[0]}'?" if near else f"this address takes {allowed}"
    return ProblemError(400, "unknown-parameter", f"There is no parameter '{printable(name)}'; {hint}", field=name)


def _invalid(error: msgspec.ValidationError) -> ProblemError:
    fault = _FAULT.match(str(error))
    message, path = (fault["message"], fault["path"]) if fault else (str(error), None)
    field = re.sub(r"\[(?:\d+|\.\.\.)\]", "", path.removeprefix("$").lstrip(".")) if path else None
    index = re.search(r"\[(\d+)\]", path or "")
    if not field and (field_match := re.search(r"field `(\w+)`", message)):
        field = field_match[1]
    detail = f"{field}: {message}" if field else message
    return ProblemError(400, "invalid", detail, field=field, index=int(index[1]) if index else None)


def _event(raw: dict[str, Any], index: int) -> Event:
    if len(raw) > len(Event.model_fields):
        # pydantic would collect a fault for each of them.
        unknown = next(name for name in raw if name not in Event.model_fields)
        raise ProblemError(
            400,
            "invalid",
            f"events[{index}]: {printable(unknown)} is not a field of events",
            field=f"events.{printable(unknown)}",
            index=index,
        )
    has_id = any(raw.get(name) is not None for name in ("user_id", "anonymous_id", "session_id"))
    try:
        return Event.model_validate(raw if has_id else {**raw, "session_id": "session"})
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        path = ".".join(str(step) for step in fault["loc"])
        field = f"events.{path}" if path else "events"
        detail = f"events[{index}]: {path + ': ' if path else ''}{fault['msg']}"
        raise ProblemError(400, "invalid", detail, field=field, index=index) from error
