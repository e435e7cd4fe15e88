"""``freshet backup``, ``freshet restore``: a whole site, in a folder or at an fsspec address, and back."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from adapters.files.backups import BackupFiles
from deploy.backup.parts import Show
from deploy.commands.common import DEFAULT_FOLDER, Data, StackName, console, require_data, settings_for, steps
from deploy.config import CommandSettings
from deploy.wiring.dependencies import open_dependencies
from schemas.backups import BACKUPS, Backup, decode_noted, encode_noted
from schemas.errors import ConfigurationInvalid, FreshetError


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(backup)
    app.command()(restore)


def backup(
    to: Annotated[str, typer.Argument(help="A new folder, or an fsspec address such as s3://bucket/backups/monday.")],
    data: Data = DEFAULT_FOLDER,
    stack: StackName = None,
    verify: Annotated[bool, typer.Option(help="Read the backup again and compare every digest.")] = True,
) -> None:
    """Back up a whole site, also while it runs: log, signals, models, documents and ledgers."""
    settings = settings_for(data, stack)
    require_data(settings)
    place = BackupFiles(to)
    place.require_empty()
    began = time.monotonic()
    with steps() as show:
        if settings.stack == "cluster":
            from deploy.backup import cluster

            made = cluster.back_up(settings, place, datetime.now(UTC), show)
        else:
            from deploy.backup import embedded

            made = embedded.back_up(settings, place, datetime.now(UTC), show)
        if verify:
            _check(place, made, show)
    _note(settings, to, made)
    size = sum(file.bytes for file in made.files.values())
    state = "every digest is right" if verify else "not verified"
    _say(
        f"{sum(made.ends.values()):,} records, {len(made.files)} files, {size / 1_048_576:,.1f} MiB in {to}: "
        f"{state}, {time.monotonic() - began:.1f} s."
    )
    for note in made.notes:
        _say(f"Note: {note}.")
    _say("It holds personal data and keys: keep it as safe as the site itself.")


def restore(
    source: Annotated[str, typer.Argument(metavar="FROM", help="A backup: a folder or an fsspec address.")],
    data: Data = DEFAULT_FOLDER,
    stack: StackName = None,
    force: Annotated[bool, typer.Option("--force", help="Also where the site is not empty.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Only compare every digest of the backup.")] = False,
) -> None:
    """Restore a backup into an empty site. Every digest is compared before anything is changed."""
    settings, place = settings_for(data, stack), BackupFiles(source)
    made = place.manifest()
    began = time.monotonic()
    with steps() as show:
        if check:
            _check(place, made, show)
            said = [f"{len(made.files)} files, every digest is right"]
        else:
            said = _restored(settings, made, place, show, force=force)
            _note(settings, source, made)
    for sentence in (*said, *(f"note: {note}" for note in made.notes)):
        _say(f"{sentence[0].upper()}{sentence[1:]}.")
    _say(f"{'Checked' if check else 'Restored'} in {time.monotonic() - began:.1f} s.")


def _restored(settings: CommandSettings, made: Backup, place: BackupFiles, show: Show, *, force: bool) -> list[str]:
    if made.stack != settings.stack:
        raise ConfigurationInvalid(
            f"the backup is of the {made.stack} stack: say --stack {made.stack}; `freshet migrate embedded-to-cluster` "
            "moves a site from one stack to the other"
        )
    if settings.stack == "cluster":
        from deploy.backup import cluster

        return cluster.restore(settings, made, place, show, force=force)
    from deploy.backup import embedded

    return embedded.restore(settings, made, place, show, force=force)


def _note(settings: CommandSettings, to: str, made: Backup) -> None:
    """Notes the backup, so that receipts of erasures can name it. Without the store the backup is as good."""
    where = to if "://" in to else str(Path(to).resolve())
    try:
        with open_dependencies(settings) as opened:
            noted = decode_noted(opened.documents.read(BACKUPS))
            opened.documents.write(BACKUPS, encode_noted(noted, where, made.created_at))
    except FreshetError as error:
        _say(f"Note: the backup could not be noted ({error}), so receipts of erasures do not name it.")


def _check(place: BackupFiles, made: Backup, show: Show) -> None:
    for number, (name, file) in enumerate(made.files.items()):
        show("comparing digests", number, len(made.files))
        place.check(name, file)


def _say(sentence: str) -> None:
    console.print(escape(sentence), highlight=False, soft_wrap=True)
