"""The calls on keys, accounts and the audit log, for admins."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Annotated, Any, Final, NamedTuple

import msgspec
from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from ingest import audit
from ingest.access import append_access
from ingest.http.body import read_object
from schemas.access import accounts, keys
from schemas.access.accounts import Account, Role
from schemas.access.keys import AccessKey, NewKey
from schemas.access.scopes import ACCOUNTS, ADMIN_ONLY, Scope, needs
from schemas.access.uses import HOUR_SECONDS, last_uses
from schemas.access.view import AccessView, read_on
from schemas.http.described import problems
from schemas.http.fallback import json_response
from schemas.http.problems import ProblemError
from schemas.json_schema import schema_of
from schemas.ports import Clock, LogReader, LogWriter

_DAY: Final = 86_400.0
_GRACE_SECONDS: Final = 86_400.0
Name = Annotated[str, msgspec.Meta(max_length=64)]


class AccessParts(NamedTuple):
    """The log that a call reads and writes."""

    reader: LogReader
    open_writer: Callable[[], LogWriter]


class AccessApi(NamedTuple):
    """What the routes use. The log is opened for each call."""

    open_parts: Callable[[], AbstractContextManager[AccessParts]]
    clock: Clock


class KeyRow(msgspec.Struct, frozen=True, kw_only=True):
    """A key without its digest. Times are seconds since 1970."""

    id: str
    name: str
    scopes: list[str]
    origins: list[str]
    needs_user_token: bool
    created_at: float
    expires_at: float | None
    revoked_at: float | None
    is_live: bool
    last_used_at: Annotated[float | None, msgspec.Meta(description="The hour of its last use.")]


class KeyRows(msgspec.Struct, frozen=True, kw_only=True):
    """All keys, newest first."""

    keys: list[KeyRow]


class WantedKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key to make."""

    scopes: Annotated[list[Scope], msgspec.Meta(min_length=1, max_length=len(Scope))]
    name: Name = ""
    origins: Annotated[list[Annotated[str, msgspec.Meta(max_length=200)]], msgspec.Meta(max_length=20)] = []
    days: Annotated[float, msgspec.Meta(gt=0, le=3_650)] | None = None


class MadeKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key that was just made. Nothing can show its text again."""

    id: str
    key: str


class RevokedKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key that was revoked."""

    id: str


class AccountRow(msgspec.Struct, frozen=True, kw_only=True):
    """An account without its password."""

    name: str
    role: str
    email: str
    has_password: bool
    is_enabled: bool
    created_at: float


class AccountRows(msgspec.Struct, frozen=True, kw_only=True):
    """All accounts, by name."""

    accounts: list[AccountRow]


class AccountChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change of an account. What is left out stays."""

    role: Role | None = None
    enabled: bool | None = None
    sign_out: bool = False


class AuditRow(msgspec.Struct, frozen=True, kw_only=True):
    """A record of the audit log."""

    token: str
    at: float
    actor_kind: str
    actor: str
    action: str
    target: str
    address: str
    after: Any


class AuditRows(msgspec.Struct, frozen=True, kw_only=True):
    """The newest records, newest first."""

    records: list[AuditRow]


def build_access_api_router(api: AccessApi) -> APIRouter:
    """The routes under ``/v1/keys``, ``/v1/accounts`` and ``/v1/audit``."""
    router = APIRouter()
    _add_keys(router, api)
    _add_accounts(router, api)

    @router.get("/v1/audit", **_described("list_audit_records", "Who changed what, newest first", AuditRows))
    @needs(ADMIN_ONLY)
    async def audit_log(limit: Annotated[int, Query(ge=1, le=500)] = 100) -> Response:
        return json_response(await run_in_threadpool(_audit_rows, api, limit))

    return router


def _add_keys(router: APIRouter, api: AccessApi) -> None:
    @router.get("/v1/keys", **_described("list_keys", "All keys, without their texts", KeyRows))
    @needs(ADMIN_ONLY)
    async def list_keys() -> Response:
        return json_response(await run_in_threadpool(_key_rows, api))

    made = _described("create_key", "Make a key; its text is shown once", MadeKey, WantedKey, status=201)

    @router.post("/v1/keys", **made)
    @needs(ADMIN_ONLY)
    async def create_key(request: Request) -> Response:
        wanted = _converted(await read_object(request), WantedKey)
        return json_response(await run_in_threadpool(_create, api, wanted), 201)

    @router.post(
        "/v1/keys/{key_id}/rotate", **_described("rotate_key", "Make its successor; it ends in a day", MadeKey)
    )
    @needs(ADMIN_ONLY)
    async def rotate_key(key_id: str) -> Response:
        return json_response(await run_in_threadpool(_rotate, api, key_id))

    @router.delete("/v1/keys/{key_id}", **_described("revoke_key", "End a key", RevokedKey))
    @needs(ADMIN_ONLY)
    async def revoke_key(key_id: str) -> Response:
        return json_response(await run_in_threadpool(_revoke, api, key_id))


def _add_accounts(router: APIRouter, api: AccessApi) -> None:
    @router.get("/v1/accounts", **_described("list_accounts", "The accounts of people", AccountRows))
    @needs(ADMIN_ONLY)
    async def list_accounts() -> Response:
        return json_response(await run_in_threadpool(_account_rows, api))

    described = _described("change_account", "Change a role, switch on or off, sign out", AccountRow, AccountChange)

    @router.patch("/v1/accounts/{name}", **described)
    @needs(ACCOUNTS)
    async def change_account(name: str, request: Request) -> Response:
        change = _converted(await read_object(request), AccountChange)
        return json_response(await run_in_threadpool(_change, api, name, change))


def _view(parts: AccessParts) -> AccessView:
    return read_on(AccessView(), parts.reader)


def _key_rows(api: AccessApi) -> KeyRows:
    with api.open_parts() as parts:
        known, hours = _view(parts).keys.values(), last_uses(parts.reader)
    now = api.clock()
    rows = [_key_row(key, now, hours.get(key.id)) for key in known]
    return KeyRows(keys=sorted(rows, key=lambda row: row.created_at, reverse=True))


def _key_row(key: AccessKey, now: float, hour: int | None) -> KeyRow:
    return KeyRow(
        id=key.id,
        name=key.name,
        scopes=list(key.scopes),
        origins=list(key.origins),
        needs_user_token=key.needs_user_token,
        created_at=key.created_at,
        expires_at=key.expires_at,
        revoked_at=key.revoked_at,
        is_live=key.is_live(now),
        last_used_at=None if hour is None else float(hour * HOUR_SECONDS),
    )


def _create(api: AccessApi, wanted: WantedKey) -> MadeKey:
    now = api.clock()
    expires_at = None if wanted.days is None else now + wanted.days * _DAY
    new = keys.make_key(_entropy(), wanted.scopes, now, name=wanted.name, origins=wanted.origins, expires_at=expires_at)
    with api.open_parts() as parts:
        if wanted.name and any(key.name == wanted.name and key.is_live(now) for key in _view(parts).keys.values()):
            raise ProblemError(409, "name", f"a live key is named {wanted.name}: choose another name", field="name")
        append_access(parts.open_writer(), [keys.key_entry(new.record)])
    return _made(new)


def _rotate(api: AccessApi, key_id: str) -> MadeKey:
    with api.open_parts() as parts:
        rotation = keys.rotate(_key(parts, key_id), _entropy(), api.clock(), _GRACE_SECONDS)
        append_access(parts.open_writer(), [keys.key_entry(rotation.new.record), keys.key_entry(rotation.old)])
    return _made(rotation.new)


def _revoke(api: AccessApi, key_id: str) -> RevokedKey:
    with api.open_parts() as parts:
        revoked = keys.revoke(_key(parts, key_id), api.clock())
        append_access(parts.open_writer(), [keys.key_entry(revoked)])
    return RevokedKey(id=revoked.id)


def _key(parts: AccessParts, key_id: str) -> AccessKey:
    key = _view(parts).keys.get(key_id)
    if key is None:
        raise ProblemError(404, "unknown-key", "There is no such key: GET /v1/keys lists their ids.")
    return key


def _made(new: NewKey) -> MadeKey:
    return MadeKey(id=new.record.id, key=new.text)


def _entropy() -> bytes:
    return os.urandom(keys.ENTROPY_BYTES)


def _account_rows(api: AccessApi) -> AccountRows:
    with api.open_parts() as parts:
        known = _view(parts).accounts
    return AccountRows(accounts=[_account_row(known[name]) for name in sorted(known)])


def _account_row(account: Account) -> AccountRow:
    return AccountRow(
        name=account.name,
        role=account.role,
        email=account.email,
        has_password=bool(account.password_hash),
        is_enabled=account.is_enabled,
        created_at=account.created_at,
    )


def _change(api: AccessApi, name: str, change: AccountChange) -> AccountRow:
    with api.open_parts() as parts:
        known = _view(parts).accounts
        account = known.get(name)
        if account is None:
            raise ProblemError(404, "unknown-account", f"There is no account {name}.")
        changed = _changed(account, change, api.clock())
        if accounts.is_last_admin(known, name) and not (changed.is_enabled and changed.role is Role.ADMIN):
            raise ProblemError(409, "last-admin", f"{name} is the last admin: make another one first.")
        append_access(parts.open_writer(), [accounts.account_entry(changed)])
    return _account_row(changed)


def _changed(account: Account, change: AccountChange, now: float) -> Account:
    if change.role is not None:
        account = accounts.with_role(account, change.role)
    if change.enabled is not None:
        account = accounts.enabled(account, now) if change.enabled else accounts.disabled(account, now)
    return accounts.without_sessions(account, now) if change.sign_out else account


def _audit_rows(api: AccessApi, limit: int) -> AuditRows:
    with api.open_parts() as parts:
        entries = audit.tail(parts.reader, limit)
    return AuditRows(records=[_audit_row(entry) for entry in entries])


def _audit_row(entry: audit.AuditEntry) -> AuditRow:
    record = entry.record
    return AuditRow(
        token=str(entry.token),
        at=record.at,
        actor_kind=record.actor_kind,
        actor=record.actor,
        action=record.action,
        target=record.target,
        address=record.address,
        after=record.after,
    )


def _converted(body: dict[str, Any], kind: type[Any]) -> Any:
    try:
        return msgspec.convert(body, kind)
    except msgspec.ValidationError as error:
        raise ProblemError(400, "invalid", str(error)) from error


def _described(
    operation_id: str,
    summary: str,
    answer: type[msgspec.Struct],
    body: type[msgspec.Struct] | None = None,
    status: int = 200,
) -> dict[str, Any]:
    response = {"description": summary, "content": {"application/json": {"schema": schema_of(answer)}}}
    sent = {"required": True, "content": {"application/json": {"schema": schema_of(body)}}} if body else None
    return {
        "tags": ["console"],
        "operation_id": operation_id,
        "summary": summary,
        "status_code": status,
        "response_model": None,
        "responses": {status: response, **problems(404, 409, 413, 415, 503)},
        "openapi_extra": {"requestBody": sent} if sent else None,
    }
