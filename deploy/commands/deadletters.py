"""``freshet deadletters``: what could not be decoded or applied."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from deploy.commands.common import DEFAULT_FOLDER, Data, StackName, console, open_existing, table
from ingest import dead_letters
from ingest.config import IngestSettings
from ingest.validation.validate import Policy, policy
from schemas.log.records import OffsetToken
from schemas.settings import read_settings

Place = Annotated[str, typer.Argument(help="Where the letter stands, as `list` shows it, such as 3:0.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Records that could not be decoded or applied.", no_args_is_help=True)
    group.command("list")(list_letters)
    group.command()(show)
    group.command()(replay)
    app.add_typer(group, name="deadletters")


def list_letters(
    data: Data = DEFAULT_FOLDER,
    stack: StackName = None,
    every: Annotated[bool, typer.Option("--all", help="Also those that were replayed.")] = False,
) -> None:
    """List the letters still to be dealt with."""
    with open_existing(data, stack) as dependencies:
        found = list(dead_letters.letters(dependencies.reader, resolved=every))
    if not found:
        console.print("There are no dead letters.")
        return
    rows = [
        [str(each.token), f"{each.letter.topic} {each.letter.partition}:{each.letter.offset}", each.letter.reason]
        for each in found
    ]
    table("letter", "record", "reason", rows=rows)


def show(letter: Place, data: Data = DEFAULT_FOLDER, stack: StackName = None) -> None:
    """Show a letter's original bytes on standard output, its coordinates on standard error."""
    with open_existing(data, stack) as dependencies:
        found = dead_letters.find(dependencies.reader, OffsetToken.parse(letter)).letter
    typer.echo(
        f"{found.topic} {found.partition}:{found.offset}, refused by {found.refused_by}: {found.reason}", err=True
    )
    sys.stdout.buffer.write(found.original() + b"\n")


def replay(
    letter: Place,
    data: Data = DEFAULT_FOLDER,
    stack: StackName = None,
    mended: Annotated[Path | None, typer.Option(help="A file with the bytes to take instead of the original.")] = None,
) -> None:
    """Put a letter back on its topic, through the collector's validation."""
    with open_existing(data, stack) as dependencies:
        found = dead_letters.find(dependencies.reader, OffsetToken.parse(letter))
        value = mended.read_bytes() if mended else None
        done = dead_letters.replay(found, dependencies.writer, datetime.now(UTC), _policy(), value)
    console.print(
        f"{'It had been replayed before: it' if done.again else 'It'} stands on {done.topic} at {done.token}."
    )


def _policy() -> Policy:
    settings = read_settings(IngestSettings)
    return policy(settings.event_types, settings.personal_keys)
