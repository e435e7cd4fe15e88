"""Scopes of keys and persons, and the rule that each route declares."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any, Final, NamedTuple, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class Scope(StrEnum):
    """One thing that a key or a person may do."""

    EVENTS_WRITE = "events:write"
    RECOMMENDATIONS_READ = "recommendations:read"
    CATALOGUE_WRITE = "catalogue:write"
    USERS_READ = "users:read"
    USERS_WRITE = "users:write"
    METRICS_READ = "metrics:read"
    ADMIN = "admin"


MEANINGS: Final = {
    Scope.EVENTS_WRITE: "Send events. A key with this scope alone may be public.",
    Scope.RECOMMENDATIONS_READ: "Read lists, scores, explanations, items and statistics.",
    Scope.CATALOGUE_WRITE: "Put, change and delete items; read items.",
    Scope.USERS_READ: "Read what is kept about a user, and similar users.",
    Scope.USERS_WRITE: "Put and change the attributes of users.",
    Scope.METRICS_READ: "Read `/metrics` and the details of `/health/ready`.",
    Scope.ADMIN: "All of these, and everything else.",
}
"""A sentence for each scope; the table of scopes in the docs shows it."""


class AccessRule(NamedTuple):
    """What a route asks of those who call it."""

    scopes: frozenset[Scope] = frozenset({Scope.ADMIN})
    """One of them suffices; ``admin`` always does. Empty: everybody may call."""
    of_user: bool = False
    """True if the call is about the one user in the path, so that a key may need a token of that user."""
    beacons: bool = False
    """True if the key and the user's token may stand in the address, and the body may be text/plain, as browsers send beacons."""
    counts_itself: bool = False
    """True if the route itself counts what a request brings against the limits of writes."""
    is_confidential: bool = False
    """True if a body may hold a secret or what a person did: the audit log keeps the names of its fields alone."""

    @property
    def is_public(self) -> bool:
        """True if everybody may call."""
        return not self.scopes


PUBLIC: Final = AccessRule(frozenset())
"""Everybody may call: the route tells nothing about the site or its users, or checks by itself who calls."""
ADMIN_ONLY: Final = AccessRule()
"""The rule of addresses without a route too, so that an unknown caller does not learn which addresses there are."""
EVENTS: Final = AccessRule(frozenset({Scope.EVENTS_WRITE}), beacons=True, counts_itself=True)
READS: Final = AccessRule(frozenset({Scope.RECOMMENDATIONS_READ}))
READS_OF_USER: Final = AccessRule(frozenset({Scope.RECOMMENDATIONS_READ}), of_user=True)
ITEM_READS: Final = AccessRule(frozenset({Scope.RECOMMENDATIONS_READ, Scope.CATALOGUE_WRITE}))
ITEM_WRITES: Final = AccessRule(frozenset({Scope.CATALOGUE_WRITE}), counts_itself=True)
USER_READS: Final = AccessRule(frozenset({Scope.USERS_READ}), of_user=True)
USER_WRITES: Final = AccessRule(frozenset({Scope.USERS_WRITE}), of_user=True, counts_itself=True)
PAGE: Final = AccessRule(frozenset({Scope.USERS_READ}))
"""The demo page, which shows what anybody did."""
LETTERS: Final = AccessRule(is_confidential=True)
"""Dead letters, for admins: they hold what anybody sent."""
ACCOUNTS: Final = AccessRule(is_confidential=True)
"""Accounts of people, for admins. A body may hold a password."""
METRICS: Final = AccessRule(frozenset({Scope.METRICS_READ}))

_RULE: Final = "__access_rule__"


def needs(rule: AccessRule) -> Callable[[F], F]:
    """Declares the rule of a route: a decorator of its endpoint, below the decorator of the route."""

    def declare(endpoint: F) -> F:
        setattr(endpoint, _RULE, rule)
        return endpoint

    return declare


def declared_rule(endpoint: object) -> AccessRule | None:
    """The rule that an endpoint declares; None if it declares none."""
    rule = getattr(endpoint, _RULE, None)
    return rule if isinstance(rule, AccessRule) else None
