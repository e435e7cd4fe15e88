"""``freshet train``, ``freshet archive``, ``freshet simulate``: models out of the log, and events for it."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus
from http.client import HTTPException
from typing import Annotated, Any

import orjson
import typer

from deploy.commands.common import DEFAULT_FOLDER, Data, StackName, console, errors, open_existing, settings_for, steps
from deploy.wiring.training import BY_HAND, archive_by_spark, jobs_of, train_in
from ingest.simulator import shop
from offline.data.archive import archive_log
from offline.engines.engine import EngineName
from offline.evaluation import metric_names
from offline.jobs.runs import recorded
from schemas.errors import ServerMissing
from schemas.offline.manifest import Manifest

SAMPLE = "games"
_NO_COLLECTOR = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED})

_NOT_LET_IN = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(archive)
    app.command()(train)
    app.command()(simulate)


def archive(
    data: Data = DEFAULT_FOLDER,
    stack: StackName = None,
    engine: Annotated[EngineName, typer.Option(help="spark reads Kafka's partitions side by side.")] = "auto",
    reason: Annotated[str, typer.Option(hidden=True)] = BY_HAND,
) -> None:
    """Copy what is new on the log into the Parquet archive (`freshet train` does it too)."""
    with (
        open_existing(data, stack) as dependencies,
        steps() as show,
        recorded(jobs_of(dependencies), "archive", reason, show=show) as run,
    ):
        archived = archive_by_spark(dependencies, settings_for(data, stack), engine, run.progress)
        archived = archived or archive_log(dependencies.reader, dependencies.archive, progress=run.progress)
        run.say("done", f"{archived.records:,} records archived")
    console.print(f"{archived.records:,} records archived.")
    if archived.missed:
        console.print(
            f"[yellow]{archived.missed:,} were gone before: archive more often than the log forgets.[/yellow]"
        )


def simulate(
    url: Annotated[str, typer.Option(help="The collector.")] = "http://127.0.0.1:8000",
    rate: Annotated[float, typer.Option(help="Events a second.", min=0.1, max=2_000)] = 10.0,
    seconds: Annotated[float, typer.Option(help="How long; until Ctrl-C without it.", min=1)] = float("inf"),
    seed: Annotated[int, typer.Option(help="Which shoppers do what.")] = 1,
) -> None:
    """Send what the sample store's shoppers do, live, to a running collector."""
    begun: float | None = None
    accepted_count = rejected_count = 0
    api_key = settings_for().api_key.get_secret_value()
    live_events = shop.live(seed, rate, lambda: datetime.now(UTC), time.sleep)
    with suppress(KeyboardInterrupt), errors.status("") as display:
        for event in live_events:
            # The first event comes once the shop is made, which takes a moment.
            begun = begun or time.monotonic()
            if time.monotonic() - begun > seconds:
                break
            accepted = post(url, event, api_key)
            accepted_count, rejected_count = accepted_count + accepted, rejected_count + (not accepted)
            display.update(f"{accepted_count:,} events sent, {rejected_count:,} not taken; Ctrl-C ends it")
    console.print(f"{accepted_count:,} events sent, {rejected_count:,} not taken.")
    if not accepted_count:
        raise typer.Exit(1)


def post(url: str, event: Any, api_key: str = "") -> bool:
    """Whether the collector took one event; raises ServerMissing where there is none, or if it refuses the key."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {api_key}"} if api_key else {})
    try:
        request = urllib.request.Request(f"{url}/v1/events", orjson.dumps(event), headers)  # noqa: S310 - the address is the user's own
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return bool(answer.status == HTTPStatus.ACCEPTED)
    except urllib.error.HTTPError as error:
        if error.code in _NOT_LET_IN:
            raise ServerMissing(
                f"{url} does not let events in ({error.code}): set FRESHET_API_KEY to a key of it with the scope events:write"
            ) from error
        if error.code in _NO_COLLECTOR:
            raise ServerMissing(
                f"{url} answers {error.code} to events, so it is no collector: say where one is with --url"
            ) from error
        return False
    except (OSError, ValueError, HTTPException) as error:
        raise ServerMissing(
            f"no collector answers at {url} ({error}): start `freshet up`, or say where with --url"
        ) from error


def train(
    data: Data = DEFAULT_FOLDER,
    stack: StackName = None,
    engine: Annotated[EngineName, typer.Option(help="single is this process.")] = "auto",
    force: Annotated[bool, typer.Option("--force", help="Also without new interactions.")] = False,
    algorithm: Annotated[
        str | None, typer.Option(help="Whose lists to precompute; FRESHET_ALGORITHM by default.")
    ] = None,
    incremental: Annotated[
        bool, typer.Option("--incremental", help="Go on from the active version's factors for a few iterations.")
    ] = False,
    reason: Annotated[str, typer.Option(hidden=True)] = BY_HAND,
) -> None:
    """Archive the log, train on it and publish a new version where it is good enough."""
    with open_existing(data, stack) as dependencies, steps() as show:
        archive_by_spark(dependencies, settings_for(data, stack), engine, show)
        outcome = train_in(
            dependencies,
            engine,
            force=force,
            progress=show,
            reason=reason,
            algorithm=algorithm,
            incremental=incremental,
        )
    if isinstance(outcome, Manifest):
        window = outcome.window
        console.print(
            f"Version [bold]{outcome.version}[/bold] is active: {outcome.algorithm} by {outcome.engine} on "
            f"{window.interactions:,} interactions of {window.users:,} users and {window.items:,} items."
        )
        for name, value in outcome.metrics.items():
            if "[" not in name:  # those of segments are for the gate
                console.print(
                    f"  {name} {value:,.0f}" if name == metric_names.EVALUATED_USERS else f"  {name} {value:.4f}"
                )
        _warn_of_quality(outcome)
    else:
        console.print(f"Not trained: {outcome.reason}")


def _warn_of_quality(manifest: Manifest) -> None:
    for name in ("NDCG@10", "HR@10"):
        value, popular = manifest.metrics.get(name), manifest.metrics.get(metric_names.BASELINE + name)
        if value is not None and popular is not None and value < popular:
            console.print(
                f"[yellow]Warning: its {name} of {value:.4f} is below popularity's {popular:.4f}: "
                "on this data, showing what is popular does better.[/yellow]",
                soft_wrap=True,
            )
            return
