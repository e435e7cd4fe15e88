"""``freshet schedule``: archive, training, drift and statistics by themselves."""

from __future__ import annotations

import signal
import threading
from contextlib import ExitStack
from typing import Annotated

import typer

from deploy.commands.common import DEFAULT_FOLDER, Data, StackName, console, require_data, settings_for
from deploy.processes.schedule import LOOK_SECONDS, scheduling
from deploy.wiring.metrics_server import serving_metrics


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(schedule)


def schedule(
    data: Data = DEFAULT_FOLDER,
    stack: StackName = None,
    every: Annotated[float, typer.Option(help="Seconds between looks whether a job is due.", min=0.1)] = LOOK_SECONDS,
    metrics_port: Annotated[int | None, typer.Option(help="Serve Prometheus metrics here.", min=1, max=65_535)] = None,
    metrics_host: Annotated[
        str, typer.Option(help="Address of the metrics; if others can reach it, the site needs a key.")
    ] = "127.0.0.1",
) -> None:
    """Run jobs when they are due, in the foreground, until Ctrl-C: archive, training, drift, statistics.

    `freshet jobs list` shows what ran and why. FRESHET_SCHEDULE_NEW and its like say when a job is due.
    """
    settings = settings_for(data, stack)
    require_data(settings)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with ExitStack() as contexts:
        if metrics_port is not None:
            contexts.enter_context(
                serving_metrics(settings, metrics_host, metrics_port, "choose another --metrics-port")
            )
        contexts.enter_context(scheduling(settings, every))
        console.print(
            f"The schedule of {data if settings.stack == 'embedded' else settings.prefix} runs. Ctrl-C ends it."
        )
        ended.wait()
