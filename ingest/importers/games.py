"""Video games on Steam: hours played, and reviews with the hours of their writers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from ingest.import_pipeline.base import FileImporter, FileRow, PublishedFiles, RowFaults, find_file
from ingest.import_pipeline.files import TableRow, objects, readable, rows
from ingest.import_pipeline.formats.columns import texts
from ingest.import_pipeline.ordering import DatedEvent, events_by_time, events_in_order
from schemas.values.weights import Weight, WeightStep

_HOUR: Final = 3_600.0
_BY_HOURS: Final[Mapping[str, Weight]] = {
    "dwell": (WeightStep(0.0, 0.5), WeightStep(_HOUR, 1.0), WeightStep(10 * _HOUR, 2.0), WeightStep(100 * _HOUR, 3.0))
}
"""Weights by seconds played: 0.5 for minutes, 1 for an hour, and 1 more for each tenfold."""
_UCSD: Final = "https://mcauleylab.ucsd.edu/public_datasets/data/"


class Steam(FileImporter):
    """Hours played, from ``plays.csv``, or from ``steam-200k.csv`` without a header. Rows have no times."""

    dataset = "steam-200k"
    aliases = ("steam",)
    needs = ("plays.csv",)
    uses = ("steam-200k.csv",)
    weights = _BY_HOURS
    _columns: Final = ("user_id", "game", "behaviour", "hours", "zero")

    @classmethod
    def recognises(cls, folder: Path) -> bool:
        """True if the folder has either file."""
        return any(find_file(folder, name) for name in (*cls.needs, *cls.uses))

    def items(self, faults: RowFaults) -> Iterator[dict[str, Any]]:
        """Each game once. Its id is its number, or its title if the file has no numbers."""
        seen_games: set[str] = set()
        for row in self._rows(faults):
            game = _game(row)
            if game not in seen_games:
                seen_games.add(game)
                yield FileRow({"item_id": game, "title": row.cells["game"]}, row.source_line)

    def events(self, faults: RowFaults) -> Iterator[dict[str, Any]]:
        """Hours as ``dwell`` in seconds, and purchases. Events get the time of the import."""
        return events_in_order(self._rows(faults), self._event, faults)

    def _event(self, row: TableRow) -> dict[str, Any]:
        event = {"user_id": row.cells["user_id"], "item_id": _game(row)}
        if row.cells.get("behaviour") == "purchase":
            return event | {"type": "purchase"}
        return event | {"type": "dwell", "value": row.number_in("hours") * _HOUR}

    def _rows(self, faults: RowFaults) -> Iterator[TableRow]:
        path = self.paths[0]
        if path.name.startswith("plays"):
            return rows(path, faults, needs=("user_id", "content_id", "game", "hours"))
        return rows(path, faults, columns=self._columns)


class SteamReviews(FileImporter):
    """``steam_reviews.json`` (a Python or JSON object on each line), and ``steam_games.json`` if it exists."""

    dataset = "steam-reviews"
    published: Mapping[str, PublishedFiles] = {
        "steam-reviews": PublishedFiles((f"{_UCSD}steam/steam_reviews.json.gz", f"{_UCSD}steam/steam_games.json.gz"))
    }
    needs = ("steam_reviews.json",)
    uses = ("steam_games.json",)
    weights = _BY_HOURS

    def items(self, faults: RowFaults) -> Iterator[dict[str, Any]]:
        """Games with their genres as categories, and their tags."""
        path = self.path("steam_games.json")
        games = objects(path, faults) if path else iter(())
        return (FileRow(item, row.source_line) for row, item in readable(games, self._game, faults))

    def _game(self, row: TableRow) -> dict[str, Any]:
        cells = row.cells
        return {
            "item_id": row.id_in("id"),
            "title": cells.get("app_name") or cells.get("title") or "",
            "categories": texts(cells.get("genres")),
            "tags": texts(cells.get("tags")),
        }

    def events(self, faults: RowFaults) -> Iterator[dict[str, Any]]:
        """Each review as ``dwell`` with the hours that its writer had played, or as a comment if it has no hours."""
        return events_by_time(objects(self.paths[0], faults), self._event, faults)

    def _event(self, row: TableRow) -> DatedEvent:
        event: dict[str, Any] = {
            "type": "comment",
            "user_id": row.id_in("user_id", "username"),
            "item_id": row.id_in("product_id"),
        }
        if row.cells.get("hours") is not None:
            event |= {"type": "dwell", "value": row.number_in("hours") * _HOUR}
        return row.time_in("date"), event


def _game(row: TableRow) -> str:
    return str(row.cells["content_id"] if "content_id" in row.cells else row.cells["game"])


IMPORTERS: Final = (Steam, SteamReviews)
