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
from ingest.import_pipeline.run import ImportDependencies
from ingest.importers.catalogue import MAPPED, CatalogueFile
from ingest.importers.mapped import parse_map

CATALOGUE: Final = "items"


def import_catalogue(path: Path | None, data: Path, stack: StackName, mapping: str, *, full: bool) -> None:
    """Write what a file of items changes. Exits with 1 where no row was kept."""
    if path is None:
        raise typer.BadParameter("say which file holds the items", param_hint="PATH")
    importer = CatalogueFile(path, parse_map(mapping, MAPPED))
    with open_for(data, stack) as dependencies, steps(pace=True) as show:

        def watch(name: str, done: int, total: int) -> None:
            show(f"reading {name} (bytes)", done, total)

        # Opened writer first: that makes an embedded log where there is none.
        needs = ImportDependencies(dependencies.writer, time.time, time.sleep, HashSet())
        faults = RowFaults(watch)
        change = update_catalogue(importer, needs, dependencies.reader, faults, full=full)
    _print(path.name, change, faults, full=full)
    if not change.kept:
        raise typer.Exit(1)


def _print(name: str, change: CatalogueChange, faults: RowFaults, *, full: bool) -> None:
    console.print(
        f"{name}: {change.changed:,} items are new or changed, {change.unchanged:,} as before, "
        f"{change.hidden:,} hidden, {faults.count:,} rows refused.",
        soft_wrap=True,
    )
    for example in faults.examples:
        console.print(f"  {example}", markup=False, soft_wrap=True)
    if full and faults.count:
        console.print("[yellow]Nothing was hidden, because a refused row may be that of a listed item.[/yellow]")
