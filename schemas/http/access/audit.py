"""Writes each change that comes by HTTP to the audit log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from schemas.access.audit import LONGEST_CHANGE, AuditRecord, change_of, field_names, user_label
from schemas.access.scopes import AccessRule
from schemas.access.scopes import Scope as AccessScope
from schemas.http.access.callers import address_of, principal_of
from schemas.http.access.rules import RouteRules
from schemas.ports import Clock

AuditLog = Callable[[AuditRecord], Awaitable[None]]
"""Writes one record; returns once the log has it, or the failure was counted and logged. Never raises."""

_UNSAFE_METHODS: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_CHANGING: Final = frozenset({AccessScope.CATALOGUE_WRITE, AccessScope.USERS_WRITE, AccessScope.ADMIN})


class AuditMiddleware:
    """ASGI middleware inside the check of access: records what was changed, by whom, once the change has succeeded."""

    def __init__(self, app: ASGIApp, audit: AuditLog, rules: RouteRules, clock: Clock) -> None:
        self._app, self._audit, self._rules, self._clock = app, audit, rules, clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves a request, and records it if it changed something."""
        if scope["type"] != "http" or scope["method"] not in _UNSAFE_METHODS or not changes(self._rules.rule_of(scope)):
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(receive)
        await self._app(scope, exchange.receive, exchange.keep)
        if 200 <= exchange.status < 300:
            await self._audit(self._record(scope, exchange))
        # Answered last, so that who was told of a change finds it in the audit log.
        for message in exchange.answer:
            await send(message)

    def _record(self, scope: Scope, exchange: _Exchange) -> AuditRecord:
        principal = principal_of(scope)
        parameters: dict[str, Any] = scope.get("path_params", {})
        user_id, change = parameters.get("user_id"), exchange.change()
        only_names = user_id is not None or self._rules.rule_of(scope).is_confidential
        return AuditRecord(
            at=self._clock(),
            actor_kind=principal.kind,
            actor=principal.who,
            action=f"{scope['method']} {_route(scope)}",
            target=user_label(user_id) if user_id is not None else _target(parameters),
            after=field_names(change) if only_names else change,
            offset=exchange.offset(),
            address=address_of(scope),
        )


def changes(rule: AccessRule) -> bool:
    """True if a route with this rule changes items, users or the site. Events are facts of their own, and reads change nothing."""
    return bool(rule.scopes & _CHANGING)


class _Exchange:
    """What a request sent and what it was answered, in so far as the audit log needs it."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._body = bytearray()
        self._size = 0
        self.answer: list[Message] = []
        self.status = 0

    async def receive(self) -> Message:
        """Reads on, and keeps the beginning of the body."""
        message = await self._receive()
        chunk = message.get("body", b"")
        self._size += len(chunk)
        self._body += chunk[: max(0, LONGEST_CHANGE - len(self._body))]
        return message

    async def keep(self, message: Message) -> None:
        """Keeps a part of the answer."""
        self.status = message.get("status", self.status)
        self.answer.append(message)

    def change(self) -> Any:
        """The body as the audit log keeps it."""
        return change_of(bytes(self._body)) if self._size <= LONGEST_CHANGE else {"bytes": self._size}

    def offset(self) -> str:
        """The offset in the answer; empty if it has none."""
        try:
            answer = msgspec.json.decode(b"".join(message.get("body", b"") for message in self.answer))
        except (msgspec.DecodeError, UnicodeDecodeError):
            return ""
        offset = answer.get("offset") if isinstance(answer, dict) else None
        return offset if isinstance(offset, str) else ""


def _route(scope: Scope) -> str:
    """The address of the route with names in place of its parameters, so that ids of users do not stand in the log."""
    path = getattr(scope.get("route"), "path", None) or scope["path"]
    return str(path).replace(":path}", "}")


def _target(parameters: dict[str, Any]) -> str:
    return " ".join(f"{name.removesuffix('_id')} {value}" for name, value in parameters.items())
