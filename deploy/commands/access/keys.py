"""``freshet keys``: who may call the HTTP APIs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer

from deploy.access.changes import current_access, write_change
from deploy.access.secret import site_secret
from deploy.commands.common import (
    DEFAULT_FOLDER,
    Data,
    StackName,
    console,
    errors,
    open_existing,
    open_for,
    settings_for,
)
from schemas.access import keys
from schemas.access.keys import AccessKey
from schemas.access.scopes import MEANINGS, Scope
from schemas.access.signing import make_user_token, signing_secret
from schemas.access.uses import HOUR_SECONDS, last_uses
from schemas.errors import ConfigurationInvalid
from schemas.log.records import LogEntry
from schemas.ports import LogWriter

_DAY: Final = 86_400.0
_SCOPES: Final = "; ".join(f"{scope}: {meaning}" for scope, meaning in MEANINGS.items())

KeyId = Annotated[str, typer.Argument(help="The key's id, as `freshet keys list` shows it, or its name.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Keys of the HTTP APIs.", no_args_is_help=True)
    group.command()(create)
    group.command("list")(list_keys)
    group.command()(rotate)
    group.command()(revoke)
    group.command("signing-secret")(show_signing_secret)
    group.command("user-token")(user_token)
    app.add_typer(group, name="keys")


def create(
    scope: Annotated[list[Scope], typer.Option("--scope", help=f"What it may do; repeat it for several. {_SCOPES}")],
    data: Data = DEFAULT_FOLDER,
    stack: StackName = None,
    origin: Annotated[
        list[str] | None,
        typer.Option("--origin", help="Origin whose pages may use it, such as https://shop.example; makes it public."),
    ] = None,
    needs_user_token: Annotated[
        bool,
        typer.Option(
            "--needs-user-token",
            help="Whatever names a user, an event too, needs a token of that user, which your server signs.",
        ),
    ] = False,
    name: Annotated[str, typer.Option(help="Who uses it.")] = "",
    days: Annotated[
        float | None, typer.Option("--days", help="Days until it expires; never without it.", min=0)
    ] = None,
) -> None:
    """Make a key and print it, once: the log keeps only its digest."""
    now = time.time()
    if needs_user_token:
        _site_secret(data, stack)
    new = keys.make_key(
        os.urandom(keys.ENTROPY_BYTES),
        scope,
        now,
        name=name,
        origins=origin or (),
        needs_user_token=needs_user_token,
        expires_at=None if days is None else now + days * _DAY,
    )
    with open_for(data, stack) as dependencies:
        # Opened first, because it makes the log of a new folder.
        writer = dependencies.writer
        if name and any(
            key.name == name and key.is_live(now) for key in current_access(dependencies.reader).keys.values()
        ):
            raise ConfigurationInvalid(f"a live key is named {name} already: choose another name, or rotate that key")
        _write(writer, "keys create", None, new.record, now)
    errors.print(f"The key {new.record.id} counts in a moment. It is shown only now:", highlight=False, soft_wrap=True)
    typer.echo(new.text)


def list_keys(
    data: Data = DEFAULT_FOLDER,
    stack: StackName = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List the keys, the newest first, with the hour of their last use."""
    now = time.time()
    with open_existing(data, stack) as dependencies:
        known = current_access(dependencies.reader).keys
        hours = last_uses(dependencies.reader)
    rows = [_row(key, hours.get(key.id), now) for key in sorted(known.values(), key=lambda key: -key.created_at)]
    if as_json:
        for row in rows:
            typer.echo(msgspec.json.encode(row))
    elif not rows:
        console.print("There are no keys: make one with `freshet keys create --scope SCOPE`.")
    else:
        for row in rows:
            typer.echo(
                "  ".join(f"{name}: {_cell(value)}" if name != "id" else value for name, value in row.items() if value)
            )


def rotate(
    key: KeyId,
    data: Data = DEFAULT_FOLDER,
    stack: StackName = None,
    grace_hours: Annotated[float, typer.Option(help="Hours for which the old key still counts.", min=0)] = 24.0,
) -> None:
    """Make a key with the same rights and print it, once. The old one ends after the grace time."""
    now = time.time()
    with open_existing(data, stack) as dependencies:
        old = _find(current_access(dependencies.reader).keys.values(), key, now)
        rotation = keys.rotate(old, os.urandom(keys.ENTROPY_BYTES), now, grace_hours * 3_600)
        # The new key first: if only one of the two records is kept, nobody is locked out.
        _write(dependencies.writer, "keys rotate", None, rotation.new.record, now)
        _write(dependencies.writer, "keys rotate", old, rotation.old, now)
    errors.print(f"{old.id} ends in {grace_hours:g} h. The new key is shown only now:", highlight=False, soft_wrap=True)
    typer.echo(rotation.new.text)


