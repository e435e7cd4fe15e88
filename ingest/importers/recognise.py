"""Which importer reads a path: told by its files, or by a column map."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ingest.importers.books import Goodbooks
from ingest.importers.games import Steam, SteamReviews
from ingest.importers.mapped import Mapped
from ingest.importers.movielens import MovieLens, MovieLens1M, MovieLens100k
from ingest.importers.news import Deskdrop, Mind
from ingest.importers.sessions import Diginetica, DigineticaViews, RecSys2015, Yoochoose
from ingest.importers.shops import Amazon, RetailRocket
from ingest.importing.base import FileImporter, Importer
from schemas.errors import DatasetUnknown

KNOWN: Final[tuple[type[FileImporter], ...]] = (
    *(MovieLens, MovieLens100k, MovieLens1M, Deskdrop, RetailRocket, Mind, RecSys2015, Yoochoose),
    *(Diginetica, DigineticaViews, Steam, SteamReviews, Amazon, Goodbooks),
)
"""Amazon stands late: it opens every JSON file to see what is in it."""
AUTO: Final = frozenset({"auto", "csv", "tsv", "jsonl", "mapped"})
"""Names that stand for "look for yourself", beside the data sets' own."""


def recognise(path: Path, mapping: Mapping[str, str] | None = None, dataset: str = "auto") -> Importer:
    """The importer of a folder or file; ``dataset`` insists on one. Raises DatasetUnknown, ConfigurationInvalid."""
    if not path.exists():
        raise DatasetUnknown(f"there is no {path}")
    candidates = [known for known in KNOWN if dataset in {*AUTO, known.dataset, *known.aliases}]
    if not candidates:
        names = ", ".join(known.dataset for known in KNOWN)
        raise DatasetUnknown(f"no data set is called '{dataset}'; there are {names}, and auto")
    if mapping:
        return Mapped(path, mapping)
    folder = path if path.is_dir() else path.parent
    for known in candidates:
        if known.recognises(folder):
            return known(folder)
    looked = "; ".join(f"{' + '.join(known.needs)} ({known.dataset})" for known in candidates)
    raise DatasetUnknown(
        f"{path} is not a data set that Freshet knows: it looked for {looked}. "
        "Any CSV, TSV or JSONL file is read with --map user=…,item=…,type=…,value=…,time=…"
    )
