"""Every route of every application declares who may call it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.routing import BaseRoute

from schemas.access.scopes import ADMIN_ONLY, PUBLIC, Scope, declared_rule
from tests.unit.architecture.applications import applications

PUBLIC_PATHS = {
    *("/docs", "/docs/static/{name}", "/health/live", "/health/ready", "/openapi.json"),
    *("/console", "/console/", "/console/static/{version}/{name:path}"),
    *("/shop/static/{name}", "/v1/models/{kind}", "/v1/models/neighbours", "/v1/models/lists", "/v1/models/factors"),
}
"""What anybody may call: each is listed here by hand, so that a route does not become public by accident."""
READS = {Scope.RECOMMENDATIONS_READ, Scope.USERS_READ, Scope.METRICS_READ}


@pytest.fixture(scope="module")
def routes(tmp_path_factory) -> Iterator[dict[str, BaseRoute]]:
    """The routes of all applications, with everything switched on, by application, methods and path."""
    with applications(tmp_path_factory.mktemp("site")) as apps:
        yield {
            f"{name}: {' '.join(sorted(route.methods or ()))} {route.path}": route
            for name, app in apps.items()
            for route in app.state.rules.routes
        }


def test_every_route_declares_a_rule(routes):
    assert len(routes) > 60
    assert [name for name, route in routes.items() if declared_rule(route.endpoint) is None] == []


def test_only_what_is_listed_is_public(routes):
    public = {route.path for route in routes.values() if declared_rule(route.endpoint) == PUBLIC}
    assert public - {"/"} == PUBLIC_PATHS
    assert declared_rule(routes["embedded: GET /"].endpoint) != PUBLIC, "only the note that there is no page is public"


def test_no_route_that_writes_is_open_to_a_key_that_reads(routes):
    for name, route in routes.items():
        method, path = name.split(": ")[1].split()[0], route.path
        if method in {"PUT", "PATCH", "DELETE"} or (method == "POST" and path in {"/v1/events", "/v1/items"}):
            assert not declared_rule(route.endpoint).scopes & READS, name


def test_deleting_a_user_is_for_admins(routes):
    assert declared_rule(routes["embedded: DELETE /v1/users/{user_id:path}"].endpoint) == ADMIN_ONLY