def revoke(key: KeyId, data: Data = DEFAULT_FOLDER, stack: StackName = None) -> None:
    """End a key. Every process refuses it within two seconds."""
    now = time.time()
    with open_existing(data, stack) as dependencies:
        old = _find(current_access(dependencies.reader).keys.values(), key, now)
        _write(dependencies.writer, "keys revoke", old, keys.revoke(old, now), now)
    console.print(f"{old.id} is revoked.", highlight=False)


def show_signing_secret(key: KeyId, data: Data = DEFAULT_FOLDER, stack: StackName = None) -> None:
    """Print the secret with which a key signs requests and tokens of users."""
    typer.echo(_secret_of(_live(key, data, stack), data, stack))


def user_token(
    user_id: Annotated[str, typer.Argument(help="The user whose data the token opens.")],
    key: Annotated[
        str, typer.Option("--key", help="The id or name of the key that signs; it may do what the token is for.")
    ],
    data: Data = DEFAULT_FOLDER,
    stack: StackName = None,
    hours: Annotated[float, typer.Option(help="Hours for which it counts.", min=0.01, max=168)] = 1.0,
) -> None:
    """Print a token of a user, for trying; a site signs its own, as the docs say (access)."""
    signer = _live(key, data, stack)
    expires_at = int(time.time() + hours * 3_600)
    typer.echo(make_user_token(_secret_of(signer, data, stack), signer.id, user_id, expires_at))


def _write(writer: LogWriter, action: str, before: AccessKey | None, after: AccessKey, now: float) -> None:
    entries: Sequence[LogEntry] = [keys.key_entry(after)]
    shown = None if before is None else _shown(before)
    write_change(writer, entries, now=now, action=action, target=f"key {after.id}", before=shown, after=_shown(after))


def _shown(key: AccessKey) -> dict[str, Any]:
    """What the audit log says of a key: not its digest."""
    return {name: value for name, value in msgspec.to_builtins(key).items() if name not in {"digest", "type"}}


def _find(known: Iterable[AccessKey], named: str, now: float) -> AccessKey:
    """The key with this id, text or name; of a name the live one. Raises ConfigurationInvalid."""
    id_ = keys.id_in(named) or named
    matching = [key for key in known if key.id == id_ or key.name == named]
    live = [key for key in matching if key.is_live(now)]
    if len(live or matching) == 1:
        return (live or matching)[0]
    if not matching:
        # What was named may be a key that somebody typed wrongly, so it is not shown.
        raise ConfigurationInvalid("there is no such key: `freshet keys list` shows their ids")
    raise ConfigurationInvalid(f"several keys are named {named}: say an id of `freshet keys list`")


def _live(named: str, data: Path, stack: StackName) -> AccessKey:
    now = time.time()
    with open_existing(data, stack) as dependencies:
        key = _find(current_access(dependencies.reader).keys.values(), named, now)
    if not key.is_live(now):
        raise ConfigurationInvalid(f"the key {key.id} is no longer live, so nothing can be signed with it")
    return key


def _secret_of(key: AccessKey, data: Path, stack: StackName) -> str:
    return signing_secret(_site_secret(data, stack), key.id)


def _site_secret(data: Path, stack: StackName) -> bytes:
    """The site's secret; raises ConfigurationInvalid if it has none."""
    secret = site_secret(settings_for(data, stack))
    if not secret:
        raise ConfigurationInvalid(
            "this needs FRESHET_ACCESS_SECRET, the same here and in every process: make one with `openssl rand -hex 32`"
        )
    return secret


def _row(key: AccessKey, hour: int | None, now: float) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "scopes": list(key.scopes),
        "origins": list(key.origins),
        "needs_user_token": key.needs_user_token,
        "state": "revoked" if key.revoked_at is not None else "live" if key.is_live(now) else "expired",
        "created": _moment(key.created_at),
        "expires": _moment(key.expires_at),
        "last_use": None if hour is None else _moment(hour * HOUR_SECONDS),
    }


def _moment(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%MZ")


def _cell(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value or "")
