"""``freshet import``: the rows of a data set into the log, each once, and counts of all of them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import msgspec
import typer
from rich.markup import escape

from adapters.http import download as http_download
from deploy.commands.common import DEFAULT_FOLDER, Data, StackName, console, open_for, steps
from deploy.commands.file_options import with_file_options
from deploy.wiring.dependencies import Dependencies
from deploy.wiring.pseudonyms import check_pepper
from deploy.wiring.rating_scale import scale_for_import
from deploy.wiring.training import note_weights
from ingest.config import IngestSettings
from ingest.import_pipeline.base import Importer, RowFaults
from ingest.import_pipeline.catalogue.full_update import hide_unlisted
from ingest.import_pipeline.files import holds_refused_rows
from ingest.import_pipeline.filtered import Filtered
from ingest.import_pipeline.formats.dialect import FOUND_OUT, FileOptions
from ingest.import_pipeline.hash_set import HashSet
from ingest.import_pipeline.k_core import parse_filter
from ingest.import_pipeline.ledger import open_ledger
from ingest.import_pipeline.published import downloaded
from ingest.import_pipeline.refused import RefusedFile
from ingest.import_pipeline.run import Counts, ImportDependencies, Imported, ImportStep, run_import
from ingest.importers.catalogue import MAPPED, CatalogueFile
from ingest.importers.mapped import parse_map
from ingest.importers.recognise import file_importers, published, recognise
from ingest.importers.simulated import SampleFile, import_sample
from ingest.main import site_policy
from schemas.configuration.settings import read_settings
from schemas.log import topics
from schemas.values.rating_scale import DEFAULT_SCALE
from schemas.values.weights import Weight, describe, parse_weights

SAMPLE = "games"
CATALOGUE = "items"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("import")(import_)


@with_file_options
def import_(
    dataset: Annotated[
        str,
        typer.Argument(help=f"A data set's name, auto to recognise it, {CATALOGUE} for a catalogue, or '{SAMPLE}'."),
    ],
    path: Annotated[Path | None, typer.Argument(help="Its folder or file ('games' needs none).")] = None,
    data: Data = DEFAULT_FOLDER,
    stack: StackName = None,
    mapping: Annotated[
        str,
        typer.Option(
            "--map", help="Columns: user=…,item=…,type=…,value=…,time=…; of items: title=…,categories=…,price=…"
        ),
    ] = "",
    weights: Annotated[
        str, typer.Option(help="What types of events count in training from now on: view=1,purchase=5,rating=3:1/5:4.")
    ] = "",
    rules: Annotated[
        str, typer.Option("--filter", help="Whom and what to keep: k-core=5,min-user=N,min-item=N,top-items=N.")
    ] = "",
    files: FileOptions = FOUND_OUT,
    full: Annotated[
        bool,
        typer.Option("--full", help="With 'items': the file lists all items, so hide those that it does not list."),
    ] = False,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch the data set into PATH first; broken off, it goes on.")
    ] = False,
    max_errors: Annotated[
        int | None, typer.Option("--max-errors", help="End early once more rows than so many are refused.", min=0)
    ] = None,
    json: Annotated[Path | None, typer.Option("--json", help="Also write the counts here.")] = None,
) -> None:
    """Append a data set's items, users and events to the log, each row once; run again, it appends what is missing.

    Exit code 0 if the log holds rows of the data set, also where all are repeated; 1 if it holds none.
    """
    if full:
        _refuse_part_as_full(dataset, path)
    if download and path is not None:
        path = _download(dataset, path)
    importer = _importer(dataset, path, mapping, rules, files)
    show_form(importer)
    event_weights = parse_weights(weights)
    with open_for(data, stack) as dependencies:
        imported = import_into(dependencies, data, importer, event_weights, max_errors)
        hidden = _hide_unlisted(dependencies, importer, imported) if full and importer else 0
    show_counts(imported)
    if full:
        _show_hidden(imported, hidden)
    if json is not None:
        json.write_bytes(msgspec.json.format(msgspec.json.encode(counts_of(imported))) + b"\n")
    if imported.error is not None:
        raise imported.error
    if imported.in_vain:
        raise typer.Exit(1)


def _refuse_part_as_full(dataset: str, path: Path | None) -> None:
    """Raises BadParameter if ``--full`` would hide items because the file does not list the whole catalogue."""
    if dataset != CATALOGUE:
        raise typer.BadParameter(
            f"only a catalogue can be full: freshet import {CATALOGUE} FILE --full", param_hint="--full"
        )
    if path is not None and path.is_file() and holds_refused_rows(path):
        raise typer.BadParameter(
            f"{path.name} holds only the rows that an import refused, and --full would hide all other items: "
            "import it without --full, then the mended catalogue with it",
            param_hint="--full",
        )


def counts_of(imported: Imported) -> dict[str, Any]:
    """The counts for ``--json``: what was read is what was kept, repeated and refused."""
    total = imported.total
    return {"read": total.read, "kept": total.kept, "repeated": total.repeated, "refused": dict(imported.refused)}


def show_counts(imported: Imported, left_out: str = "more were left out by the filter") -> None:
    """Prints what became of the rows, and why rows were refused."""
    read = ", ".join(f"{counts.read:,} {topic}" for topic, counts in imported.topics.items()) or "0 rows"
    total = imported.total
    console.print(
        f"{imported.dataset}: {read} read: {total.kept:,} kept, {total.repeated:,} repeated, {total.refused:,} refused.",
        highlight=False,
        soft_wrap=True,
    )
    if imported.left_out:
        console.print(f"{imported.left_out:,} {left_out}.", soft_wrap=True)
    if total.repeated:
        console.print("Repeated rows stand on the log already, or came twice in the files.")
    for correction, count in imported.mended.items():
        console.print(f"{correction}: {count:,}.", soft_wrap=True)
    show_refused(imported)


def show_form(importer: Importer | None) -> None:
    """Prints how a file is read, if its form was found out."""
    if importer is not None and importer.description:
        console.print(importer.description, markup=False, soft_wrap=True)


def show_refused(imported: Imported) -> None:
    """Prints why rows were refused, with the first of them, if there are any."""
    if not imported.refused:
        return
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in imported.refused.items())
    console.print(f"[yellow]Refused[/yellow]: {escape(reasons)}; such as:", soft_wrap=True)
    for example in imported.examples:
        console.print(f"  {example}", markup=False, soft_wrap=True)
    if imported.refused_file is not None:
        console.print(
            f"They are in {imported.refused_file}, with reasons. Mend the rows there, and import that file with the same --map.",
            markup=False,
            soft_wrap=True,
        )


def _hide_unlisted(dependencies: Dependencies, importer: Importer, imported: Imported) -> int:
    needs = ImportDependencies(dependencies.writer, time.time, time.sleep, HashSet())
    return hide_unlisted(importer, imported, needs, dependencies.reader)


def _show_hidden(imported: Imported, hidden: int) -> None:
    console.print(f"{hidden:,} items that the file does not list are hidden now.")
    if imported.total.refused:
        console.print("[yellow]Nothing was hidden, because a refused row may be that of a listed item.[/yellow]")


def _download(dataset: str, folder: Path) -> Path:
    """Fetch a data set from its publisher with a progress display."""
    with steps(pace=True) as show:

        def fetch(url: str, path: Path) -> Path:
            return http_download.fetch(
                url, path, lambda received, total: show(f"fetching {path.name}", received, total or None)
            )

        return downloaded(dataset, folder, fetch, published())


def _importer(
    dataset: str, path: Path | None, mapping: str, rules: str = "", options: FileOptions = FOUND_OUT
) -> Importer | None:
    """What reads the data set, before a data folder is made for it; None for the built-in sample."""
    if dataset == SAMPLE:
        if path is not None:
            raise typer.BadParameter(f"'{SAMPLE}' is the built-in sample and takes no path", param_hint="PATH")
        return None
    if path is None:
        raise typer.BadParameter("say where the data set is: a folder or a file", param_hint="PATH")
    if dataset == CATALOGUE:
        return CatalogueFile(path, parse_map(mapping, MAPPED), options)
    filter_rules = parse_filter(rules)
    importer = recognise(path, parse_map(mapping) if mapping else None, dataset.partition(":")[0], options)
    return Filtered(importer, filter_rules) if str(filter_rules) else importer


def import_into(
    dependencies: Dependencies,
    folder: Path,
    importer: Importer | None,
    weights: Mapping[str, Weight] = MappingProxyType({}),
    max_errors: int | None = None,
) -> Imported:
    """Import a data set, or the sample store, with a progress display; notes weights and the scale of ratings."""
    if event_weights := weights or (importer.weights if importer else {}):
        note_weights(dependencies, describe(event_weights))
    settings = read_settings(IngestSettings)
    check_pepper(settings.pseudonyms, dependencies)
    scale = scale_for_import(settings, importer, dependencies.documents)
    if scale != DEFAULT_SCALE:
        console.print(f"Ratings are from {scale.low:g} to {scale.high:g}; another scale: FRESHET_RATING_SCALE=1..5")
    # Opened writer first: that makes an embedded log where there is none.
    writer = dependencies.writer
    log_id = dependencies.reader.log_id(topics.EVENTS)
    with open_ledger(folder, log_id, settings.ledger_mib) as ledger, steps(pace=True) as show:
        allowed = site_policy(settings, scale)
        if importer is None:
            allowed = allowed._replace(consent="off")  # the shoppers of the sample are invented
        parts = ImportDependencies(writer, time.time, time.sleep, ledger, allowed, dependencies.reader)

        def report(step: ImportStep) -> None:
            show(f"writing {step.topic} to the log", step.rows, step.expected)

        def watch(name: str, bytes_read: int, total: int) -> None:
            show(f"reading {name} (bytes)", bytes_read, total)

        if importer is None:
            return import_sample(parts, SampleFile(folder / "import-games.json"), log_id, report)
        fingerprint = _fingerprint(importer, settings) if type(importer) in file_importers() else ""
        if rows := ledger.finished(fingerprint):
            return Imported(importer.dataset, {topic: Counts(repeated=count) for topic, count in rows.items()})
        # Rows hold ids as they were sent, and a site with pseudonyms keeps no such id.
        refused = RefusedFile(folder, importer.dataset, keeps_rows=settings.pseudonyms is None)
        imported = run_import(importer, parts, report, RowFaults(watch, refused.add, max_errors))
        if fingerprint and imported.error is None and not imported.total.refused:
            ledger.finish(fingerprint, {topic: counts.read for topic, counts in imported.topics.items()})
        return imported._replace(refused_file=refused.close(importer))


def _fingerprint(importer: Importer, settings: IngestSettings) -> str:
    """Identifies a published data set by the content of its files, and what else decides how its rows are read."""
    digest = blake2b(f"{version('freshet')} {importer.dataset} {settings.model_dump_json()}".encode(), digest_size=16)
    for path in importer.paths:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "blake2b").digest())
    return digest.hexdigest()
