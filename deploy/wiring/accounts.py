"""Builds the routes under ``/account`` of the process that serves the online API."""

from __future__ import annotations

import time
from contextlib import closing
from hashlib import sha256
from secrets import token_urlsafe
from typing import Final

from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool
from itsdangerous import URLSafeTimedSerializer

from adapters.registry import adapter
from deploy.wiring.access import can_sign_in
from ingest.access import append_access
from schemas.access.accounts import Account, account_entry
from schemas.http.access.guard import Access
from serving.accounts.provider import Provider, ProviderSettings
from serving.accounts.routes import AccountParts, build_account_router, build_no_account_router
from serving.accounts.sign_in import SignIn
from serving.config import Settings

_NO_TLS: Final = (
    "people sign in over TLS alone: set FRESHET_PUBLIC_URL to the https:// address of this site, behind which it runs"
)
_UNSIGNED: Final = (
    "sessions need FRESHET_ACCESS_SECRET: set it, in all processes, to what `openssl rand -hex 32` prints"
)


def account_router(settings: Settings, access: Access) -> APIRouter:
    """The routes under ``/account``; where nobody can sign in, they say why."""
    secret = access.guard.site.policy.site_secret
    if access.cookie is None or access.audit is None:
        return build_no_account_router(_UNSIGNED if can_sign_in(settings, settings.host) else _NO_TLS)

    def accounts() -> dict[str, Account]:
        return access.guard.view.accounts

    async def keep(account: Account) -> None:
        await run_in_threadpool(_keep, settings, account)

    return build_account_router(
        AccountParts(
            sign_in=SignIn(accounts, keep, lambda: token_urlsafe(24), time.time, time.monotonic),
            cookie=access.cookie,
            flows=URLSafeTimedSerializer(
                secret, "freshet sign-in", signer_kwargs={"key_derivation": "hmac", "digest_method": sha256}
            ),
            accounts=accounts,
            audit=access.audit,
            clock=time.time,
            site_url=settings.public_url or f"http://{_in_address(settings.host)}:{settings.port}",
            provider=_provider(settings),
            secure=settings.public_url.startswith("https://"),
        )
    )


def _keep(settings: Settings, account: Account) -> None:
    """Appends an account's record. It happens once for an account, so the writer is opened for it alone."""
    address = settings.log_address
    with closing(adapter(address).log_writer(address)) as writer:
        append_access(writer, [account_entry(account)])


def _provider(settings: Settings) -> Provider | None:
    if not settings.oidc_issuer:
        return None
    secret = settings.oidc_client_secret.get_secret_value()
    return Provider(ProviderSettings(settings.oidc_issuer, settings.oidc_client_id, secret))


def _in_address(host: str) -> str:
    return f"[{host}]" if ":" in host else host
