"""Finds the importer of a path, by the path's files or by a column map."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final

from ingest import importers
from ingest.import_pipeline.base import FileImporter, Importer, PublishedFiles
from ingest.import_pipeline.formats.dialect import FOUND_OUT, FileOptions
from ingest.importers.mapped import Mapped
from schemas.errors import DatasetUnknown

AUTO: Final = frozenset({"auto", "csv", "tsv", "jsonl", "mapped"})
"""Names that let ``recognise`` choose the importer by the files."""


@cache
def file_importers() -> Sequence[type[FileImporter]]:
    """All importers that the modules of this folder declare in ``IMPORTERS``, in the order in which they are tried."""
    names = sorted(module.name for module in pkgutil.iter_modules(importers.__path__))
    modules = [importlib.import_module(f"{importers.__name__}.{name}") for name in names]
    declared = [importer for module in modules for importer in getattr(module, "IMPORTERS", ())]
    return sorted(declared, key=lambda importer: importer.order)


def published() -> Mapping[str, PublishedFiles]:
    """The data sets that can be downloaded, by name."""
    return {name: where for importer in file_importers() for name, where in importer.published.items()}


def recognise(
    path: Path,
    mapping: Mapping[str, str] | None = None,
    dataset: str = "auto",
    options: FileOptions = FOUND_OUT,
) -> Importer:
    """The importer of a folder or file; ``dataset`` names the one to use. Raises DatasetUnknown, ConfigurationInvalid.

    ``options`` say how a file with a map is read. A known data set is always read in its published form.
    """
    if not path.exists():
        raise DatasetUnknown(f"there is no {path}")
    candidates = [importer for importer in file_importers() if dataset in {*AUTO, importer.dataset, *importer.aliases}]
    if not candidates:
        names = ", ".join(importer.dataset for importer in file_importers())
        raise DatasetUnknown(f"no data set is called '{dataset}'; there are {names}, and auto")
    if mapping:
        return Mapped(path, mapping, options)
    folder = path if path.is_dir() else path.parent
    for importer in candidates:
        if importer.recognises(folder):
            return importer(folder)
    looked = "; ".join(f"{' + '.join(importer.needs)} ({importer.dataset})" for importer in candidates)
    raise DatasetUnknown(
        f"{path} is not a data set that Freshet knows: it looked for {looked}. "
        "Any CSV, TSV or JSON file is read with --map user=…,item=…,type=…,value=…,time=…"
    )
