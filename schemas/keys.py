"""Key names in the signal store. Each partition has one hash tag, so that a commit stays in one slot."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

from schemas.errors import FormatUnknown
from schemas.log.fence import Fence

VALUE_FORMAT: Final = 1
"""Version of the encoding of values, keys and fences in the signal store.

A change that the release before cannot read raises it. A fence of version 1 is ``"<offset>@<log id>"``; a fence of a later
version begins with ``"v<version>:"``, so that each reader can say that it is too old.
"""


_LATER_FENCE: Final = re.compile(rb"v(\d{1,6}):")


class Signal(StrEnum):
    """The views that nearline maintains, each with its own fence and pace.

    ``users`` and ``aggregates`` are folded from the topic ``events``: what users did. ``items`` and ``profiles`` are folded from the
    topics ``items`` and ``users``: what the site has said about its items and users.
    """

    USERS = "users"
    AGGREGATES = "aggregates"
    ITEMS = "items"
    PROFILES = "profiles"


UNLINKED_SESSION: Final = "unlinked-"
"""Begins the session id of an event that the collector kept without ids. A hash of the event follows, so no two share one."""
FOLLOWED: Final = frozenset({Signal.AGGREGATES, Signal.ITEMS})
"""Signals whose changes every API process follows. Their commits also record which keys changed."""

IN_PARTS: Final = frozenset({Signal.USERS})
"""Signals whose large values are stored in two parts (``schemas.values.tails``)."""


def values_key(prefix: str, partition: int, signal: str) -> str:
    """The hash that holds a signal's values for one partition."""
    return f"{prefix}{{p{partition}}}:{signal}"


def fence_key(prefix: str, partition: int, signal: str) -> str:
    """The string that holds a signal's fence for one partition, as ``"<offset>@<log id>"``."""
    return f"{prefix}{{p{partition}}}:fence:{signal}"


def fence_text(fence: Fence) -> str:
    """The text that the signal store holds of a fence."""
    return f"{fence.offset}@{fence.log_id}"


def require_known_format(fence: bytes) -> None:
    """Raises FormatUnknown if this text of a fence was written by a later release than this one."""
    later = _LATER_FENCE.match(fence)
    if later is not None and (version := int(later[1])) > VALUE_FORMAT:
        raise FormatUnknown(
            f"the signals were written by a later release of Freshet (format {version}, this release reads up to "
            f"{VALUE_FORMAT}): upgrade this process, or rebuild the signals with `freshet rebuild signals`"
        )


def commits_key(prefix: str, partition: int, signal: str) -> str:
    """The sorted set of a followed signal's last commits, by offset. A commit names the keys that it wrote or removed."""
    return f"{prefix}{{p{partition}}}:commits:{signal}"


def user_key(user_id: str) -> str:
    """The key of a known user's value."""
    return f"u:{user_id}"


def anonymous_key(anonymous_id: str) -> str:
    """The key of an anonymous user's value."""
    return f"a:{anonymous_id}"


def session_key(session_id: str) -> str:
    """The key of the value of a session without a user."""
    return f"s:{session_id}"


def unlinked_key(session_id: str) -> str:
    """The key of one of 16 values in each partition, which hold the newest events without ids, against repeats of them.

    No id leads to it: the ids of users, guests and sessions have other prefixes.
    """
    return f"x:{session_id[-1:]}"


def is_guest_key(key: str) -> bool:
    """True if this is the key of an anonymous user's value, or of a session's."""
    return key.startswith(("a:", "s:"))
