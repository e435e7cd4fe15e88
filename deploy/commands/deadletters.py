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
from ingest.main import site_policy
from schemas.configuration.settings import read_settings
from schemas.log.records import OffsetToken

LetterToken = Annotated[str, typer.Argument(help="Where the letter stands, as `list` shows it, such as 3:0.")]


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
        letters = list(dead_letters.letters(dependencies.reader, resolved=every))
    if not letters:
        console.print("There are no dead letters.")
        return
    rows = [
        [
            str(letter.token),
            f"{letter.letter.topic} {letter.letter.partition}:{letter.letter.offset}",
            letter.letter.reason,
        ]
        for letter in letters
    ]
    table("letter", "record", "reason", rows=rows)


def show(letter: LetterToken, data: Data = DEFAULT_FOLDER, stack: StackName = None) -> None:
    """Show a letter's original bytes on standard output, its coordinates on standard error."""
    with open_existing(data, stack) as dependencies:
        dead_letter = dead_letters.find(dependencies.reader, OffsetToken.parse(letter)).letter
    typer.echo(
        f"{dead_letter.topic} {dead_letter.partition}:{dead_letter.offset}, refused by {dead_letter.refused_by}: {dead_letter.reason}",
        err=True,
    )
    sys.stdout.buffer.write(dead_letter.original() + b"\n")


def replay(
    letter: LetterToken,
    data: Data = DEFAULT_FOLDER,
    stack: StackName = None,
    mended: Annotated[Path | None, typer.Option(help="A file with the bytes to take instead of the original.")] = None,
) -> None:
    """Put a letter back on its topic, through the collector's validation."""
    with open_existing(data, stack) as dependencies:
        open_letter = dead_letters.find(dependencies.reader, OffsetToken.parse(letter))
        value = mended.read_bytes() if mended else None
        # The log has pseudonyms already, and they would get pseudonyms of their own.
        allowed = site_policy(read_settings(IngestSettings))._replace(pseudonyms=None)
        replayed = dead_letters.replay(open_letter, dependencies.writer, datetime.now(UTC), allowed, value)
    console.print(
        f"{'It had been replayed before: it' if replayed.again else 'It'} stands on {replayed.topic} at {replayed.token}."
    )
