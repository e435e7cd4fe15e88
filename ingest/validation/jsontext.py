"""Parses JSON from outside, and names JSON values in words."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import orjson

from schemas.http.problems import printable


class Broken(NamedTuple):
    """A line of NDJSON that is not JSON, and why."""

    reason: str


def parse(data: bytes) -> Any:
    """Parses JSON; raises ValueError with a printable reason.

    Python's own parser accepts some texts that orjson refuses: NaN, Infinity, lone surrogates, a byte order mark.
    Validation can then name the one object at fault, and accept the others.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as strict:
        try:
            return json.loads(data)
        except (ValueError, RecursionError):
            raise ValueError(printable(str(strict))) from strict


def json_kind(value: Any) -> str:
    """The kind of a JSON value, in words."""
    names = {dict: "an object", list: "an array", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
