"""``freshet import``, ``freshet train``: facts into the log, models out of it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from deploy.commands.common import DEFAULT_FOLDER, Data, StackName, console, parts_for, steps
from deploy.parts import Parts
from deploy.training import train_in
from ingest.config import IngestSettings
from ingest.importers.mapped import parse_map
from ingest.importers.recognise import recognise
from ingest.importers.run import Imported, ImportParts, ProgressFile, Step, run_import
from ingest.importers.simulated import import_sample
from ingest.validate import policy
from offline.engines import EngineName
from schemas import topics
from schemas.manifest import Manifest

SAMPLE = "games"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("import")(import_)
    app.command()(train)


def import_(
    dataset: Annotated[str, typer.Argument(help=f"A data set's name, auto to recognise it, or '{SAMPLE}'.")],
    path: Annotated[Path | None, typer.Argument(help="Its folder or file ('games' needs none).")] = None,
    data: Data = DEFAULT_FOLDER,
    stack: StackName = None,
    mapping: Annotated[str, typer.Option("--map", help="Columns: user=…,item=…,type=…,value=…,time=…")] = "",
) -> None:
    """Append a data set's items, users and events to the log; run again, it goes on where it stopped."""
    with parts_for(data, stack) as parts:
        done = import_into(parts, data, dataset, path, mapping)
    counts = ", ".join(f"{count:,} {topic}" for topic, count in done.rows.items())
    console.print(f"{done.dataset}: {counts} on the log ({done.appended:,} of them now).")
    if done.malformed:
        console.print(f"[yellow]{done.malformed:,} rows were malformed and left out[/yellow], such as:")
        for name in done.named:
            console.print(f"  {name}", markup=False)


def import_into(parts: Parts, folder: Path, dataset: str, path: Path | None, mapping: str = "") -> Imported:
    """Import a data set with a progress display."""
    settings = IngestSettings()
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


def train(
    data: Data = DEFAULT_FOLDER,
    stack: StackName = None,
    engine: Annotated[EngineName, typer.Option(help="single is this process.")] = "auto",
    force: Annotated[bool, typer.Option("--force", help="Also without new interactions.")] = False,
) -> None:
    """Archive the log, train on it and publish a new version where it is good enough."""
    with parts_for(data, stack) as parts, steps() as show:
        outcome = train_in(parts, engine, force=force, progress=show)
    if isinstance(outcome, Manifest):
        window = outcome.window
        console.print(
            f"Version [bold]{outcome.version}[/bold] is active: {outcome.algorithm} by {outcome.engine} on "
            f"{window.interactions:,} interactions of {window.users:,} users and {window.items:,} items."
        )
        for name, value in outcome.metrics.items():
            console.print(f"  {name} {value:.4f}")
    else:
        console.print(f"Not trained: {outcome.reason}")
