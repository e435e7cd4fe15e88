"""Whose limit a request counts against, on a real server: behind a trusted proxy, and behind what says to be one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from fastapi import APIRouter, Request, Response

from adapters.http import server
from adapters.http.application import build_application
from schemas.access import keys
from schemas.access.decision import AccessPolicy
from schemas.access.scopes import READS, Scope, needs
from schemas.access.view import AccessView
from schemas.http.access.guard import Access, Guard, Site
from schemas.http.access.limits import client_limits

SHOP = "https://shop.example"
PUBLIC = keys.make_key(os.urandom(keys.ENTROPY_BYTES), [Scope.RECOMMENDATIONS_READ], 0.0, origins=[SHOP])
VIEW = AccessView(log_id="log", keys={PUBLIC.record.id: PUBLIC.record}, had_keys=True)
BURST = 3


@contextmanager
def served(*trusted_proxies: str) -> Iterator[httpx.Client]:
    router = APIRouter()

    @router.get("/v1/popular")
    @needs(READS)
    async def popular(_: Request) -> Response:
        return Response("list")

    async def missing() -> list[str]:
        return []

    limits = client_limits((0.001, BURST), (0, 1), lambda: 0.0)
    guard = Guard(lambda: VIEW, lambda: 1.0, Site(AccessPolicy(), read_limits=limits))
    app = build_application("A process", [router], missing, access=Access(guard))
    with server.listen("127.0.0.1", 0, "choose another") as listening:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        headers = {"Authorization": f"Bearer {PUBLIC.text}", "Origin": SHOP}
        with (
            server.serving(app, listening, trusted_proxies=trusted_proxies),
            httpx.Client(base_url=address, headers=headers, timeout=30) as client,
        ):
            yield client


def statuses(client: httpx.Client, forwarded: list[str]) -> list[int]:
    return [client.get("/v1/popular", headers={"X-Forwarded-For": text}).status_code for text in forwarded]


def test_a_client_that_names_other_addresses_is_counted_as_one():
    with served() as client:
        forwarded = [f"10.0.0.{number}" for number in range(BURST + 2)]
        assert statuses(client, forwarded) == [200] * BURST + [429] * 2


def test_behind_a_trusted_proxy_each_client_is_counted_by_itself():
    with served("127.0.0.1") as client:
        assert statuses(client, ["10.0.0.1"] * (BURST + 1)) == [200] * BURST + [429]
        assert statuses(client, ["10.0.0.2"]) == [200]


def test_what_a_client_writes_before_its_proxy_does_not_count():
    with served("127.0.0.1", "10.9.0.0/16") as client:
        spoofed = [f"10.0.0.{number}, 192.0.2.1, 10.9.0.7" for number in range(BURST + 1)]
        assert statuses(client, spoofed) == [200] * BURST + [429]


@pytest.mark.parametrize(
    "spelled",
    [["2001:db8::1", "2001:db8::2", "[2001:db8::3]:50", "2001:db8:0:0:ffff::1"], ["10.0.0.1:5", "10.0.0.1:6"] * 2],
)
def test_one_client_has_one_limit_however_its_proxy_spells_it(spelled):
    with served("127.0.0.1") as client:
        assert statuses(client, spelled) == [200] * BURST + [429]
