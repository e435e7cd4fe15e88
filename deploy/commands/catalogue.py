"""``freshet import items``: brings the catalogue up to date with a file of items."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import typer

from deploy.commands.common import StackName, console, open_for, steps
from ingest.import_pipeline.base import RowFaults
from ingest.import_pipeline.catalogue_update import CatalogueChange, update_catalogue
from ingest.import_pipeline.hash_set import HashSet
from ingest.import_pipeline.refused import RefusedFile
from ingest.import_pipeline.run import Counts, ImportDependencies, Imported
from ingest.importers.catalogue import MAPPED, CatalogueFile
from ingest.importers.mapped import parse_map
from schemas.log import topics

CATALOGUE: Final = "items"


def import_catalogue(
    path: Path | None, data: Path, stack: StackName, mapping: str, max_errors: int | None, *, full: bool
) -> Imported:
    """Write what a file of items changes, and print how many."""
    if path is None:
        raise typer.BadParameter("say which file holds the items", param_hint="PATH")
    importer = CatalogueFile(path, parse_map(mapping, MAPPED))
    with open_for(data, stack) as dependencies, steps(pace=True) as show:

        def watch(name: str, done: int, total: int) -> None:
            show(f"reading {name} (bytes)", done, total)

        # Opened writer first: that makes an embedded log where there is none.
        needs = ImportDependencies(dependencies.writer, time.time, time.sleep, HashSet())
        refused = RefusedFile(data, importer.dataset)
        faults = RowFaults(watch, refused.add, max_errors)
        change = update_catalogue(importer, needs, dependencies.reader, faults, full=full)
        refused_file = refused.close(importer)
    _print(path.name, change, faults, full=full)
    counts = Counts(change.changed, change.unchanged, faults.count)
    return Imported(
        path.name,
        {topics.ITEMS: counts},
        dict(faults.reasons),
        faults.examples,
        error=change.error,
        refused_file=refused_file,
    )


def _print(name: str, change: CatalogueChange, faults: RowFaults, *, full: bool) -> None:
    console.print(
        f"{name}: {change.changed:,} items are new or changed, {change.unchanged:,} as before, "
        f"{change.hidden:,} hidden, {faults.count:,} rows refused.",
        soft_wrap=True,
    )
    if full and faults.count:
        console.print("[yellow]Nothing was hidden, because a refused row may be that of a listed item.[/yellow]")
