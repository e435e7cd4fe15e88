"""``freshet stack``: the real servers on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from deploy.commands.checks.servers import of_servers
from deploy.commands.common import console, errors, settings_for
from deploy.config import CommandSettings
from deploy.local import stack
from deploy.local.config import StackConfig, default_folder
from deploy.wiring.dependencies import prepare
from schemas.configuration.server_settings import ServerSettings
from schemas.errors import ConfigurationInvalid

_SECURED: Final = tuple(
    name
    for name in ServerSettings.model_fields
    if name.startswith(("kafka_", "redis_", "cassandra_")) and name != "cassandra_datacenter"
)
"""Settings of connections that are encrypted or have a user."""

ServerFolder = Annotated[Path | None, typer.Option(help="Where the servers keep their data.", show_default=".stack")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Real Kafka, Redis and Cassandra, run natively on this machine.", no_args_is_help=True)
    group.command()(start)
    group.command()(stop)
    group.command()(status)
    app.add_typer(group, name="stack")
    cluster = typer.Typer(help="Your own Kafka, Redis and Cassandra.", no_args_is_help=True)
    cluster.callback()(lambda: None)
    cluster.command()(init)
    app.add_typer(cluster, name="cluster")


def start(folder: ServerFolder = None) -> None:
    """Start the servers, make topics, keyspace and tables, print the addresses."""
    require_plain(settings_for(stack="cluster"))
    config = StackConfig(folder=folder or default_folder())
    with errors.status("Starting Kafka, Redis and Cassandra ..."):
        stack.start(config, report=errors.print)
        environment = config.environment()
        prepare(settings_for(stack="cluster").with_servers(environment))
    for name, value in environment.items():
        typer.echo(f"{name}={value}")


def require_plain(settings: CommandSettings, also: tuple[str, ...] = ()) -> None:
    """Raises ConfigurationInvalid if settings are for servers that encrypt or ask for a user: those of this stack do neither.

    ``also`` are further settings that do not fit.
    """
    fields = type(settings).model_fields
    given = [name for name in (*_SECURED, *also) if getattr(settings, name) != fields[name].default]
    if given:
        names = ", ".join(f"FRESHET_{name.upper()}" for name in given)
        raise ConfigurationInvalid(
            f"the servers and processes that this command starts serve this machine alone, without TLS and users: unset {names}"
        )


def stop(folder: ServerFolder = None) -> None:
    """End exactly what was started in the folder; its data stays."""
    with errors.status("Stopping ..."):
        ended = stack.stop(StackConfig(folder=folder or default_folder()), report=errors.print)
    if not ended:
        errors.print("Nothing was running.")


def status(folder: ServerFolder = None) -> None:
    """Show which servers run and where their logs are."""
    for server in stack.status(StackConfig(folder=folder or default_folder())):
        typer.echo(f"{server.server:<10} {server.state:<10} port {server.port}  {server.log}")


def init() -> None:
    """Make topics, keyspace and tables where they are missing, on the servers that FRESHET_KAFKA and the like name.

    What exists is never changed; the command says how it differs from the settings.
    """
    settings = settings_for(stack="cluster")
    prepare(settings)
    console.print(f"Topics, keyspace and tables of '{settings.prefix}' are there.")
    for check in of_servers(settings):
        if check.state != "ok":
            errors.print(f"{check.name}: {check.found} → {check.advice}", highlight=False, soft_wrap=True, markup=False)
