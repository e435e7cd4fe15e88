"""``freshet audit``: who changed what."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import msgspec
import typer

from deploy.commands.common import DEFAULT_FOLDER, Data, StackName, console, open_existing, table
from ingest import audit
from schemas.log.records import OffsetToken


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="The audit log: who changed what, and when.", no_args_is_help=True)
    group.command("list")(list_records)
    group.command()(show)
    app.add_typer(group, name="audit")


def list_records(
    data: Data = DEFAULT_FOLDER,
    stack: StackName = None,
    limit: Annotated[int, typer.Option(min=1, help="Records to list, newest first.")] = 50,
    actor: Annotated[str | None, typer.Option(help="Only those of this key, account or system user.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List the newest records."""
    with open_existing(data, stack) as dependencies:
        entries = audit.newest(dependencies.reader, limit, actor)
    if as_json:
        for entry in entries:
            typer.echo(msgspec.json.encode({"token": str(entry.token), **msgspec.to_builtins(entry.record)}))
        return
    if not entries:
        console.print("The audit log has no records.")
        return
    rows = [
        [
            str(token),
            _moment(record.at),
            f"{record.actor_kind} {record.actor}",
            record.action,
            record.target,
            record.address,
        ]
        for token, record in entries
    ]
    table("record", "time (UTC)", "who", "did", "to", "from", rows=rows)


def show(
    record: Annotated[str, typer.Argument(help="Where the record stands, as `list` shows it, such as 3:0.")],
    data: Data = DEFAULT_FOLDER,
    stack: StackName = None,
) -> None:
    """Show a record as JSON, with the value before and after the change."""
    with open_existing(data, stack) as dependencies:
        entry = audit.find(dependencies.reader, OffsetToken.parse(record))
        before = audit.before_change(dependencies.reader, entry.record)
    shown = {**msgspec.to_builtins(entry.record), "before": before}
    typer.echo(msgspec.json.format(msgspec.json.encode(shown), indent=2))


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")
