"""Pseudonyms: what a site with a pepper keeps in place of the ids of users, guests and sessions. Pure.

A pseudonym is HMAC-SHA-256 of the id under the pepper, a secret of the site. Whoever has the stores alone cannot tell whose
it is, nor try ids. One id has one pseudonym, whether it is of a user, a guest or a session.
"""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from typing import Any, Final

from schemas.values.ids import ID_PATTERN, MAX_ID, PLACEHOLDERS, VISITOR_FIELDS, is_placeholder, placeholder_set

ID_FIELDS: Final = ("user_id", "anonymous_id", "session_id")
"""The fields that name a person, in events, parameters and bodies."""
_ID: Final = re.compile(ID_PATTERN)
_FORM: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class Pseudonyms:
    """The pseudonyms of a site. Safe to call from several threads."""

    def __init__(self, pepper: bytes, placeholders: Iterable[str] = PLACEHOLDERS) -> None:
        """``placeholders`` are the texts that are no id of a guest or a session."""
        self._pepper, self._placeholders = pepper, placeholder_set(placeholders)

    def of(self, id_: str) -> str:
        """Returns the pseudonym of an id: 43 letters, digits, ``-`` and ``_``."""
        return _text(self.digest(b"id\n" + id_.encode()))

    def digest(self, text: bytes) -> bytes:
        """Returns 32 bytes that nobody without the pepper can compute."""
        return hmac.digest(self._pepper, text, "sha256")

    @property
    def check(self) -> str:
        """A text by which a changed pepper is noticed. It tells nothing of the pepper."""
        return _text(self.digest(b"check\n"))

    def is_id(self, field: str, value: Any) -> bool:
        """True if this value of a field is an id. Any other value stays, so that whoever checks it can name the fault."""
        if not isinstance(value, str) or len(value) > MAX_ID or not _ID.match(value) or _SURROGATE.search(value):
            return False
        return field not in VISITOR_FIELDS or not is_placeholder(value, self._placeholders)

    def in_fields(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the ids among these fields, each replaced by its pseudonym."""
        return {name: self.of(fields[name]) for name in ID_FIELDS if self.is_id(name, fields.get(name))}


def is_pseudonym(text: str) -> bool:
    """True if a text has the form of a pseudonym."""
    return _FORM.fullmatch(text) is not None


def _text(digest: bytes) -> str:
    return urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")
