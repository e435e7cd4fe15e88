"""Packed values with the names of their fields. Pure."""

from __future__ import annotations

import base64
from collections.abc import Collection
from typing import Any

import msgspec

from schemas.answers import Decision
from schemas.errors import UNREADABLE
from signals.compact import expand


def plain(value: Any) -> Any:
    """The value for JSON: structs as objects with the names of their fields, bytes as base64."""
    if isinstance(value, msgspec.Struct):
        return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, dict):
        return {key: plain(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [plain(member) for member in value]
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def plain_decision(decision: Decision, subjects: Collection[str]) -> dict[str, Any]:
    """A decision record for JSON, with those of its inputs that are the person's, or that came with the request."""
    own = {name: data for name, data in decision.inputs.items() if name in subjects or name == "session"}
    record: dict[str, Any] = plain(decision)
    return record | {"inputs": {name: _input(data) for name, data in own.items()}}


def _input(data: bytes) -> Any:
    try:
        return plain(expand(data))
    except UNREADABLE:
        return base64.b64encode(data).decode()
