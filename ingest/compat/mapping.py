"""What the sources share: a message that is no event here, ids that fit, and values that are there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any, Final, NamedTuple

from schemas.events import TYPES
from schemas.values.ids import MAX_EVENT_ID


class Unmapped(NamedTuple):
    """A message that no event stands for, and why."""

    reason: str


Mapped = list[dict[str, Any] | Unmapped]
Mapping = Callable[[str, dict[str, Any]], Mapped]
"""Maps the body of a call, with the last part of its address, to events in their order."""

NAMES: Final = TYPES - {"forget", "retract"}
"""Types that a message can name by itself. An erasure needs a call of its own."""


def part_id(message_id: Any, number: int) -> str | None:
    """The id of one event of a message: the same whenever the message is sent again. None if the message has no id."""
    if not isinstance(message_id, str) or not message_id:
        return None
    text = f"{message_id}#{number}" if number else message_id
    return text if len(text) <= MAX_EVENT_ID else sha256(text.encode("utf-8", "replace")).hexdigest()


def without_nothing(**fields: Any) -> dict[str, Any]:
    """The fields that have a value."""
    return {name: value for name, value in fields.items() if value is not None and value != ""}


def member(value: Any, *names: str) -> Any:
    """The value of the first of these members that an object has; None if it has none, or is no object."""
    found = (value.get(name) for name in names) if isinstance(value, dict) else iter(())
    return next((each for each in found if each is not None and each != ""), None)


def objects(value: Any) -> Sequence[dict[str, Any]]:
    """The objects of a list; empty if it is no list."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
