"""Cursors of pages: writes and reads an answer's ``next_cursor``."""

from __future__ import annotations

import base64
import binascii
from typing import Final

from schemas.http.problems import ProblemError

MAX_SHOWN: Final = 1_000
"""Most items of earlier pages that a cursor can hold. After them there is no next page."""
_HASH_BYTES: Final = 4
_LARGEST_PAGE: Final = 500


def shown_before(cursor: str | None) -> bytes:
    """Returns the hashes (CRC-32) of the items on earlier pages; raises ProblemError."""
    if cursor is None:
        return b""
    try:
        shown = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise _unknown() from error
    if len(shown) % _HASH_BYTES or len(shown) > _HASH_BYTES * (MAX_SHOWN + _LARGEST_PAGE):
        raise _unknown()
    return shown


def after_shown(shown: bytes) -> str | None:
    """Returns the cursor of the page after these items; None if it would be too long."""
    if len(shown) > _HASH_BYTES * MAX_SHOWN:
        return None
    return base64.urlsafe_b64encode(shown).rstrip(b"=").decode()


def offset_of(cursor: str | None) -> int:
    """Returns the position in the catalogue at which a page begins; raises ProblemError."""
    if cursor is None:
        return 0
    if not (cursor.startswith("o") and cursor[1:].isascii() and cursor[1:].isdigit() and len(cursor) < 12):
        raise _unknown()
    return int(cursor[1:])


def at_offset(start: int) -> str:
    """Returns the cursor of the catalogue's page that begins at this position."""
    return f"o{start}"


def _unknown() -> ProblemError:
    return ProblemError(400, "invalid", "cursor is not one that an answer gave", field="cursor")
