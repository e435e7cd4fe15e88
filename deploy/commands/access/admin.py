"""``freshet admin``: the accounts of the people who run a site."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from deploy.access.changes import current_access, write_change
from deploy.commands.common import DEFAULT_FOLDER, Data, StackName, console, open_existing, open_for, table
from schemas.access import accounts
from schemas.access.accounts import Account, Role
from schemas.errors import ConfigurationInvalid
from serving.accounts.passwords import checked_password, hash_password

Name = Annotated[str, typer.Argument(help="The name of the account.")]
Email = Annotated[str, typer.Option(help="The address that the OpenID Connect provider knows the person by.")]
FromInput = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input instead of asking for it.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Accounts of the people who run the site.", no_args_is_help=True)
    group.command()(create)
    group.command("list")(list_accounts)
    group.command()(role)
    group.command()(password)
    group.command("sign-out")(sign_out)
    group.command()(disable)
    group.command()(enable)
    app.add_typer(group, name="admin")


def create(
    name: Name,
    data: Data = DEFAULT_FOLDER,
    stack: StackName = None,
    role: Annotated[
        Role, typer.Option(help="viewer reads, editor also changes items and users, admin does everything.")
    ] = Role.ADMIN,
    email: Email = "",
    password_stdin: FromInput = False,
) -> None:
    """Make an account, with a password that is asked for. With --email alone, the person signs in with the provider."""
    name = accounts.checked_name(name)
    password_hash = hash_password(_new_password(name, password_stdin)) if password_stdin or not email else ""
    now = time.time()
    with open_for(data, stack) as dependencies:
        # Opened first, because it makes the log of a new folder.
        writer = dependencies.writer
        if name in current_access(dependencies.reader).accounts:
            raise ConfigurationInvalid(f"there is an account {name} already: see `freshet admin list`")
        account = accounts.new_account(name, role, now, password_hash=password_hash, email=email)
        _write(writer, "admin create", None, account, now)
    how = "name and password" if password_hash else f"the provider, as {account.email}"
    console.print(f"{name} ({role}) can sign in at /account/sign-in with {how}.")


def list_accounts(data: Data = DEFAULT_FOLDER, stack: StackName = None) -> None:
    """List the accounts."""
    with open_existing(data, stack) as dependencies:
        known = current_access(dependencies.reader).accounts
    if not known:
        console.print("There are no accounts: make one with `freshet admin create NAME`.")
        return
    rows = [
        [account.name, account.role, _ways(account), _day(account.created_at), "" if account.is_enabled else "disabled"]
        for account in sorted(known.values(), key=lambda account: account.name)
    ]
    table("name", "role", "signs in with", "made on", "", rows=rows)


def role(name: Name, role: Role, data: Data = DEFAULT_FOLDER, stack: StackName = None) -> None:
    """Give an account another role. It counts within two seconds, also for who is signed in."""
    _change(data, stack, name, "admin role", lambda account, _: accounts.with_role(account, role))
    console.print(f"{name} is {role} now.")


def password(
    name: Name, data: Data = DEFAULT_FOLDER, stack: StackName = None, password_stdin: FromInput = False
) -> None:
    """Set another password. All sessions of the account end."""
    password_hash = hash_password(_new_password(name, password_stdin))
    _change(
        data, stack, name, "admin password", lambda account, now: accounts.with_password(account, password_hash, now)
    )
    console.print(f"The password of {name} is changed, and all sessions have ended.")


def sign_out(name: Name, data: Data = DEFAULT_FOLDER, stack: StackName = None) -> None:
    """End all sessions of an account, everywhere, within two seconds."""
    _change(data, stack, name, "admin sign-out", accounts.without_sessions)
    console.print(f"All sessions of {name} have ended.")


def disable(name: Name, data: Data = DEFAULT_FOLDER, stack: StackName = None) -> None:
    """Let an account no longer sign in. Its sessions end within two seconds."""
    _change(data, stack, name, "admin disable", accounts.disabled)
    console.print(f"{name} can no longer sign in.")


def enable(name: Name, data: Data = DEFAULT_FOLDER, stack: StackName = None) -> None:
    """Let a disabled account sign in again."""
    _change(data, stack, name, "admin enable", accounts.enabled)
    console.print(f"{name} can sign in again.")


def _change(data: Any, stack: StackName, name: str, action: str, change: Callable[[Account, float], Account]) -> None:
    now = time.time()
    with open_existing(data, stack) as dependencies:
        known = current_access(dependencies.reader).accounts
        account = known.get(accounts.checked_name(name))
        if account is None:
            raise ConfigurationInvalid(f"there is no account {name}: see `freshet admin list`")
        changed = change(account, now)
        stays_admin = changed.is_enabled and changed.role is Role.ADMIN
        if accounts.is_last_admin(known, account.name) and not stays_admin:
            raise ConfigurationInvalid(
                f"{name} is the last admin: make another one first, so that somebody can undo this"
            )
        _write(dependencies.writer, action, account, changed, now)


def _write(writer: Any, action: str, before: Account | None, after: Account, now: float) -> None:
    write_change(
        writer,
        [accounts.account_entry(after)],
        now=now,
        action=action,
        target=f"account {after.name}",
        before=_shown(before) if before is not None else None,
        after=_shown(after),
    )


def _shown(account: Account) -> dict[str, Any]:
    """What the audit log says of an account: no hash of a password."""
    return {
        "role": account.role,
        "email": account.email,
        "has_password": bool(account.password_hash),
        "enabled": account.is_enabled,
        "sessions_from": account.sessions_from,
    }


def _new_password(name: str, from_input: bool) -> str:
    if from_input:
        return checked_password(sys.stdin.readline().rstrip("\n"), name)
    asked: str = typer.prompt(f"Password for {name}", hide_input=True, confirmation_prompt=True)
    return checked_password(asked, name)


def _ways(account: Account) -> str:
    ways = ["password"] if account.password_hash else []
    if account.email:
        ways.append(f"provider ({account.email}{', bound' if account.identity else ''})")
    return ", ".join(ways)


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).date().isoformat()
