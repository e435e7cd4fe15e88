"""Opens the check of access of an HTTP process: its keys, its policy, and whether it may listen where others reach it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from ipaddress import ip_address
from typing import Final

import structlog

from adapters.registry import adapter
from deploy.access.audit_log import AuditWriter
from deploy.access.follower import AccessFollower
from deploy.access.known_keys import KnownKeys, known_keys_file
from deploy.access.nonces import SharedNonces
from deploy.access.secret import site_secret
from deploy.access.uses import UseRecorder
from schemas.access.decision import AccessPolicy
from schemas.access.sessions import SessionSigner
from schemas.access.view import AccessView
from schemas.errors import ConfigurationInvalid
from schemas.http.access.guard import Access, Guard, Site
from schemas.http.access.limits import ClientLimits
from schemas.http.access.session_cookie import SessionCookie
from schemas.http.settings import HttpSettings

PATIENCE_SECONDS: Final = 6.0
"""How long a process that knows no keys waits for the log before it starts and refuses every request."""
INSECURE: Final = (
    "access is not checked (FRESHET_INSECURE): whoever reaches the port reads every history, writes and deletes"
    " everything; make keys with `freshet keys create` and start without it"
)
_HOUR: Final = 3_600.0

_log = structlog.get_logger(__name__)


@contextmanager
def open_access(
    settings: HttpSettings,
    host: str,
    read_limits: ClientLimits = ClientLimits(),  # noqa: B008 - a constant
    *,
    needs_keys: bool = True,
    only_reads: bool = False,
    patience: float = PATIENCE_SECONDS,
) -> Iterator[Access]:
    """The check of access of a process that listens on ``host``; the keys are followed until the end.

    With ``needs_keys``, raises ConfigurationInvalid if others can reach the process and the site has no live key or account.
    With ``only_reads``, the process appends nothing to the log: no changes, and no uses of keys. If the keys are not known,
    it waits for ``patience`` seconds for the log.
    """
    if settings.insecure:
        _log.warning("insecure", message=INSECURE)
        site = Site(AccessPolicy(insecure=True), settings.cors_origins)
        with closing(_audit(settings)) as audit:
            yield Access(Guard(AccessView, time.time, site), list, lambda: [INSECURE], audit=audit)
        return
    follower = _follower(settings)
    site, audit = _site(settings, host, read_limits), _audit(settings)
    cookie = _cookie(settings, host, site.policy.site_secret, lambda: follower.view)
    person_of = cookie.person_of if cookie else lambda _: None
    nonces = SharedNonces(lambda: adapter(settings.signals_address).nonce_store(settings.signals_address))
    guard = Guard(lambda: follower.view, time.time, site, person_of, nonces)
    recorder = UseRecorder(guard.uses, lambda: adapter(settings.log_address).log_writer(settings.log_address))
    if not only_reads:
        follower.after_each_read(recorder)

    def warnings() -> list[str]:
        return [*follower.warnings(), *nonces.warnings()]

    follower.start(0.0 if follower.view.is_known else patience)
    try:
        if needs_keys:
            check_exposure(host, follower.view, time.time())
        yield Access(guard, follower.missing, warnings, cookie, None if only_reads else audit)
    finally:
        follower.stop()
        audit.close()
        recorder.close()
        nonces.close()


def check_exposure(host: str, view: AccessView, now: float) -> None:
    """Raises ConfigurationInvalid if others can reach ``host`` and it is known that the site has no live key or account."""
    some_may = any(key.is_live(now) for key in view.keys.values()) or any(a.is_enabled for a in view.accounts.values())
    if is_loopback(host) or not view.is_known or some_may:
        return
    raise ConfigurationInvalid(
        f"others can reach {host or 'every address'}, and this site has no key: make one with `freshet keys create --scope"
        " admin`, or listen on 127.0.0.1 (--insecure or FRESHET_INSECURE=true lets everybody in)"
    )


def is_loopback(host: str) -> bool:
    """True if only this machine can reach an address to listen on."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _site(settings: HttpSettings, host: str, read_limits: ClientLimits) -> Site:
    secret = site_secret(settings)
    if settings.user_tokens and not secret:
        raise ConfigurationInvalid(
            "FRESHET_USER_TOKENS needs FRESHET_ACCESS_SECRET: make one with `openssl rand -hex 32`"
        )
    policy = AccessPolicy(loopback=is_loopback(host), user_tokens=settings.user_tokens, site_secret=secret)
    return Site(policy, settings.cors_origins, settings.allowed_hosts, read_limits)


def _cookie(settings: HttpSettings, host: str, secret: bytes, view: Callable[[], AccessView]) -> SessionCookie | None:
    """The sessions of people; None if nothing can sign them, or browsers would send them to this process in the clear."""
    if not secret or not can_sign_in(settings, host):
        return None
    lifetime = settings.session_hours * _HOUR
    secure = settings.public_url.startswith("https://")
    return SessionCookie(SessionSigner(secret), lambda: view().accounts, time.time, lifetime, secure=secure)


def can_sign_in(settings: HttpSettings, host: str) -> bool:
    """True if browsers reach the site over TLS, or from this machine alone."""
    return settings.public_url.startswith("https://") or (is_loopback(host) and not settings.public_url)


def _audit(settings: HttpSettings) -> AuditWriter:
    address = settings.log_address
    return AuditWriter(lambda: adapter(address).log_writer(address))


def _follower(settings: HttpSettings) -> AccessFollower:
    address = settings.log_address
    return AccessFollower(
        lambda: adapter(address).log_reader(address),
        KnownKeys(known_keys_file(settings.data, address)),
        time.time,
        lambda: adapter(address).prepare(address),
    )
