"""Who calls: the value that the check of access hands to a route."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from schemas.access.scopes import AccessRule, Scope


class Principal(NamedTuple):
    """Somebody or something that calls, and what it may do."""

    who: str
    """The id of a key or the name of a person; empty for a stranger."""
    kind: Literal["key", "person", "loopback", "insecure", "stranger"]
    """``loopback``: a site without keys that only this machine can reach. ``insecure``: access is not checked at all."""
    scopes: frozenset[Scope]
    is_public: bool = False
    """True for a key that browsers send, so that many people share it."""

    def may(self, rule: AccessRule) -> bool:
        """True if the scopes suffice for a route with this rule."""
        return rule.is_public or Scope.ADMIN in self.scopes or not self.scopes.isdisjoint(rule.scopes)

    def has(self, scope: Scope) -> bool:
        """True if it may do what the scope says."""
        return scope in self.scopes or Scope.ADMIN in self.scopes


STRANGER: Final = Principal("", "stranger", frozenset())
LOOPBACK: Final = Principal("loopback", "loopback", frozenset(Scope))
INSECURE: Final = Principal("insecure", "insecure", frozenset(Scope))
