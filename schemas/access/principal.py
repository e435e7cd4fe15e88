"""Who calls: the value that the check of access hands to a route."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from schemas.access.scopes import AccessRule, Scope
from schemas.access.signing import UserToken


class Speaker(NamedTuple):
    """The token of a user that a request brought, for a key that needs one."""

    token: UserToken | None
    """None: it brought none that a key of this site may have signed."""
    secret: str
    now: float
    """When the request came, in seconds since 1970."""

    def is_for(self, user_id: str) -> bool:
        """True if the token is of this user."""
        return self.token is not None and self.token.is_valid(self.secret, user_id, self.now)


NO_SPEAKER: Final = Speaker(None, "", 0.0)


class Principal(NamedTuple):
    """Somebody or something that calls, and what it may do."""

    who: str
    """The id of a key or the name of a person; empty for an unknown caller."""
    kind: Literal["key", "person", "loopback", "insecure", "anonymous"]
    """``loopback``: a site without keys that only this machine can reach. ``insecure``: access is not checked at all."""
    scopes: frozenset[Scope]
    is_public: bool = False
    """True for a key that browsers send, so that many people share it."""
    speaker: Speaker | None = None
    """For a key that needs a token of the user: the token that the request brought. None: it may name every user."""

    def may(self, rule: AccessRule) -> bool:
        """True if the scopes suffice for a route with this rule."""
        return rule.is_public or Scope.ADMIN in self.scopes or not self.scopes.isdisjoint(rule.scopes)

    def speaks_for(self, user_id: str) -> bool:
        """True if it may send events that name this user."""
        return self.speaker is None or self.speaker.is_for(user_id)

    def has(self, scope: Scope) -> bool:
        """True if it may do what the scope says."""
        return scope in self.scopes or Scope.ADMIN in self.scopes


ANONYMOUS: Final = Principal("", "anonymous", frozenset())
LOOPBACK: Final = Principal("loopback", "loopback", frozenset(Scope))
INSECURE: Final = Principal("insecure", "insecure", frozenset(Scope))
