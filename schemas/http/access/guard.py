"""The guard of an HTTP process: applies the decision on access, the limits, and the rules of pages to each request."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from hashlib import sha256
from typing import Final, NamedTuple

from starlette.types import Scope as AsgiScope

from schemas.access.decision import AccessPolicy, Credentials, Refusal, decide, everybody
from schemas.access.principal import LOOPBACK, Principal
from schemas.access.scopes import AccessRule
from schemas.access.signing import Nonces
from schemas.access.view import AccessView
from schemas.http.access.audit import AuditLog
from schemas.http.access.brought import Brought, key_in_address, user_token_in_address, users_in_query
from schemas.http.access.limits import ClientLimits
from schemas.http.access.session_cookie import SessionCookie
from schemas.http.problems import ProblemError, printable
from schemas.http.views import user_in_path
from schemas.ports import Clock

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing."""
_LOOPBACK_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
_HOST: Final = re.compile(r"(\[[0-9a-f:.]+\]|[^:]+)(?::[0-9]{1,5})?")
_HANDED_ON: Final = frozenset({b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-real-ip"})
"""Headers that proxies add: whoever is behind one is not on this machine."""
_HOUR: Final = 3_600.0
_REMEMBERED: Final = 10_000
"""Admitted headers that are remembered at most; there are more than keys only if a client writes its header in many ways."""
EVERY_ORIGIN: Final = "*"


NonceCheck = Callable[[str, str], Awaitable[bool | None]]
"""Notes the id of a key and a nonce for all processes of the site. Never raises.

False if another process has noted them, and None if nobody knows, because what the processes share is away.
"""


def _nobody(_: AsgiScope) -> Principal | None:
    return None


async def _only_here(_key_id: str, _nonce: str) -> bool:
    return True


class Site(NamedTuple):
    """What the settings of a process say of access."""

    policy: AccessPolicy = AccessPolicy()
    cors_origins: Collection[str] = ()
    """Origins whose pages may call beside those of the keys; ``*`` for all."""
    allowed_hosts: Collection[str] = ()
    """Names by which a process on loopback may be called, beside those of this machine."""
    read_limits: ClientLimits = ClientLimits()


class _Memory:
    """What was worked out from one view of the keys."""

    def __init__(self, view: AccessView, everybody: Principal | None) -> None:
        self.view, self.everybody = view, everybody
        self.hosts: set[bytes] = set()
        self.admitted: dict[tuple[bytes, AccessRule], tuple[Principal, float]] = {}
        """By the digest of the Authorization header and the rule: who that is, and until when it counts."""
        self.origins: dict[AccessRule, frozenset[str]] = {}


class Guard:
    """Checks requests against the newest view of the keys. For one event loop."""

    def __init__(
        self,
        view: Callable[[], AccessView],
        clock: Clock,
        site: Site = Site(),  # noqa: B008 - a constant
        person_of: Callable[[AsgiScope], Principal | None] = _nobody,
        is_new_on_site: NonceCheck = _only_here,
    ) -> None:
        """``person_of`` returns the person whose session a request belongs to; None if it has no session.

        ``is_new_on_site`` keeps signed requests from counting at another process too.
        """
        self._view, self.clock, self.site, self._person_of = view, clock, site, person_of
        self.limits_reads = any(limiter is not None for limiter in site.read_limits)
        self.nonces, self.is_new_on_site = Nonces(), is_new_on_site
        self.uses: dict[str, int] = {}
        """The hour, since 1970, of the last use of each key in this process."""
        self._memory = _Memory(AccessView(), everybody(AccessView(), site.policy))

    @property
    def view(self) -> AccessView:
        """The keys as of now."""
        return self._view()

    @property
    def is_open(self) -> bool:
        """True if nobody is asked for a key: the site has none and only this machine can reach it, or access is not checked."""
        return self._remembered().everybody is not None

    def recall(self, headers: Mapping[bytes, bytes], rule: AccessRule) -> Principal | None:
        """The principal of a request like one that was admitted a moment ago; None if it has to be looked at.

        It must have no Origin, signature or token of a user. This spares the hot path the whole decision.
        """
        memory = self._remembered()
        if memory.everybody is not None:
            is_usual = memory.everybody is not LOOPBACK or (
                headers.get(b"host") in memory.hosts and headers.keys().isdisjoint(_HANDED_ON)
            )
            return memory.everybody if is_usual else None
        authorization = headers.get(b"authorization")
        if authorization is None:
            return None
        admitted = memory.admitted.get((sha256(authorization).digest(), rule))
        return admitted[0] if admitted is not None and self.clock() < admitted[1] else None

    def remember(self, headers: Mapping[bytes, bytes], rule: AccessRule, principal: Principal) -> None:
        """Lets ``recall`` find what was decided, until the key expires or the hour ends; the next view forgets all."""
        memory = self._remembered()
        if principal is LOOPBACK:
            if len(memory.hosts) < _REMEMBERED:
                memory.hosts.add(headers.get(b"host", b""))
        elif _is_memorable(principal) and b"authorization" in headers:
            if len(memory.admitted) >= _REMEMBERED:
                memory.admitted.clear()
            now, expires_at = self.clock(), self.view.keys[principal.who].expires_at
            hour_ends = (now // _HOUR + 1) * _HOUR
            until = hour_ends if expires_at is None else min(hour_ends, expires_at)
            memory.admitted[sha256(headers[b"authorization"]).digest(), rule] = (principal, until)

    def _remembered(self) -> _Memory:
        view = self._view()
        if self._memory.view is not view:
            self._memory = _Memory(view, everybody(view, self.site.policy))
        return self._memory

    def admit(self, scope: AsgiScope, rule: AccessRule, brought: Brought, signed_by: str | None = None) -> Principal:
        """Returns who calls; raises ProblemError if the request is refused."""
        now, view, policy = self.clock(), self._view(), self.site.policy
        is_open = everybody(view, policy) is not None
        in_address = rule.beacons and brought.bearer is None
        credentials = Credentials(
            brought.bearer,
            key_in_address(scope) if in_address else None,
            brought.origin,
            signed_by,
            user_token_in_address(scope) if in_address and brought.user_token is None else brought.user_token,
            None if is_open else self._person_of(scope),
        )
        users = frozenset() if is_open else _users(scope, rule)
        principal = decide(rule, credentials, view, policy, now, users)
        if isinstance(principal, Refusal):
            raise problem_of(principal)
        if principal.kind == "loopback":
            self._check_page(scope, brought)
        elif principal.kind == "key":
            self._note_use(principal.who, now)
        return principal

    def origins(self, rule: AccessRule) -> frozenset[str]:
        """The origins whose pages may call a route with this rule, by the keys and the settings."""
        memory = self._remembered()
        if rule not in memory.origins:
            keys = [key for key in memory.view.keys.values() if key.revoked_at is None]
            of_keys = {origin for key in keys if not rule.scopes.isdisjoint(key.scopes) for origin in key.origins}
            memory.origins[rule] = frozenset(of_keys | set(self.site.cors_origins))
        return memory.origins[rule]

    def _note_use(self, key_id: str, now: float) -> None:
        hour = int(now // _HOUR)
        if self.uses.get(key_id) != hour:
            self.uses[key_id] = hour

    def _check_page(self, scope: AsgiScope, brought: Brought) -> None:
        """Refuses what comes to an open process by way of a proxy, or from a foreign page by way of a browser of this machine."""
        header = next((name for name, _ in scope["headers"] if name in _HANDED_ON), None)
        if header is not None:
            detail = (
                f"a proxy handed this request on ({header.decode()}), so others may reach this site, which has no key: make one"
                " with `freshet keys create`, or start with --insecure (FRESHET_INSECURE=true)"
            )
            raise ProblemError(403, "proxy", detail)
        host = brought.host.decode("latin-1").lower()
        matched = _HOST.fullmatch(host)
        name = matched[1] if matched else host
        if not (name in _LOOPBACK_HOSTS or name.endswith(".localhost") or name in self.site.allowed_hosts):
            detail = f"this process answers to localhost, not to '{printable(name)}': list it in FRESHET_ALLOWED_HOSTS"
            raise ProblemError(421, "host", detail)
        origin = brought.origin
        if origin is None or scope["method"] in SAFE_METHODS or origin.partition("://")[2] == host:
            return
        if origin not in self.site.cors_origins and EVERY_ORIGIN not in self.site.cors_origins:
            detail = f"pages of {printable(origin)} may not write here: list the origin in FRESHET_CORS_ORIGINS"
            raise ProblemError(403, "origin", detail)


class Access(NamedTuple):
    """The check of access of a process, and what it has to say in readiness."""

    guard: Guard
    missing: Callable[[], list[str]] = list
    """Returns a sentence for each thing without which it cannot let anybody in."""
    warnings: Callable[[], list[str]] = list
    """Returns a sentence for each thing that is less safe than it should be."""
    cookie: SessionCookie | None = None
    """The sessions of people; None if the site has no secret to sign them with."""
    audit: AuditLog | None = None
    """Writes the audit log."""


def problem_of(refusal: Refusal) -> ProblemError:
    """The refusal as problem details."""
    headers = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": "1"}}.get(refusal.status)
    return ProblemError(refusal.status, refusal.code, refusal.sentence, headers=headers)


def _is_memorable(principal: Principal) -> bool:
    """True if all requests with the same Authorization header are decided alike."""
    return principal.kind == "key" and not principal.is_public and principal.speaker is None


def _users(scope: AsgiScope, rule: AccessRule) -> frozenset[str]:
    """The users whose data a request names: in the path, where the answer is about them, and as user_id=."""
    return frozenset([*users_in_query(scope), *([user_in_path(scope)] if rule.of_user else [])])
