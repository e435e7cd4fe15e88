"""Data sets of news: Deskdrop and MIND."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from ingest.import_pipeline.base import FileImporter, FileRow, RowFaults
from ingest.import_pipeline.files import TableRow, header, readable, rows
from ingest.import_pipeline.formats.columns import CellInvalid
from ingest.import_pipeline.ordering import DatedEvent, SortableEvent, by_time, events_by_time

_PHONE: Final = re.compile(r"iphone|android.*mobile|windows phone", re.IGNORECASE)
_TABLET: Final = re.compile(r"ipad|android|tablet", re.IGNORECASE)


class Deskdrop(FileImporter):
    """Articles on an intranet: ``events.csv`` with views, likes, bookmarks, comments and follows."""

    dataset = "deskdrop"
    needs = ("events.csv",)
    types = frozenset({"follow"})
    _columns = (
        "timestamp",
        "eventType",
        "contentId",
        "personId",
        "sessionId",
        "userAgent",
        "userRegion",
        "userCountry",
    )
    _kinds: Final = {
        "VIEW": "view",
        "LIKE": "like",
        "BOOKMARK": "bookmark",
        "COMMENT CREATED": "comment",
        "FOLLOW": "follow",
    }

    @classmethod
    def recognises(cls, folder: Path) -> bool:
        """True if ``events.csv`` has Deskdrop's columns."""
        return header(folder, "events.csv") == list(cls._columns)

    def events(self, faults: RowFaults) -> Iterator[dict[str, Any]]:
        """Events with their session, kind of device, country and region."""
        return events_by_time(rows(self.paths[0], faults, needs=self._columns), self._event, faults)

    def _event(self, row: TableRow) -> DatedEvent:
        cells = row.cells
        kind = self._kinds.get(cells["eventType"])
        if kind is None:
            raise CellInvalid(f"column eventType: '{cells['eventType']}' is none of {', '.join(self._kinds)}")
        names = {"device": device(cells["userAgent"]), "country": cells["userCountry"], "region": cells["userRegion"]}
        return row.time_in("timestamp"), {
            "type": kind,
            "user_id": cells["personId"],
            "session_id": cells["sessionId"],
            "item_id": cells["contentId"],
            "context": {name: value for name, value in names.items() if value},
        }


class Mind(FileImporter):
    """Microsoft's news: ``behaviors.tsv`` with impressions and clicks, ``news.tsv`` with the articles."""

    dataset = "mind"
    aliases = ("news",)
    needs = ("behaviors.tsv", "news.tsv")
    _shown: Final = ("impression", "user", "time", "history", "impressions")
    _news: Final = ("id", "category", "subcategory", "title", "abstract", "url", "title_entities", "abstract_entities")
    _form: Final = "%m/%d/%Y %I:%M:%S %p"

    def items(self, faults: RowFaults) -> Iterator[dict[str, Any]]:
        """Articles with their category and subcategory."""
        for row in rows(self.paths[1], faults, delimiter="\t", columns=self._news, quoted=False):
            cells = row.cells
            categories = [cells["category"], cells["subcategory"]]
            item = {"item_id": cells["id"], "title": cells["title"], "categories": list(filter(None, categories))}
            yield FileRow(item | ({"description": cells["abstract"]} if cells["abstract"] else {}), row.source_line)

    def events(self, faults: RowFaults) -> Iterator[dict[str, Any]]:
        """Impressions, each followed by its clicks. The history column has no times and is left out."""
        return by_time(self._events(faults), faults)

    def _events(self, faults: RowFaults) -> Iterator[SortableEvent]:
        shown = rows(self.paths[0], faults, delimiter="\t", columns=self._shown, quoted=False)
        for row, (time, listed) in readable(shown, self._impression, faults):
            user_field: dict[str, Any] = {"user_id": row.cells["user"]}
            file, line = row.source_line
            impression = {"type": "impression", "impression": [item for item, _ in listed]}
            yield time, line, file, user_field | impression
            for position, (item, clicked) in enumerate(listed):
                if clicked:
                    click = {"type": "click", "item_id": item, "position": position}
                    yield time, line, file, user_field | click

    def _impression(self, row: TableRow) -> tuple[float, list[tuple[str, bool]]]:
        listed = []
        for entry in row.cells["impressions"].split():
            item, dash, clicked = entry.rpartition("-")
            if not dash or clicked not in {"0", "1"}:
                raise CellInvalid(f"column impressions: '{entry[:40]}' is not an article and -0 or -1")
            listed.append((item, clicked == "1"))
        return row.time_as("time", self._form), listed


def device(agent: str) -> str | None:
    """The kind of device that a browser's user agent names."""
    if not agent:
        return None
    if _PHONE.search(agent):
        return "phone"
    return "tablet" if _TABLET.search(agent) else "desktop"


IMPORTERS: Final = (Deskdrop, Mind)
