"""`python -m deploy.local start|stop|status|wipe`."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from deploy.local import stack
from deploy.local.config import SERVERS, StackConfig, default_folder
from deploy.local.errors import StackError

app = typer.Typer(
    help="The real servers, run natively on this machine.",
    no_args_is_help=True,
    add_completion=False,
)
# Progress goes to stderr, so that stdout holds nothing but the environment's lines.
_progress = Console(stderr=True, highlight=False)
_DEFAULT_SERVERS = ",".join(SERVERS)

ServerFolder = Annotated[Path | None, typer.Option(help="Data folder.", show_default=".stack")]
Servers = Annotated[str, typer.Option(help="Comma-separated: kafka, redis, cassandra, prometheus.")]


@app.command()
def start(
    folder: ServerFolder = None,
    servers: Servers = _DEFAULT_SERVERS,
    kafka_port: Annotated[int, typer.Option()] = StackConfig.kafka_port,
    kafka_controller_port: Annotated[int, typer.Option()] = StackConfig.kafka_controller_port,
    redis_port: Annotated[int, typer.Option()] = StackConfig.redis_port,
    cassandra_port: Annotated[int, typer.Option()] = StackConfig.cassandra_port,
    cassandra_storage_port: Annotated[int, typer.Option()] = StackConfig.cassandra_storage_port,
    prometheus_port: Annotated[int, typer.Option()] = StackConfig.prometheus_port,
    prometheus_config: Annotated[Path | None, typer.Option()] = None,
) -> None:
    """Start the servers and print their addresses as environment lines."""
    config = replace(
        _config(folder),
        kafka_port=kafka_port,
        kafka_controller_port=kafka_controller_port,
        redis_port=redis_port,
        cassandra_port=cassandra_port,
        cassandra_storage_port=cassandra_storage_port,
        prometheus_port=prometheus_port,
        prometheus_config=prometheus_config and prometheus_config.resolve(),
    )
    chosen = _split(servers)
    with _progress.status("starting the stack"):
        stack.start(config, chosen, _report)
    for name, value in config.environment(chosen).items():
        typer.echo(f"{name}={value}")


@app.command()
def stop(folder: ServerFolder = None, servers: Annotated[str, typer.Option()] = "") -> None:
    """Stop what was started in the folder; its data stays."""
    with _progress.status("stopping the stack"):
        ended = stack.stop(_config(folder), _split(servers) or None, _report)
    if not ended:
        _report("nothing was running")


@app.command()
def status(folder: ServerFolder = None) -> None:
    """Show which servers run, and where their logs are."""
    table = Table("server", "state", "pid", "port", Column("log", overflow="fold"), box=None)
    for server in stack.status(_config(folder)):
        pid = "" if server.pid is None else str(server.pid)
        table.add_row(server.server, server.state, pid, str(server.port), str(server.log))
    Console().print(table)


@app.command()
def wipe(folder: ServerFolder = None, servers: Servers = _DEFAULT_SERVERS) -> None:
    """Remove the data of stopped servers."""
    config = _config(folder)
    for name in _split(servers):
        stack.wipe(config, name)
        _report(f"{name}'s data removed")


def main() -> None:
    """Runs the command; a stack's error is one sentence, not a traceback."""
    try:
        app()
    except StackError as error:
        _progress.print(f"[red]error:[/red] {error}", soft_wrap=True)
        raise SystemExit(1) from None


def _config(folder: Path | None) -> StackConfig:
    return StackConfig(folder=folder or default_folder())


def _split(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]


def _report(message: str) -> None:
    _progress.print(message, soft_wrap=True)


if __name__ == "__main__":
    main()
