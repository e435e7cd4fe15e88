"""The middleware that checks access, outside of everything else, so that a refused request costs and tells as little as possible."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from schemas.access.decision import NOT_A_KEY
from schemas.access.scopes import AccessRule
from schemas.access.scopes import Scope as Permission
from schemas.access.signing import SCHEME, WINDOW_SECONDS, RequestSignature, is_signed, signing_secret
from schemas.http.access import metrics
from schemas.http.access.brought import Brought, read_brought, refuse_repeated
from schemas.http.access.callers import allow_plain_text, principal_of, set_principal
from schemas.http.access.cors import preflight, readable_by
from schemas.http.access.guard import SAFE_METHODS, Guard, problem_of
from schemas.http.access.rules import RouteRules
from schemas.http.body import read_body
from schemas.http.problems import ProblemError, as_response

MAX_SIGNED_BYTES: Final = 1_048_576
"""Largest body of a signed request: it is held whole until the signature is checked."""
_HARMLESS_SCOPES: Final = frozenset({Permission.EVENTS_WRITE, Permission.RECOMMENDATIONS_READ})
_CONFIDENTIAL_SCOPES: Final = frozenset({Permission.ADMIN, Permission.USERS_READ})
_NONCES_AWAY: Final = (
    "the store in which the processes note signed requests does not answer, so this one could be a repetition; "
    "send it again later, signed with a new nonce"
)
_RETRY_SECONDS: Final = "2"


class AccessMiddleware:
    """ASGI middleware: answers what is refused, and hands on who calls (``callers.principal_of``)."""

    def __init__(self, app: ASGIApp, guard: Guard, rules: RouteRules) -> None:
        self._app, self._guard, self._rules = app, guard, rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Checks a request, and passes it on or refuses it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers, rule = dict(scope["headers"]), self._rules.rule_of(scope)
        # Most requests are like one of a moment ago: no page sent them, and their key was looked at already.
        is_usual = b"origin" not in headers and len(headers) == len(scope["headers"])
        principal = self._guard.recall(headers, rule) if is_usual else None
        if principal is not None and not self._guard.limits_reads:
            set_principal(scope, principal)
            await self._app(scope, receive, send)
            return
        try:
            if len(headers) != len(scope["headers"]):
                refuse_repeated(scope["headers"])
            brought = read_brought(headers)
            if brought.origin is not None:
                if brought.wanted_method is not None and scope["method"] == "OPTIONS":
                    await self._answer_preflight(brought.origin, brought.wanted_method, scope, receive, send)
                    return
                send = readable_by(brought.origin, self._guard.origins(rule), send)
            receive = await self._check(scope, receive, brought, rule)
            if brought.origin is None and brought.signature is None:
                self._guard.remember(headers, rule, principal_of(scope))
        except ProblemError as problem:
            metrics.REFUSED.labels(problem.code).inc()
            await as_response(problem)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _check(self, scope: Scope, receive: Receive, brought: Brought, rule: AccessRule) -> Receive:
        """Admits the request; returns what reads its body. Raises ProblemError."""
        guard = self._guard
        signed_by = None
        if brought.signature is not None and not guard.site.policy.insecure:
            self._check_signer(brought.signature)
            body = await read_body(_chunks(receive), MAX_SIGNED_BYTES, "a signed request may have 1 MiB; send less")
            await self._check_signature(brought.signature, scope, body, rule)
            signed_by, receive = brought.signature.key_id, _replay(body, receive)
        principal = guard.admit(scope, rule, brought, signed_by)
        set_principal(scope, principal)
        if not (rule.is_public or rule.counts_itself):
            guard.site.read_limits.check(scope, 1)
        if brought.is_plain_text and rule.beacons and principal.is_public and principal.kind == "key":
            self._allow_beacon(scope, principal.who)
        return receive

    def _allow_beacon(self, scope: Scope, key_id: str) -> None:
        """Lets a beacon be text/plain: it came with a key that only sends events, from a page that may use the key."""
        if self._guard.view.keys[key_id].only_sends_events:
            allow_plain_text(scope)

    def _check_signer(self, signature: RequestSignature) -> None:
        """Refuses what no body could make right, before a body is held for it."""
        guard, now = self._guard, self._guard.clock()
        if not guard.site.policy.site_secret:
            raise _wrong("this site has no FRESHET_ACCESS_SECRET, so nothing can be signed; send the key itself")
        if abs(now - int(signature.timestamp)) > WINDOW_SECONDS:
            raise _wrong(f"the timestamp is more than {WINDOW_SECONDS:.0f} s from this clock, which says {now:.0f}")
        if guard.view.is_known and signature.key_id not in guard.view.keys:
            raise problem_of(NOT_A_KEY)

    async def _check_signature(self, signature: RequestSignature, scope: Scope, body: bytes, rule: AccessRule) -> None:
        guard = self._guard
        key_secret = signing_secret(guard.site.policy.site_secret, signature.key_id)
        if not is_signed(key_secret, signature, scope["method"], _target(scope), body):
            raise _wrong("the signature is not of this request; the docs have a recipe (access)")
        is_new: bool | None = guard.nonces.is_new(signature.key_id, signature.nonce, guard.clock())
        if is_new:
            is_new = await guard.is_new_on_site(signature.key_id, signature.nonce)
        if is_new is False:
            raise _wrong("this nonce was used already, or too many signed requests came; send it with a new one")
        if is_new is None and not _is_harmless_again(rule, scope["method"]):
            raise ProblemError(503, "nonces-unavailable", _NONCES_AWAY, headers={"Retry-After": _RETRY_SECONDS})

    async def _answer_preflight(self, origin: str, method: str, scope: Scope, receive: Receive, send: Send) -> None:
        rule: AccessRule = self._rules.rule_of({**scope, "method": method})
        await preflight(origin, method, self._guard.origins(rule))(scope, receive, send)


def _is_harmless_again(rule: AccessRule, method: str) -> bool:
    """True if a repetition harms nobody: events count once by their ids, and no read but that of people tells a secret."""
    if method in SAFE_METHODS:
        return rule.is_public or not rule.scopes <= _CONFIDENTIAL_SCOPES
    return not rule.is_public and rule.scopes <= _HARMLESS_SCOPES


def _wrong(detail: str) -> ProblemError:
    return ProblemError(401, "signature", detail, headers={"WWW-Authenticate": SCHEME})


def _target(scope: Scope) -> str:
    path: bytes = (scope.get("raw_path") or scope["path"].encode()).partition(b"?")[0]
    query: bytes = scope["query_string"]
    return (path + b"?" + query if query else path).decode("latin-1")


async def _chunks(receive: Receive) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return
        yield message.get("body", b"")
        if not message.get("more_body", False):
            return


def _replay(body: bytes, receive: Receive) -> Receive:
    """A ``receive`` that gives the body, which was read already, and then what comes after it."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return waiting.pop() if waiting else await receive()

    return replayed
