"""Reads a column of times. A number is a time only if its unit is known: by its size, or because a person said it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

from ingest.import_pipeline.formats.columns import CellInvalid, is_plain, read_number
from schemas.errors import ConfigurationInvalid

TimeReader = Callable[[Any], float]
"""Returns seconds since 1970 of a cell; raises CellInvalid."""

_FIRST: Final = datetime(1990, 1, 1, tzinfo=UTC).timestamp()
_LAST: Final = datetime(2100, 1, 1, tzinfo=UTC).timestamp()
"""Validation refuses every time after now. Up to here, the sizes of the units do not overlap."""
_FIRST_NANOS: Final = datetime(1995, 1, 1, tzinfo=UTC).timestamp()
"""Ticks of .NET (100 ns since year 1) of today would be nanoseconds of 1990."""
_EPOCHS: Final = (
    (1.0, _FIRST, _LAST),
    (1e3, _FIRST * 1e3, _LAST * 1e3),
    (1e6, _FIRST * 1e6, _LAST * 1e6),
    (1e9, _FIRST_NANOS * 1e9, _LAST * 1e9),
)
_UNITS: Final[Mapping[str, float]] = {"unix": 1.0, "unix-ms": 1e3, "unix-us": 1e6, "unix-ns": 1e9}
_ANY_DATE: Final = (-62_135_596_800.0, 253_402_300_800.0)
"""Years 1 to 9999."""
_EXCEL_1970: Final = 25_569
_DAY: Final = 86_400
_ZONE: Final = r"(?P<zone>Z|UTC|GMT|[+-]\d\d:?\d\d)"
_ENDING: Final = re.compile(rf"\s*{_ZONE}$", re.ASCII)
_DATE: Final = re.compile(
    r"(?P<first>\d{1,2})(?P<mark>[/.-])(?P<second>\d{1,2})(?P=mark)(?P<year>\d{4})"
    r"(?:(?:T|,?\s+)(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<seconds>\d\d(?:\.\d{1,9})?))?\s*(?P<half>[AaPp][Mm])?)?"
    rf"(?:\s*{_ZONE})?",
    re.ASCII,
)
FORMS: Final = f"a pattern such as %Y%m%d, {', '.join(_UNITS)}, iso, day-first, month-first or excel"

_ORDER: Final = "say --time-format day-first or month-first"
_HINTS: Final = (
    (_DATE, _ORDER),
    (
        re.compile(r"\d{1,2}([/.-])\d{1,2}\1\d{2}(?!\d).*"),
        "its order and century are not clear: say --time-format %d/%m/%y or the like",
    ),
    (re.compile(r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(\.0)?"), "if it is a date, say --time-format %Y%m%d"),
    (
        re.compile(r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])\d{6}"),
        "if it is a date, say --time-format %Y%m%d%H%M%S",
    ),
    (re.compile(r"(0\d|1[0-2])([0-2]\d|3[01])"), "a month and a day need a year"),
    (re.compile(r"[2-7]\d{4}(\.\d+)?"), "if it is Excel's number of a day, say --time-format excel"),
    (re.compile(r"\d{17,}"), "it may be ticks of .NET or Windows: convert them to seconds since 1970"),
    (
        re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?"),
        "as seconds, ms or µs since 1970 it is not between 1990 and tomorrow; if it is a time all the same, say --time-format unix or unix-ms",
    ),
    (re.compile(r"\d{5,}-\d\d-\d\d.*"), "a year has four digits"),
)


def read_time(cell: Any) -> float:
    """Seconds since 1970 of a number (s, ms, µs or ns, by its size) or an ISO time; raises CellInvalid.

    A number is read if it lies between 1990 and 2100 in one of the units.
    """
    try:
        number = float(cell)
    except (ValueError, TypeError, OverflowError):
        return read_iso(cell)
    if is_plain(cell):
        for unit, first, last in _EPOCHS:
            if first <= number < last:
                return number / unit
    raise _invalid(cell)


def read_iso(cell: Any) -> float:
    """Seconds since 1970 of an ISO time with or without a zone (UTC if it has none); raises CellInvalid."""
    text = cell.strip() if isinstance(cell, str) else ""
    try:
        return _seconds(
            datetime.fromisoformat(_ENDING.sub(_offset, text) if text.endswith(("Z", "UTC", "GMT")) else text)
        )
    except (ValueError, OverflowError) as error:
        raise _invalid(cell) from error


def time_reader(form: str, latest: float | None = None) -> TimeReader:
    """How times are read that have this form; those after ``latest`` are refused. Raises ConfigurationInvalid for an unknown form.

    Forms are ``unix``, ``unix-ms``, ``iso``, ``day-first``, ``month-first``, ``excel`` or a pattern of ``strptime``. Without
    one, a time is a number of a plausible size or ISO.
    """
    read = _reader(form)
    if latest is None:
        return read

    def read_past(cell: Any) -> float:
        seconds = read(cell)
        if seconds > latest:
            raise CellInvalid("is not a time: it is after tomorrow", "ahead")
        return seconds

    return read_past


def _reader(form: str) -> TimeReader:
    if form in _UNITS:
        return _epoch_reader(_UNITS[form])
    if form in {"day-first", "month-first"}:
        return _date_reader(day_first=form == "day-first")
    if "%" in form:
        return _pattern_reader(form)
    readers: dict[str, TimeReader] = {"": read_time, "iso": read_iso, "excel": _read_excel}
    if form not in readers:
        raise ConfigurationInvalid(f"'{form}' is not a form of times; use {FORMS}")
    return readers[form]


def _invalid(cell: Any) -> CellInvalid:
    text = str(cell).strip() if isinstance(cell, str | int | float) else ""
    hint = next((hint for form, hint in _HINTS if form.fullmatch(text)), "")
    return CellInvalid(f"is not a time: {hint or 'epoch seconds or ms, or ISO'}", "not-a-time")


def _offset(match: re.Match[str]) -> str:
    zone = match["zone"]
    return "+00:00" if zone in {"Z", "UTC", "GMT"} else zone


def _seconds(time: datetime) -> float:
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def _epoch_reader(unit: float) -> TimeReader:
    def read(cell: Any) -> float:
        seconds = read_number(cell) / unit
        if not _ANY_DATE[0] <= seconds < _ANY_DATE[1]:
            raise CellInvalid("is not a time: it is beyond the year 9999 in the unit of --time-format", "not-a-time")
        return seconds

    return read


def _read_excel(cell: Any) -> float:
    seconds = (read_number(cell) - _EXCEL_1970) * _DAY
    if not _FIRST <= seconds < _LAST:
        raise CellInvalid("is not Excel's number of a day after 1990", "not-a-time")
    # A day of 86,400 s has no exact fraction; Excel itself shows milliseconds at most.
    return round(seconds, 3)


def _date_reader(*, day_first: bool) -> TimeReader:
    def read(cell: Any) -> float:
        match = _DATE.fullmatch(cell.strip()) if isinstance(cell, str) else None
        if match is None:
            # A year in front is not ambiguous.
            return read_iso(cell)
        try:
            return _date(match, day_first=day_first)
        except (ValueError, OverflowError) as error:
            order = "day/month/year" if day_first else "month/day/year"
            raise CellInvalid(f"is not a time of the form {order}: {error}", "not-a-time") from error

    return read


def _date(match: re.Match[str], *, day_first: bool) -> float:
    first, second, year = (int(match[name]) for name in ("first", "second", "year"))
    day, month = (first, second) if day_first else (second, first)
    seconds = float(match["seconds"] or 0)
    if seconds >= 60:
        raise ValueError("second must be in 0..59")
    start = datetime(year, month, day, _hour(match), int(match["minute"] or 0), tzinfo=_zone(match["zone"]))
    return start.timestamp() + seconds


def _hour(match: re.Match[str]) -> int:
    hour = int(match["hour"] or 0)
    if match["half"] is None:
        return hour
    if not 1 <= hour <= 12:
        raise ValueError("hour must be in 1..12 before AM or PM")
    return hour % 12 + (12 if match["half"].lower() == "pm" else 0)


def _zone(text: str | None) -> timezone:
    if text is None or text[0] not in "+-":
        return UTC
    minutes = int(text[1:3]) * 60 + int(text[-2:])
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes))


def _pattern_reader(pattern: str) -> TimeReader:
    _check_pattern(pattern)

    def read(cell: Any) -> float:
        try:
            return _seconds(datetime.strptime(str(cell).strip(), pattern))  # noqa: DTZ007 - UTC where no zone is given
        except (ValueError, OverflowError) as error:
            raise CellInvalid(f"is not a time of the form {pattern}", "not-a-time") from error

    return read


def _check_pattern(pattern: str) -> None:
    if not re.search(r"%[YyGcx]", pattern):
        raise ConfigurationInvalid(f"--time-format {pattern} has no year: times need one, as %Y or %y")
    try:
        datetime.strptime(datetime(2020, 1, 2, tzinfo=UTC).strftime(pattern), pattern)  # noqa: DTZ007 - only tried
    except (ValueError, re.error) as error:
        raise ConfigurationInvalid(f"--time-format {pattern} is not a form of times ({error}); use {FORMS}") from error
