"""``freshet import``, ``freshet train``: facts into the log, models out of it."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import orjson
import typer

from adapters import http_download
from deploy.commands.catalogue import CATALOGUE, import_catalogue
from deploy.commands.common import DEFAULT_FOLDER, Data, StackName, console, errors, open_for, settings_for, steps
from deploy.wiring.dependencies import Dependencies
from deploy.wiring.training import BY_HAND, archive_by_spark, jobs_of, note_weights, train_in
from ingest.config import IngestSettings
from ingest.import_pipeline.base import Importer
from ingest.import_pipeline.filtered import Filtered
from ingest.import_pipeline.k_core import parse_filter
from ingest.import_pipeline.published import downloaded
from ingest.import_pipeline.run import ImportDependencies, Imported, ImportStep, ProgressFile, run_import
from ingest.importers.mapped import parse_map
from ingest.importers.recognise import published, recognise
from ingest.importers.simulated import import_sample
from ingest.main import site_policy
from ingest.simulator import shop
from offline.data.archive import archive_log
from offline.engines.engine import EngineName
from offline.evaluation import metric_names
from offline.jobs.runs import recorded
from schemas.errors import ServerMissing
from schemas.log import topics
from schemas.manifest import Manifest
from schemas.settings import read_settings
from schemas.weights import Weight, describe, parse_weights

SAMPLE = "games"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("import")(import_)
    app.command()(archive)
    app.command()(train)
    app.command()(simulate)


def import_(
    dataset: Annotated[
        str,
        typer.Argument(help=f"A data set's name, auto to recognise it, {CATALOGUE} for a catalogue, or '{SAMPLE}'."),
    ],
    path: Annotated[Path | None, typer.Argument(help="Its folder or file ('games' needs none).")] = None,
    data: Data = DEFAULT_FOLDER,
    stack: StackName = None,
    mapping: Annotated[str, typer.Option("--map", help="Columns: user=…,item=…,type=…,value=…,time=…")] = "",
    weights: Annotated[
        str, typer.Option(help="What types of events count in training from now on: view=1,purchase=5,rating=3:1/5:4.")
    ] = "",
    rules: Annotated[
        str, typer.Option("--filter", help="Whom and what to keep: k-core=5,min-user=N,min-item=N,top-items=N.")
    ] = "",
    full: Annotated[
        bool,
        typer.Option("--full", help="With 'items': the file lists all items, so hide those that it does not list."),
    ] = False,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch the data set into PATH first; broken off, it goes on.")
    ] = False,
) -> None:
    """Append a data set's items, users and events to the log; run again, it goes on where it stopped."""
    if dataset == CATALOGUE:
        import_catalogue(path, data, stack, mapping, full=full)
        return
    if download and path is not None:
        path = _download(dataset, path)
    importer = _importer(dataset, path, mapping, rules)
    event_weights = parse_weights(weights)
    with open_for(data, stack) as dependencies:
        imported = import_into(dependencies, data, importer, event_weights)
    counts = ", ".join(f"{count:,} {topic}" for topic, count in imported.rows.items())
    console.print(f"{imported.dataset}: {counts} read ({imported.appended:,} of them now), and on the log.")
    if imported.malformed:
        console.print(f"[yellow]{imported.malformed:,} rows were malformed and left out[/yellow], such as:")
        for name in imported.examples:
            console.print(f"  {name}", markup=False)


def _download(dataset: str, folder: Path) -> Path:
    """Fetch a data set from its publisher with a progress display."""
    with steps(pace=True) as show:

        def fetch(url: str, path: Path) -> Path:
            return http_download.fetch(
                url, path, lambda received, total: show(f"fetching {path.name}", received, total or None)
            )

        return downloaded(dataset, folder, fetch, published())


def _importer(dataset: str, path: Path | None, mapping: str, rules: str = "") -> Importer | None:
    """What reads the data set, before a data folder is made for it; None for the built-in sample."""
    if dataset == SAMPLE:
        if path is not None:
            raise typer.BadParameter(f"'{SAMPLE}' is the built-in sample and takes no path", param_hint="PATH")
        return None
    if path is None:
        raise typer.BadParameter("say where the data set is: a folder or a file", param_hint="PATH")
    filter_rules = parse_filter(rules)
    importer = recognise(path, parse_map(mapping) if mapping else None, dataset.partition(":")[0])
    return Filtered(importer, filter_rules) if str(filter_rules) else importer


def import_into(
    dependencies: Dependencies,
    folder: Path,
    importer: Importer | None,
    weights: Mapping[str, Weight] = MappingProxyType({}),
) -> Imported:
    """Import a data set, or the sample store, with a progress display; notes what its types of events count."""
    if event_weights := weights or (importer.weights if importer else {}):
        note_weights(dependencies, describe(event_weights))
    allowed = site_policy(read_settings(IngestSettings))
    # Opened writer first: that makes an embedded log where there is none.
    writer = dependencies.writer
    import_dependencies = ImportDependencies(
        writer, time.time, time.sleep, allowed, dependencies.reader.log_id(topics.EVENTS)
    )
    with steps(pace=True) as show:

        def report(step: ImportStep) -> None:
            show(f"writing {step.topic} to the log", step.rows, step.expected)

        def watch(name: str, bytes_read: int, total: int) -> None:
            show(f"reading {name} (bytes)", bytes_read, total)

        if importer is None:
            return import_sample(import_dependencies, ProgressFile(folder / "import-games.json"), report)
        return run_import(
            importer, import_dependencies, ProgressFile(folder / f"import-{importer.dataset}.json"), report, watch
        )


def archive(
    data: Data = DEFAULT_FOLDER,
    stack: StackName = None,
    engine: Annotated[EngineName, typer.Option(help="spark reads Kafka's partitions side by side.")] = "auto",
    reason: Annotated[str, typer.Option(hidden=True)] = BY_HAND,
) -> None:
    """Copy what is new on the log into the Parquet archive (`freshet train` does it too)."""
    with (
        open_for(data, stack) as dependencies,
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
    begun = time.monotonic()
    accepted_count = rejected_count = 0
    live_events = shop.live(seed, rate, lambda: datetime.now(UTC), time.sleep)
    with suppress(KeyboardInterrupt), errors.status("") as display:
        for event in live_events:
            if time.monotonic() - begun > seconds:
                break
            accepted = post(url, event)
            accepted_count, rejected_count = accepted_count + accepted, rejected_count + (not accepted)
            display.update(f"{accepted_count:,} events sent, {rejected_count:,} not taken; Ctrl-C ends it")
    console.print(f"{accepted_count:,} events sent, {rejected_count:,} not taken.")


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
    with open_for(data, stack) as dependencies, steps() as show:
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
