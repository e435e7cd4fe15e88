"""``freshet doctor``: whether a setup has what it needs."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Final

import typer
from rich.markup import escape

from deploy.access.changes import current_access
from deploy.commands.checks import durability
from deploy.commands.checks import setup as checks
from deploy.commands.checks.access import access
from deploy.commands.checks.servers import of_cluster
from deploy.commands.checks.setup import Check, State
from deploy.commands.common import DEFAULT_FOLDER, Data, StackName, console, settings_for
from deploy.config import CommandSettings
from deploy.wiring.dependencies import open_dependencies

_MARKS: Final[dict[State, str]] = {"ok": "[green]✓[/green]", "note": "[yellow]![/yellow]", "broken": "[red]✗[/red]"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(doctor)


def doctor(data: Data = DEFAULT_FOLDER, stack: StackName = None) -> None:
    """Check what a setup needs, a line each: ✓ works, ! works with something to do, ✗ is broken (exit code 1)."""
    wrong = 0
    for check in examined(settings_for(data, stack)):
        wrong += check.state == "broken"
        advice = f" → {check.advice}" if check.advice else ""
        line = escape(f"{check.name}: {check.found}{advice}")
        console.print(f"{_MARKS[check.state]} {line}", highlight=False, soft_wrap=True)
    if wrong:
        console.print(f"{wrong} of these {'is' if wrong == 1 else 'are'} broken.")
        raise typer.Exit(1)


def examined(settings: CommandSettings) -> Iterator[Check]:
    """Every check that applies, as it is done."""
    yield checks.python(sys.version_info[:2])
    first_checks = (
        of_cluster(settings) if settings.stack == "cluster" else checks.of_folder(settings.data, settings.log_address)
    )
    fit = True
    for check in first_checks:
        fit = fit and check.state != "broken"
        yield check
    if not fit:
        # What stands on it would only repeat the same.
        return
    followed = settings.stack == "cluster" or checks.holder(settings.data) is not None
    with open_dependencies(settings) as dependencies:
        yield from checks.of_dependencies(dependencies, followed=followed)
        yield checks.run_check("access", lambda: access(current_access(dependencies.reader), settings, time.time()))
        if settings.stack == "cluster":
            yield from durability.of_cluster(dependencies, settings, time.time())
        if settings.idle_guest_days:
            yield checks.run_check(
                "idle guests",
                lambda: durability.idle_guests(dependencies.reader, dependencies.archive, settings.idle_guest_days),
            )
