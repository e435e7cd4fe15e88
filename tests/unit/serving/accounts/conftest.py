"""A site with accounts, as a browser meets it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import sha256

import pytest
from fastapi import FastAPI, Request
from itsdangerous import URLSafeTimedSerializer
from starlette.testclient import TestClient

from schemas.access import accounts
from schemas.access.accounts import Account, Role
from schemas.access.sessions import SessionSigner
from schemas.http.access.session_cookie import SessionCookie
from schemas.http.problems import ProblemError, as_response
from serving.accounts.passwords import hash_password
from serving.accounts.provider import Provider, ProviderSettings
from serving.accounts.routes import AccountParts, build_account_router
from serving.accounts.sign_in import SignIn
from tests.unit.serving.accounts.openid_provider import CLIENT_ID, CLIENT_SECRET, OpenIdProvider

SECRET = b"0123456789abcdef" * 2
PASSWORD = "a long enough one"
ORIGIN = "http://site.example"
HASH = hash_password(PASSWORD)


class Site:
    """The application with the account's routes and one route that only tells who calls."""

    def __init__(self, provider: Provider | None = None) -> None:
        self.now = 1_700_000_000.0
        self.ticks = 0.0
        self.accounts: dict[str, Account] = {}
        self.audited: list = []
        self.add("anna", Role.EDITOR, password_hash=HASH)
        self.cookie = SessionCookie(
            SessionSigner(SECRET), lambda: self.accounts, lambda: self.now, 3_600.0, secure=False
        )
        ids = iter(range(1_000_000))
        sign_in = SignIn(
            lambda: self.accounts, self._keep, lambda: f"session-{next(ids)}", lambda: self.now, lambda: self.ticks
        )
        app = FastAPI()
        app.include_router(
            build_account_router(
                AccountParts(
                    sign_in=sign_in,
                    cookie=self.cookie,
                    flows=URLSafeTimedSerializer(SECRET, "flow", signer_kwargs={"digest_method": sha256}),
                    accounts=lambda: self.accounts,
                    audit=self._audit,
                    clock=lambda: self.now,
                    site_url=ORIGIN,
                    provider=provider,
                    secure=False,
                )
            )
        )
        app.add_api_route("/whoami", self._whoami, methods=["GET", "POST"])
        self.app = app

    def add(self, name: str, role: Role, **fields) -> None:
        self.accounts[name] = accounts.new_account(name, role, self.now - 100, **fields)

    def browser(self) -> TestClient:
        return TestClient(self.app, base_url=ORIGIN, follow_redirects=False)

    async def _keep(self, account: Account) -> None:
        self.accounts[account.name] = account

    async def _audit(self, record) -> None:
        self.audited.append(record)

    async def _whoami(self, request: Request):
        try:
            person = self.cookie.person_of(request.scope)
        except ProblemError as problem:
            return as_response(problem)
        return {"who": person.who if person else None}


def csrf_token_in(page: str) -> str:
    return re.search(r'name="csrf_token" value="([^"]+)"', page)[1]


def sign_in(browser: TestClient, name: str = "anna", password: str = PASSWORD, **fields):
    token = csrf_token_in(browser.get("/account/sign-in").text)
    form = {"name": name, "password": password, "csrf_token": token, **fields}
    return browser.post("/account/sign-in", data=form)


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
def openid() -> Iterator[OpenIdProvider]:
    provider = OpenIdProvider()
    yield provider
    provider.close()


@pytest.fixture
def site_with_provider(openid) -> Site:
    site = Site(Provider(ProviderSettings(openid.issuer, CLIENT_ID, CLIENT_SECRET)))
    site.add("bert", Role.VIEWER, email="anna@shop.example")
    return site
