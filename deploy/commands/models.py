"""``freshet models``: versions, and which one is active."""

from __future__ import annotations

import time
from typing import Annotated

import msgspec
import typer

from deploy.commands.common import DEFAULT_FOLDER, Data, StackName, console, parts_for, table
from offline import publish

Version = Annotated[str, typer.Argument(help="A version, as `list` shows it.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Model versions, and which one answers.", no_args_is_help=True)
    group.command("list")(list_versions)
    group.command()(show)
    group.command()(promote)
    group.command()(rollback)
    app.add_typer(group, name="models")


def list_versions(data: Data = DEFAULT_FOLDER, stack: StackName = None) -> None:
    """List the versions, newest first; the active one is marked."""
    with parts_for(data, stack) as parts:
        active, versions = parts.models.active(), parts.models.versions()
    if not versions:
        console.print("There is no model yet; `freshet train` makes one.")
        return
    rows = [
        [
            "active" if each.version == active else "",
            each.version,
            f"{each.algorithm} by {each.engine}",
            f"{each.window.interactions:,}",
            ", ".join(f"{name} {value:.3f}" for name, value in each.metrics.items()),
        ]
        for each in versions
    ]
    table("", "version", "made", "interactions", "metrics", rows=rows)


def show(version: Version, data: Data = DEFAULT_FOLDER, stack: StackName = None) -> None:
    """Show a version's manifest as JSON."""
    with parts_for(data, stack) as parts:
        manifest = parts.models.manifest(version)
    console.print_json(msgspec.json.encode(manifest).decode())


def promote(version: Version, data: Data = DEFAULT_FOLDER, stack: StackName = None) -> None:
    """Make a version the active one."""
    with parts_for(data, stack) as parts:
        publish.promote(parts.models, parts.writer, version, time.time())
    console.print(f"{version} is active.")


def rollback(data: Data = DEFAULT_FOLDER, stack: StackName = None) -> None:
    """Go back to the version before the active one."""
    with parts_for(data, stack) as parts:
        manifest = publish.rollback(parts.models, parts.writer, time.time())
    console.print(f"{manifest.version} is active again.")
