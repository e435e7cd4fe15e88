"""Ids: what text may be one, and which texts stand for "no id" in broken clients.

An id is 1 to 128 characters without control characters, and without blanks at its ends. A *placeholder* is what a program
writes where it has no value: ``undefined``, ``null``, ``0``. As the id of a guest it would join everybody who lacks an id.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final

from pydantic import AfterValidator, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

_EDGE: Final = r"[^\s\x00-\x1f\x7f-\x9f\u200b\u2060\ufeff]"
_INNER: Final = r"[^\x00-\x1f\x7f-\x9f]"
# Control characters are C0, DEL and C1. Python's $ also matches before a line end, so the last part looks for none.
ID_PATTERN: Final = rf"^(?!\[object \w+\]$){_EDGE}(?:{_INNER}*{_EDGE})?$(?![\s\S])"
"""Matches the texts that can be ids, in Python and in JavaScript, whatever their length."""
NO_CONTROL: Final = r"^[^\x00-\x1f\x7f-\x9f]+$"
MAX_ID: Final = 128
MAX_EVENT_ID: Final = 64
PLACEHOLDERS: Final = (
    *("undefined", "null", "none", "nil", "nan", "na", "n/a", "0", "true", "false"),
    *("anonymous", "unknown", "not set", "not_set", "distinct_id", "not_authenticated"),
)
"""Texts that are no id of a guest or a session, in any case and in any quotes or brackets; zeros are none either."""

VISITOR_FIELDS: Final = frozenset({"anonymous_id", "session_id"})
"""The fields in which a placeholder is refused: with it, different visitors would be one."""
INVISIBLE: Final = "\u200b\u2060\ufeff"
"""Characters without a width that ``str.strip`` keeps: zero width space, word joiner, byte order mark."""
_OBJECT: Final = re.compile(r"\[object \w+\]")
_WRAPPERS: Final = "\"'`()[]{}<>" + INVISIBLE
_ZEROS: Final = "0-."


def id_fault(text: str) -> str | None:
    """Returns why a text cannot be an id, beyond its length and characters; None if it can."""
    if text[:1].isspace() or text[-1:].isspace() or text.strip(INVISIBLE) != text:
        return "begins or ends with a blank; send the id without it"
    if text.startswith("[object ") and _OBJECT.fullmatch(text):
        return f"'{text}' is what JavaScript writes for an object, not an id; send the object's id"
    return None


def is_placeholder(text: str, placeholders: frozenset[str]) -> bool:
    """True if a text stands for "no id"; ``placeholders`` are in lower case (``placeholder_set``)."""
    bare = text.strip().strip(_WRAPPERS).strip().lower()
    return not bare.strip(_ZEROS) or bare in placeholders


def placeholder_set(texts: Iterable[str] = PLACEHOLDERS) -> frozenset[str]:
    """Returns the placeholders in the form in which ``is_placeholder`` compares them."""
    return frozenset(text.strip().lower() for text in texts)


def without_placeholders(properties: Mapping[str, Any], placeholders: Iterable[str] = PLACEHOLDERS) -> dict[str, Any]:
    """Returns JSON Schema's properties; those of a guest's and a session's id refuse the texts that stand for no id."""
    pattern = _visitor_pattern(placeholders)
    visitors = {name: _with_pattern(properties[name], pattern) for name in VISITOR_FIELDS & properties.keys()}
    return {**properties, **visitors}


def _with_pattern(schema: dict[str, Any], pattern: str) -> dict[str, Any]:
    if "anyOf" in schema:
        return {**schema, "anyOf": [_with_pattern(option, pattern) for option in schema["anyOf"]]}
    return {**schema, "pattern": pattern} if schema.get("type") == "string" else schema


def _visitor_pattern(placeholders: Iterable[str]) -> str:
    around = rf"[\s{''.join(map(_escaped, _WRAPPERS))}]*"
    texts = "|".join(_in_any_case(text) for text in sorted(placeholder_set(placeholders)))
    return rf"^(?!{around}(?:[0.\-]*|{texts}){around}$){ID_PATTERN.removeprefix('^')}"


def _in_any_case(text: str) -> str:
    return "".join(f"[{letter.lower()}{letter.upper()}]" if letter.isalpha() else _escaped(letter) for letter in text)


def _escaped(letter: str) -> str:
    # JavaScript's patterns of Unicode refuse the needless escapes that ``re.escape`` writes.
    return re.sub(r"[\\^$.*+?()\[\]{}|/]", r"\\\g<0>", letter)


def _check(text: str) -> str:
    if fault := id_fault(text):
        raise PydanticCustomError("not_an_id", "{fault}", {"fault": fault})
    return text


def _shown(longest: int) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "minLength": 1, "maxLength": longest, "pattern": ID_PATTERN})


# ID_PATTERN would refuse everything that ``_check`` does, but would not say why. pydantic itself refuses lone surrogates.
Id = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_ID, pattern=NO_CONTROL),
    AfterValidator(_check),
    _shown(MAX_ID),
]
EventId = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_EVENT_ID, pattern=NO_CONTROL),
    AfterValidator(_check),
    _shown(MAX_EVENT_ID),
]
