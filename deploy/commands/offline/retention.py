"""``freshet retention``: removes raw events whose type is kept for fewer days."""

from __future__ import annotations

from typing import Annotated

import typer

from deploy.commands.common import DEFAULT_FOLDER, Data, StackName, console, errors, open_existing, settings_for, steps
from deploy.wiring.retention import Expired, expire_in
from deploy.wiring.training import BY_HAND, jobs_of
from offline.config import OfflineSettings
from offline.jobs.runs import recorded
from schemas.configuration.settings import read_settings
from schemas.errors import ConfigurationInvalid


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(retention)


def retention(
    data: Data = DEFAULT_FOLDER,
    stack: StackName = None,
    reason: Annotated[str, typer.Option(hidden=True)] = BY_HAND,
) -> None:
    """Remove raw events that are older than FRESHET_RETENTION_DAYS_BY_TYPE keeps their type, and fold the signals anew.

    It may run under traffic. `freshet schedule` runs it once a day. Exit code 1 if a partition could not be folded anew.
    """
    days = read_settings(OfflineSettings).retention
    if not days:
        raise ConfigurationInvalid("no type has a retention: set FRESHET_RETENTION_DAYS_BY_TYPE, as search=30,view=400")
    with (
        open_existing(data, stack) as dependencies,
        steps() as show,
        recorded(jobs_of(dependencies), "retention", reason, show=show) as run,
    ):
        expired = expire_in(dependencies, settings_for(data, stack), days, run)
        run.note_expired(expired.removed.total())
        run.say("failed" if expired.problems else "done", _summary(expired))
    console.print(_summary(expired), highlight=False, soft_wrap=True)
    for problem in dict.fromkeys(expired.problems):
        errors.print(f"[yellow]Not folded anew:[/yellow] {problem}", highlight=False, soft_wrap=True)
    if expired.problems:
        raise typer.Exit(1)


def _summary(expired: Expired) -> str:
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(expired.removed.items())) or "none"
    return f"Removed records: {kinds}; the signals of {expired.replaced} partitions were folded anew."
