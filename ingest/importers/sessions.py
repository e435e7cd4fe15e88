"""Sessions of anonymous visitors in shops: RecSys Challenge 2015 (Yoochoose) and Diginetica."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Final

from ingest.import_pipeline.base import FileImporter, FileRow, RowFaults
from ingest.import_pipeline.files import TableRow, rows
from ingest.import_pipeline.ordering import DatedEvent, events_by_time, events_in_order

_PERIOD: Final = re.compile(r"period_(\d+)\.txt(\.gz)?$")


class RecSys2015(FileImporter):
    """A slice of Yoochoose: ``train.tsv`` and ``test.tsv`` with SessionId, ItemId and Time."""

    dataset = "rsc15"
    needs = ("train.tsv", "test.tsv")
    _columns: Final = ("SessionId", "ItemId", "Time")

    def events(self, faults: RowFaults) -> Iterator[dict[str, Any]]:
        """Clicks of sessions without a known user."""
        files = (rows(path, faults, delimiter="\t", needs=self._columns) for path in self.paths)
        return events_by_time(chain.from_iterable(files), self._click, faults)

    def _click(self, row: TableRow) -> DatedEvent:
        return row.time_in("Time"), _event("click", row.cells["SessionId"], row.cells["ItemId"])


class Yoochoose(FileImporter):
    """The whole data set: ``yoochoose-clicks.dat`` and ``yoochoose-buys.dat``, without headers."""

    dataset = "yoochoose"
    needs = ("yoochoose-clicks.dat",)
    uses = ("yoochoose-buys.dat",)
    _clicks: Final = ("session", "time", "item", "category")
    _buys: Final = ("session", "time", "item", "price", "quantity")

    def events(self, faults: RowFaults) -> Iterator[dict[str, Any]]:
        """Clicks and purchases of sessions without a known user."""
        pairs = zip(self.paths, (self._clicks, self._buys), strict=False)
        files = (rows(path, faults, columns=columns) for path, columns in pairs)
        return events_by_time(chain.from_iterable(files), self._event, faults)

    def _event(self, row: TableRow) -> DatedEvent:
        cells, kind = row.cells, "purchase" if "quantity" in row.cells else "click"
        event = _event(kind, cells["session"], cells["item"])
        if kind == "purchase":
            event["properties"] = {"price": row.number_in("price"), "quantity": row.number_in("quantity")}
        return row.time_in("time"), event


class Diginetica(FileImporter):
    """One file for each week: ``period_0.txt`` and so on. Rows are in order but have no times."""

    dataset = "diginetica"
    needs = ("period_0.txt",)

    @property
    def paths(self) -> Sequence[Path]:
        """The files of the weeks, in order."""
        weeks = [(int(match[1]), path) for path in self.folder.iterdir() if (match := _PERIOD.match(path.name))]
        return [path for _, path in sorted(weeks)]

    def events(self, faults: RowFaults) -> Iterator[dict[str, Any]]:
        """Clicks in the order of the files; they get the time of the import."""
        weeks = (rows(path, faults, delimiter=" ", columns=("session", "item")) for path in self.paths)
        return events_in_order(chain.from_iterable(weeks), self._click, faults)

    def _click(self, row: TableRow) -> dict[str, Any]:
        return _event("click", row.cells["session"], row.cells["item"])


class DigineticaViews(FileImporter):
    """As published for CIKM Cup 2016: ``train-item-views.csv``, and ``train-purchases.csv`` if it exists."""

    dataset = "diginetica-views"
    aliases = ("diginetica", "cikm16")
    needs = ("train-item-views.csv",)
    uses = ("train-purchases.csv", "product-categories.csv")
    _views: Final = ("session", "user", "item", "milliseconds", "date")
    _purchases: Final = ("session", "user", "milliseconds", "date", "order", "item")

    def items(self, faults: RowFaults) -> Iterator[dict[str, Any]]:
        """Products with their category."""
        if path := self.path("product-categories.csv"):
            for row in rows(path, faults, delimiter=";", columns=("item", "category")):
                if row.number > 1:
                    yield FileRow(
                        {"item_id": row.cells["item"], "categories": [row.cells["category"]]}, row.source_line
                    )

    def events(self, faults: RowFaults) -> Iterator[dict[str, Any]]:
        """Views and purchases. The files state milliseconds since the day of the session began."""
        files = [self._rows("train-item-views.csv", self._views, faults)]
        files.append(self._rows("train-purchases.csv", self._purchases, faults))
        return events_by_time(chain.from_iterable(files), self._event, faults)

    def _rows(self, name: str, columns: Sequence[str], faults: RowFaults) -> Iterator[TableRow]:
        path = self.path(name)
        # Versions of the set differ in the names of the columns, not in their order.
        return (
            (row for row in rows(path, faults, delimiter=";", columns=columns) if row.number > 1) if path else iter(())
        )

    def _event(self, row: TableRow) -> DatedEvent:
        kind = "purchase" if "order" in row.cells else "view"
        event = _event(kind, row.cells["session"], row.cells["item"])
        if row.cells["user"] not in {"", "NA"}:
            event["user_id"] = row.cells["user"]
        return row.time_as("date", "%Y-%m-%d") + row.number_in("milliseconds") / 1_000, event


def _event(kind: str, session: str, item: str) -> dict[str, Any]:
    return {"type": kind, "session_id": session, "item_id": item}


IMPORTERS: Final = (RecSys2015, Yoochoose, Diginetica, DigineticaViews)
