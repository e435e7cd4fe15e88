"""Parses JSON from outside, and names JSON values in words."""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple

import orjson

from schemas.http.problems import printable

_BESIDE_OPENINGS: Final = bytes(set(range(256)) - set(b'"{['))
"""Every byte but quotes and the brackets that begin an object or a list."""
_DIGITS_TO_ZERO: Final = bytes(0x30 if 0x30 <= byte <= 0x39 else byte for byte in range(256))
_LONG_NUMBER: Final = b"0" * 19
"""The shortest number that may need more than 64 bits, with each digit as 0."""


class Broken(NamedTuple):
    """A line of NDJSON that is not JSON, and why."""

    reason: str


def parse(data: bytes) -> Any:
    """Parses JSON; raises ValueError with a printable reason.

    Python's own parser accepts some texts that orjson refuses: NaN, Infinity, lone surrogates, a byte order mark.
    Validation can then name the one object at fault, and accept the others. An integer keeps all its digits.
    """
    if _LONG_NUMBER in data.translate(_DIGITS_TO_ZERO):
        return _with_whole_integers(data)
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as strict:
        try:
            return json.loads(data)
        except (ValueError, RecursionError):
            raise ValueError(printable(str(strict))) from strict


def containers(data: bytes, enough: int) -> int:
    """Number of objects and lists that a JSON text begins, without parsing it; texts of up to ``enough`` are counted roughly."""
    count = _openings(data)
    return count if count <= enough else _openings(_without_strings(data))


def _without_strings(data: bytes) -> bytes:
    """The brackets of a JSON text that stand outside of its strings.

    Only passes over the whole text: a regular expression takes ten times as long, and this holds the loop.
    """
    quotes_delimit = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    # Two quotes beside each other end and begin nothing, whichever of them ends a string.
    openings = quotes_delimit.translate(None, _BESIDE_OPENINGS).replace(b'""', b"")
    return b"".join(openings.split(b'"')[::2])


def _openings(data: bytes) -> int:
    return data.count(b"{") + data.count(b"[")


def _with_whole_integers(data: bytes) -> Any:
    """As ``parse``, and keeps every digit of an integer: orjson reads those beyond 64 bits as floats."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(printable(str(error))) from error


def json_kind(value: Any) -> str:
    """The kind of a JSON value, in words."""
    names = {dict: "an object", list: "an array", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
