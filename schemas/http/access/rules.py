"""Finds the rule of a request's route, as the routes declare them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from starlette.routing import BaseRoute, Match
from starlette.types import Scope as AsgiScope

from schemas.access.scopes import ADMIN_ONLY, AccessRule, Scope, declared_rule

NO_ROUTE: Final = AccessRule(frozenset(Scope))
"""The rule of addresses that no route answers: any key will do, and a caller without a key does not learn which addresses there are."""


class HotRule(NamedTuple):
    """The rule of a route that is served before the router looks for one."""

    takes: Callable[[AsgiScope], bool]
    rule: AccessRule


class RouteRules:
    """The rules of an application's routes."""

    def __init__(
        self, routes: Sequence[BaseRoute], hot_rules: Iterable[HotRule] = (), others: Sequence[BaseRoute] = ()
    ) -> None:
        """``routes`` are in the order in which the router tries them; ``others`` are any that may be added later."""
        self.routes, self._hot_rules, self._others = routes, tuple(hot_rules), others

    def rule_of(self, scope: AsgiScope) -> AccessRule:
        """The rule of the route that will answer this request, found as the router finds the route."""
        for takes, rule in self._hot_rules:
            if takes(scope):
                return rule
        for route in self.routes:
            if route.matches(scope)[0] is Match.FULL:
                return rule_of_route(route)
        is_served = any(route.matches(scope)[0] is Match.FULL for route in self._others)
        return ADMIN_ONLY if is_served else NO_ROUTE


def rule_of_route(route: BaseRoute) -> AccessRule:
    """The rule that a route declares at its endpoint, or at the application that it mounts; admins only if it declares none."""
    endpoint = getattr(route, "endpoint", None) or getattr(route, "app", None)
    return declared_rule(endpoint) or ADMIN_ONLY
