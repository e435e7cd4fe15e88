"""``freshet schedule``: archive, training, drift and statistics by themselves."""

from __future__ import annotations

import signal
import threading
from typing import Annotated

import typer
from prometheus_client import start_http_server

from deploy.commands.common import DEFAULT_FOLDER, Data, StackName, console, require_data, settings_for
from deploy.processes.schedule import LOOK_SECONDS, scheduling
from schemas.errors import PortInUse


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(schedule)


def schedule(
    data: Data = DEFAULT_FOLDER,
    stack: StackName = None,
    every: Annotated[float, typer.Option(help="Seconds between looks whether a job is due.", min=0.1)] = LOOK_SECONDS,
    metrics_port: Annotated[int | None, typer.Option(help="Serve Prometheus metrics here.", min=1, max=65_535)] = None,
) -> None:
    """Run jobs when they are due, in the foreground, until Ctrl-C: archive, training, drift, statistics.

    `freshet jobs list` shows what ran and why. FRESHET_SCHEDULE_NEW and its like say when a job is due.
    """
    settings = settings_for(data, stack)
    require_data(settings)
    if metrics_port is not None:
        _serve_metrics(metrics_port)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with scheduling(settings, every):
        console.print(
            f"The schedule of {data if settings.stack == 'embedded' else settings.prefix} runs. Ctrl-C ends it."
        )
        ended.wait()


def _serve_metrics(port: int) -> None:
    try:
        start_http_server(port, "127.0.0.1")
    except OSError as error:
        raise PortInUse(
            f"cannot serve metrics on port {port} ({error.strerror}): choose another --metrics-port"
        ) from error
