"""``freshet import``, ``freshet train``: facts into the log, models out of it."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from deploy.commands.common import DEFAULT_FOLDER, Data, StackName, console, errors, parts_for, settings_for, steps
from deploy.parts import Parts
from deploy.training import BY_HAND, archive_by_spark, jobs_of, train_in
from ingest.config import IngestSettings
from ingest.importers.mapped import parse_map
from ingest.importers.recognise import recognise
from ingest.importers.run import Imported, ImportParts, ProgressFile, Step, run_import
from ingest.importers.simulated import import_sample
from ingest.simulator import shop
from ingest.validate import policy
from offline import gate
from offline.archive import archive_log
from offline.engines import EngineName
from offline.jobs.runs import recorded
from schemas import topics
from schemas.errors import ServerMissing
from schemas.manifest import Manifest
from schemas.settings import read_settings

SAMPLE = "games"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("import")(import_)
    app.command()(archive)
    app.command()(train)
    app.command()(simulate)


def import_(
    dataset: Annotated[str, typer.Argument(help=f"A data set's name, auto to recognise it, or '{SAMPLE}'.")],
    path: Annotated[Path | None, typer.Argument(help="Its folder or file ('games' needs none).")] = None,
    data: Data = DEFAULT_FOLDER,
    stack: StackName = None,
    mapping: Annotated[str, typer.Option("--map", help="Columns: user=…,item=…,type=…,value=…,time=…")] = "",
) -> None:
    """Append a data set's items, users and events to the log; run again, it goes on where it stopped."""
    _check(dataset, path, mapping)
    with parts_for(data, stack) as parts:
        done = import_into(parts, data, dataset, path, mapping)
    counts = ", ".join(f"{count:,} {topic}" for topic, count in done.rows.items())
    console.print(f"{done.dataset}: {counts} on the log ({done.appended:,} of them now).")
    if done.malformed:
        console.print(f"[yellow]{done.malformed:,} rows were malformed and left out[/yellow], such as:")
        for name in done.named:
            console.print(f"  {name}", markup=False)


def _check(dataset: str, path: Path | None, mapping: str) -> None:
    """Refuse what cannot be imported before a data folder is made for it."""
    if dataset == SAMPLE:
        if path is not None:
            raise typer.BadParameter(f"'{SAMPLE}' is the built-in sample and takes no path", param_hint="PATH")
    elif path is None:
        raise typer.BadParameter("say where the data set is: a folder or a file", param_hint="PATH")
    else:
        recognise(path, parse_map(mapping) if mapping else None, dataset)


def import_into(parts: Parts, folder: Path, dataset: str, path: Path | None, mapping: str = "") -> Imported:
    """Import a data set with a progress display."""
    settings = read_settings(IngestSettings)
    allowed = policy(settings.event_types, settings.personal_keys)
    # Opened writer first: that makes an embedded log where there is none.
    writer = parts.writer
    taking = ImportParts(writer, time.time, time.sleep, allowed, parts.reader.log_id(topics.EVENTS))
    with steps() as show:

        def report(step: Step) -> None:
            show(f"importing {step.topic}", step.rows, None)

        if dataset == SAMPLE and path is None:
            return import_sample(taking, ProgressFile(folder / "import-games.json"), report)
        if path is None:
            raise typer.BadParameter("say where the data set is: a folder or a file", param_hint="PATH")
        importer = recognise(path, parse_map(mapping) if mapping else None, dataset)
        return run_import(importer, taking, ProgressFile(folder / f"import-{importer.dataset}.json"), report)


def archive(
    data: Data = DEFAULT_FOLDER,
    stack: StackName = None,
    engine: Annotated[EngineName, typer.Option(help="spark reads Kafka's partitions side by side.")] = "auto",
    reason: Annotated[str, typer.Option(hidden=True)] = BY_HAND,
) -> None:
    """Copy what is new on the log into the Parquet archive (`freshet train` does it too)."""
    with (
        parts_for(data, stack) as parts,
        steps() as show,
        recorded(jobs_of(parts), "archive", reason, show=show) as run,
    ):
        done = archive_by_spark(parts, settings_for(stack), engine, run.progress)
        done = done or archive_log(parts.reader, parts.archive, progress=run.progress)
        run.say("done", f"{done.records:,} records archived")
    console.print(f"{done.records:,} records archived.")
    if done.missed:
        console.print(f"[yellow]{done.missed:,} were gone before: archive more often than the log forgets.[/yellow]")


def simulate(
    url: Annotated[str, typer.Option(help="The collector.")] = "http://127.0.0.1:8000",
    rate: Annotated[float, typer.Option(help="Events a second.", min=0.1, max=2_000)] = 10.0,
    seconds: Annotated[float, typer.Option(help="How long; until Ctrl-C without it.", min=1)] = float("inf"),
    seed: Annotated[int, typer.Option(help="Which shoppers do what.")] = 1,
) -> None:
    """Send what the sample store's shoppers do, live, to a running collector."""
    begun = time.monotonic()
    sent = rejected = 0
    happening = shop.live(seed, rate, lambda: datetime.now(UTC), time.sleep)
    with suppress(KeyboardInterrupt), errors.status("") as shown:
        for event in happening:
            if time.monotonic() - begun > seconds:
                break
            accepted = post(url, event)
            sent, rejected = sent + accepted, rejected + (not accepted)
            shown.update(f"{sent:,} events sent, {rejected:,} not taken; Ctrl-C ends it")
    console.print(f"{sent:,} events sent, {rejected:,} not taken.")


def post(url: str, event: Any) -> bool:
    """Whether the collector took one event; raises ServerMissing where there is none."""
    request = urllib.request.Request(  # noqa: S310 - the address is the user's own
        f"{url}/v1/events", orjson.dumps(event), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return bool(answer.status == HTTPStatus.ACCEPTED)
    except urllib.error.HTTPError:
        return False
    except OSError as error:
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
    with parts_for(data, stack) as parts, steps() as show:
        archive_by_spark(parts, settings_for(stack), engine, show)
        outcome = train_in(
            parts, engine, force=force, progress=show, reason=reason, algorithm=algorithm, incremental=incremental
        )
    if isinstance(outcome, Manifest):
        window = outcome.window
        console.print(
            f"Version [bold]{outcome.version}[/bold] is active: {outcome.algorithm} by {outcome.engine} on "
            f"{window.interactions:,} interactions of {window.users:,} users and {window.items:,} items."
        )
        for name, value in outcome.metrics.items():
            if "[" not in name:  # those of segments are for the gate
                console.print(f"  {name} {value:,.0f}" if name == gate.PEOPLE else f"  {name} {value:.4f}")
        _warn_of_quality(outcome)
    else:
        console.print(f"Not trained: {outcome.reason}")


def _warn_of_quality(manifest: Manifest) -> None:
    for name in ("NDCG@10", "HR@10"):
        own, popular = manifest.metrics.get(name), manifest.metrics.get(gate.BASELINE + name)
        if own is not None and popular is not None and own < popular:
            console.print(
                f"[yellow]Warning: its {name} of {own:.4f} is below popularity's {popular:.4f}: "
                "on this data, showing what is popular does better.[/yellow]",
                soft_wrap=True,
            )
            return
