"""Checks who may call the HTTP APIs."""

from __future__ import annotations

from deploy.commands.checks.setup import Check, note, ok
from schemas.access.view import AccessView
from schemas.http.settings import HttpSettings


def access(view: AccessView, settings: HttpSettings, now: float) -> Check:
    """Checks that access is checked, and that somebody is let in."""
    if settings.insecure:
        return note(
            "access",
            "FRESHET_INSECURE is set: whoever reaches a port reads every history, writes and deletes",
            "make keys with `freshet keys create`, and remove the variable",
        )
    live = sum(key.is_live(now) for key in view.keys.values())
    accounts = sum(account.is_enabled for account in view.accounts.values())
    if live or accounts:
        return ok("access", f"{live} live keys, {accounts} accounts")
    if view.had_keys:
        return note("access", "no key is live, so every request is refused", "make one with `freshet keys create`")
    return ok("access", "no keys: everybody on this machine may call, and processes listen on 127.0.0.1 alone")
