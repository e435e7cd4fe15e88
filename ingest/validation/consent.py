"""Consent: whether an event carries it, and what is kept of an event that does not. Pure.

An event says it in ``context.consent``, in the words of Google's consent mode (``personalization_storage``): ``granted`` or
``denied``. ``true`` and ``false`` mean the same. An event without the field has no consent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any, Final

import msgspec

from schemas.events import LoggedEvent
from schemas.keys import UNLINKED_SESSION

FIELD: Final = "consent"
"""The member of an event's context."""
EXEMPT: Final = frozenset({"forget"})
"""Types that need no consent: an erasure only removes."""
NEEDS_IDS: Final = frozenset({"identify", "retract", "search", "unlike"})
"""Types that say nothing without the ids of their subject, so nothing of them is kept without consent."""
KEPT_CONTEXT: Final = frozenset({"country", "device", FIELD})
"""Members of the context that an event without ids keeps."""
KEPT_PROPERTIES: Final = frozenset({"scroll"})
"""Members of the properties that an event without ids keeps."""
SOME_ANSWER: Final = "unlinked"
"""Stands for the id of an answer, which is recorded with its user. It says that an answer led to the event, not which."""

_ANSWERS: Final[Mapping[Any, bool]] = {True: True, "granted": True, False: False, "denied": False, None: False}


def consent_in(context: Mapping[str, Any] | None) -> bool | None:
    """Returns whether an event with this context has consent; None if the field holds something else than the four values."""
    value = (context or {}).get(FIELD)
    # 1 and 1.0 equal True, and are none of the values.
    return None if isinstance(value, int | float) and not isinstance(value, bool) else _ANSWERS.get(value)


def without_ids(event: LoggedEvent, digest: Callable[[bytes], bytes] | None = None) -> LoggedEvent:
    """Returns the event without anything that leads to its person or to another event of the same person.

    Its event id is replaced by a hash of it, so that a repeat still counts once, and its session holds this event alone.
    ``digest`` hashes under a key; without it the hash has none.
    """
    hashed = (digest or _digest)(b"event\n" + event.event_id.encode())[:16].hex()
    return msgspec.structs.replace(
        event,
        event_id=hashed,
        user_id=None,
        anonymous_id=None,
        session_id=UNLINKED_SESSION + hashed,
        recommendation_id=None if event.recommendation_id is None else SOME_ANSWER,
        context=_only(event.context, KEPT_CONTEXT),
        properties=_only(event.properties, KEPT_PROPERTIES),
        unlinked=True,
    )


def _digest(text: bytes) -> bytes:
    return blake2b(text, digest_size=16).digest()


def _only(values: Mapping[str, Any] | None, names: frozenset[str]) -> dict[str, Any] | None:
    return {name: value for name, value in (values or {}).items() if name in names and _is_plain(value)} or None


def _is_plain(value: Any) -> bool:
    return not isinstance(value, dict | list)
