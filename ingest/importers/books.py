"""goodbooks-10k: books, and ratings without times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import MAXYEAR, UTC, datetime
from pathlib import Path
from typing import Any, Final

from ingest.import_pipeline.base import FileImporter, FileRow, PublishedFiles, RowFaults, find_file
from ingest.import_pipeline.files import TableRow, header, rows
from ingest.import_pipeline.formats.columns import CellInvalid, read_number
from ingest.import_pipeline.ordering import events_in_order


class Goodbooks(FileImporter):
    """``books.csv``, ``ratings.csv`` with user_id, book_id and rating, or both."""

    dataset = "goodbooks"
    published: Mapping[str, PublishedFiles] = {
        "goodbooks": PublishedFiles(
            ("https://github.com/zygmuntz/goodbooks-10k/releases/download/v1.0/goodbooks-10k.zip",)
        )
    }
    aliases = ("books", "goodbooks-10k")
    needs = ("books.csv",)
    uses = ("ratings.csv",)
    _columns: Final = ("user_id", "book_id", "rating")

    @classmethod
    def recognises(cls, folder: Path) -> bool:
        """True if the folder has either file."""
        return find_file(folder, "books.csv") is not None or header(folder, "ratings.csv") == list(cls._columns)

    def items(self, faults: RowFaults) -> Iterator[dict[str, Any]]:
        """Books with their authors, language and year."""
        path = self.path("books.csv")
        for row in rows(path, faults, needs=("book_id", "title")) if path else ():
            cells = row.cells
            year = _year(cells.get("original_publication_year", ""))
            authors = [name.strip() for name in cells.get("authors", "").split(",") if name.strip()]
            attributes = {
                "authors": authors,
                "language": cells.get("language_code"),
                "isbn": cells.get("isbn"),
                "year": year,
            }
            item = {
                "item_id": cells["book_id"],
                "title": cells["title"],
                "attributes": {name: value for name, value in attributes.items() if value},
                "published_at": datetime(year, 1, 1, tzinfo=UTC) if year and year > 0 else None,
            }
            yield FileRow(item, row.source_line)

    def events(self, faults: RowFaults) -> Iterator[dict[str, Any]]:
        """Ratings in the order of the file; they get the time of the import."""
        path = self.path("ratings.csv")
        ratings = rows(path, faults, needs=self._columns) if path else iter(())
        return events_in_order(ratings, self._rating, faults)

    def _rating(self, row: TableRow) -> dict[str, Any]:
        event = {"type": "rating", "value": row.number_in("rating")}
        return event | {"user_id": row.cells["user_id"], "item_id": row.cells["book_id"]}


def _year(text: str) -> int | None:
    """The year of a cell such as ``1999.0`` or ``-750.0``; None if it is no year of a calendar."""
    try:
        year = int(read_number(text))
    except CellInvalid:
        return None
    return year if year <= MAXYEAR else None


IMPORTERS: Final = (Goodbooks,)
