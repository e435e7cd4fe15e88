"""Reads the cells that describe an item: lists, prices, times, availability. Catalogues and maps of events share it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from ingest.import_pipeline.files import TableRow
from ingest.import_pipeline.formats.columns import CellInvalid, number_reader, texts
from ingest.import_pipeline.formats.times import time_reader

EMPTY: Final[tuple[Any, ...]] = (None, "", [], {})
"""Cells that say nothing."""
_LISTS: Final = frozenset({"categories", "tags"})
_TIMES: Final = frozenset({"published_at", "available_from", "available_until"})
_SEPARATOR: Final = "|"
_CURRENCY: Final = re.compile(r"^([A-Z]{3})\s*(?=\d)|(?<=\d)\s*([A-Z]{3})$")
_AVAILABLE: Final = {
    "in_stock": True,
    "available": True,
    "preorder": True,
    "backorder": True,
    "out_of_stock": False,
    "sold_out": False,
    "discontinued": False,
}


class ItemFieldReader:
    """Reads cells as fields of an item. ``prices`` is a sample of its column: it shows a decimal comma."""

    def __init__(self, prices: Sequence[Any], *, decimal_comma: bool = False, time_format: str = "") -> None:
        self._read_price = number_reader(prices, decimal_comma=decimal_comma)
        self._read_time = time_reader(time_format)

    def read(self, field: str, row: TableRow, column: str, attributes: dict[str, Any]) -> dict[str, Any]:
        """The field that a cell fills; a currency of the price goes to ``attributes``. Raises CellInvalid."""
        if field == "price":
            amount, currency = row.read(column, self._price)
            attributes |= {"currency": currency} if currency and "currency" not in attributes else {}
            return {field: amount}
        if field == "availability":
            return {"hidden": not row.read(column, _is_available)}
        if field in _LISTS:
            return {field: row.read(column, labels)}
        if field in _TIMES:
            return {field: datetime.fromtimestamp(row.read(column, self._read_time), UTC)}
        return {field: row.cells[column]}

    def _price(self, cell: Any) -> tuple[float, str]:
        """The amount and the currency (three letters, or empty) of ``9.99``, ``9.99 EUR`` or ``EUR 9.99``."""
        if not isinstance(cell, str):
            return self._read_price(cell), ""
        match = _CURRENCY.search(cell.strip())
        return self._read_price(_CURRENCY.sub("", cell.strip())), match[1] or match[2] if match else ""


def labels(cell: Any) -> list[str]:
    """The entries of a list; a text is one entry, or several that ``|`` divides."""
    return list(dict.fromkeys(texts(cell.split(_SEPARATOR) if isinstance(cell, str) else cell)))


def _is_available(cell: Any) -> bool:
    state = "_".join(str(cell).lower().split())
    if state not in _AVAILABLE:
        raise CellInvalid(f"is not one of {', '.join(_AVAILABLE)}", "availability")
    return _AVAILABLE[state]
