"""Generalizes personal data before it reaches the log. Data that was never written need not be erased.

| sent by a site | kept on the log |
|---|---|
| ``age`` | ``age_group``: ``under-18``, ``18-24``, ``25-34``, … ``65+`` |
| ``birth_date``, ``date_of_birth``, ``birth_year``, … | ``age_group`` |
| ``zip``, ``zip_code``, ``postcode``, … | ``postcode_area``: its first three characters, or two if it is short |
| ``lat``, ``lon``, … | the same name, rounded to one decimal (about 11 km) |
| ``ip``, ``ip_address``, … | ``ip_network``: its /24, or /48 of an IPv6 address |
| ``email``, ``phone``, ``name``, ``address``, ``street``, … | nothing |

Names are compared without case, ``_``, ``-``, ``.`` and blanks, at every depth. An event's ``context`` and
``properties`` keep ``name`` and the like, because they may name a page or a product. A second run changes nothing.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple

Generalized = tuple[str, Any]
"""The name and the value that are kept."""

_AGES: Final = ((18, "under-18"), (25, "18-24"), (35, "25-34"), (45, "35-44"), (55, "45-54"), (65, "55-64"))
_OLDEST: Final = 130
_MARKS: Final = {ord(mark): None for mark in "_-. "}
_USUAL_NAME: Final = 64
"""Longest name that is remembered: thousands of names of 256 KiB would fill the memory."""

CONTACT: Final = frozenset(
    {"email", "emailaddress", "mail", "phone", "phonenumber", "mobile", "tel", "telephone", "fax"}
    | {"address", "streetaddress", "street", "addressline1", "addressline2", "housenumber", "homeaddress"}
    | {"coordinates", "latlng", "latlon", "geolocation", "geohash", "gps"}
    | {"password", "ssn", "passport", "creditcard", "cardnumber", "iban"}
)
"""Names whose values are dropped everywhere."""
PERSON: Final = frozenset(
    {"name", "firstname", "lastname", "fullname", "surname", "givenname", "familyname", "username"}
)
"""Names whose values are dropped from users' attributes."""


class DropRules(NamedTuple):
    """Names to drop, as ``normal`` writes them. All other rules are the same for users and events."""

    dropped: frozenset[str]


def rules_for_users(extra: Iterable[str] = ()) -> DropRules:
    """The rules of users' attributes; ``extra`` are a site's own names to drop."""
    return DropRules(CONTACT | PERSON | frozenset(map(normal, extra)))


def rules_for_events(extra: Iterable[str] = ()) -> DropRules:
    """The rules of an event's context and properties."""
    return DropRules(CONTACT | frozenset(map(normal, extra)))


def normal(name: str) -> str:
    """The name in the form in which rules compare it: lower case, without ``_``, ``-``, ``.`` and blanks."""
    return _cached_normal(name) if len(name) <= _USUAL_NAME else _normal(name)


def _normal(name: str) -> str:
    return name.lower().translate(_MARKS)


_cached_normal: Final = lru_cache(maxsize=4_096)(_normal)


def generalize(values: Mapping[str, Any], rules: DropRules, now: datetime) -> dict[str, Any]:
    """The values to keep. A null stays a null under its new name, so that a merge patch can remove the kept value."""
    generalized: dict[str, Any] = {}
    for name, value in values.items():
        key = normal(name)
        if key in rules.dropped:
            continue
        rule = _RULES.get(key)
        new_name, new_value = rule(name, value, now) if rule else (name, _nested(value, rules, now))
        if new_value is not None or generalized.get(new_name) is None:
            generalized[new_name] = new_value
    return generalized


def _nested(value: Any, rules: DropRules, now: datetime) -> Any:
    if isinstance(value, dict):
        return generalize(value, rules, now)
    if isinstance(value, list):
        return [_nested(member, rules, now) for member in value]
    return value


def age_group(age: float) -> str | None:
    """The age group of an age in years; None if it is not between 0 and 130."""
    if not 0 <= age <= _OLDEST:
        return None
    return next((name for limit, name in _AGES if age < limit), "65+")


def _age(_: str, value: Any, __: datetime) -> Generalized:
    years = _number(value)
    return "age_group", None if years is None else age_group(years)


def _birth(_: str, value: Any, now: datetime) -> Generalized:
    born = _birth_date(value)
    if born is None:
        return "age_group", None
    had_birthday = (now.month, now.day) >= (born.month, born.day)
    return "age_group", age_group(now.year - born.year - (not had_birthday))


def _birth_date(value: Any) -> date | None:
    text = str(value)[:10] if isinstance(value, str | int) else ""
    try:
        return date(int(text), 7, 1) if len(text) == 4 else date.fromisoformat(text)
    except ValueError:
        return None


def _postcode(_: str, value: Any, __: datetime) -> Generalized:
    text = "".join(str(value).split()).upper() if isinstance(value, str | int) else ""
    return "postcode_area", text[: 3 if len(text) >= 5 else 2] or None


def _coordinate(name: str, value: Any, __: datetime) -> Generalized:
    degrees = _number(value)
    return name, None if degrees is None else round(degrees, 1)


def _address(_: str, value: Any, __: datetime) -> Generalized:
    try:
        address = ipaddress.ip_address(value if isinstance(value, str) else "")
        network = ipaddress.ip_network(f"{address}/{24 if address.version == 4 else 48}", strict=False)
    except ValueError:
        return "ip_network", None
    return "ip_network", str(network)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


_Rule = Callable[[str, Any, datetime], Generalized]
_RULES: Final[dict[str, _Rule]] = (
    dict.fromkeys(("age",), _age)
    | dict.fromkeys(("birthdate", "birthday", "dateofbirth", "dob", "birthyear", "yearofbirth", "born"), _birth)
    | dict.fromkeys(("zip", "zipcode", "postcode", "postalcode", "plz"), _postcode)
    | dict.fromkeys(("lat", "latitude", "lon", "lng", "longitude"), _coordinate)
    | dict.fromkeys(("ip", "ipaddress", "ipaddr", "clientip", "remoteaddr"), _address)
)
