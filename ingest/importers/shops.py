"""Shops: Amazon's reviews and products, and RetailRocket's visitors."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, Final

from ingest.import_pipeline.base import FileImporter, FileRow, PublishedFiles, RowFaults
from ingest.import_pipeline.files import TableRow, header, objects, readable, rows
from ingest.import_pipeline.formats.columns import CellInvalid, texts
from ingest.import_pipeline.ordering import DatedEvent, events_by_time
from schemas.errors import DatasetUnknown

_TEXT: Final = 10_000
"""Most characters of a product's description."""
_UCSD: Final = "https://mcauleylab.ucsd.edu/public_datasets/data/"
_MAX_CATEGORY: Final = 128
_PRICE: Final = re.compile(r"(\d+|\d{1,3}(,\d{3})+)(\.\d+)?", re.ASCII)


class Amazon(FileImporter):
    """Reviews and products of 2014, 2018 or 2023 as JSON lines. The first line of a file shows its form."""

    dataset = "amazon"
    published: Mapping[str, PublishedFiles] = {
        "amazon:Category": PublishedFiles(
            (
                f"{_UCSD}amazon_2023/raw/review_categories/{{category}}.jsonl.gz",
                f"{_UCSD}amazon_2023/raw/meta_categories/meta_{{category}}.jsonl.gz",
            )
        )
    }
    """One category of the version of 2023."""
    order = 1_000  # it opens every JSON file to see what is in it
    aliases = ("amazon-reviews",)
    needs = ("*.json or *.jsonl with reviewerID, asin and overall, or user_id, parent_asin and rating",)
    _reviews: Final = ({"reviewerID", "asin", "overall"}, {"user_id", "parent_asin", "rating"})

    @classmethod
    def recognises(cls, folder: Path) -> bool:
        """True if the folder has reviews or products."""
        return bool(cls(folder).paths)

    @property
    def paths(self) -> Sequence[Path]:
        """The files of products and reviews."""
        return [*self._files["products"], *self._files["reviews"]]

    @cached_property
    def _files(self) -> dict[str, list[Path]]:
        files: dict[str, list[Path]] = {"products": [], "reviews": []}
        for path in sorted(self.folder.iterdir()):
            if path.name.removesuffix(".gz").endswith((".json", ".jsonl")) and (kind := self._kind(path)):
                files[kind].append(path)
        return files

    def _kind(self, path: Path) -> str | None:
        try:
            names = next((set(row.cells) for row in objects(path, RowFaults())), set[str]())
        except DatasetUnknown:
            return None
        if any(needed <= names for needed in self._reviews):
            return "reviews"
        return "products" if names & {"asin", "parent_asin"} and "title" in names else None

    def items(self, faults: RowFaults) -> Iterator[dict[str, Any]]:
        """Products with their categories, price and brand."""
        products = chain.from_iterable(objects(path, faults) for path in self._files["products"])
        return (FileRow(item, row.source_line) for row, item in readable(products, self._product, faults))

    def _product(self, row: TableRow) -> dict[str, Any]:
        cells = row.cells
        attributes = {"brand": cells.get("brand") or cells.get("store")}
        item = {
            "item_id": _asin(row),
            "title": str(cells.get("title") or ""),
            "description": " ".join(texts(cells.get("description")))[:_TEXT],
            "categories": _categories(cells),
            "price": _price(cells.get("price")),
            "attributes": {name: value for name, value in attributes.items() if isinstance(value, str) and value},
        }
        return {name: value for name, value in item.items() if value not in (None, "")}

    def events(self, faults: RowFaults) -> Iterator[dict[str, Any]]:
        """Reviews as ratings at their times."""
        reviews = chain.from_iterable(objects(path, faults) for path in self._files["reviews"])
        return events_by_time(reviews, self._rating, faults)

    def _rating(self, row: TableRow) -> DatedEvent:
        before_2023 = "reviewerID" in row.cells
        event = {
            "type": "rating",
            "user_id": row.id_in("reviewerID" if before_2023 else "user_id"),
            "item_id": _asin(row),
            "value": row.number_in("overall" if before_2023 else "rating"),
        }
        return row.time_in("unixReviewTime" if before_2023 else "timestamp"), event


class RetailRocket(FileImporter):
    """Visitors of a shop: ``events.csv``, and ``item_properties_part1.csv`` and ``part2`` if they exist."""

    dataset = "retailrocket"
    needs = ("events.csv",)
    uses = ("item_properties_part1.csv", "item_properties_part2.csv")
    _columns = ("timestamp", "visitorid", "event", "itemid", "transactionid")
    _properties: Final = ("timestamp", "itemid", "property", "value")
    _kinds: Final = {"view": "view", "addtocart": "cart", "transaction": "purchase"}

    @classmethod
    def recognises(cls, folder: Path) -> bool:
        """True if ``events.csv`` has RetailRocket's columns."""
        return header(folder, "events.csv") == list(cls._columns)

    def items(self, faults: RowFaults) -> Iterator[dict[str, Any]]:
        """Items with their newest category. The other properties are hashed, except the availability."""
        newest: dict[str, tuple[float, str]] = {}
        properties = chain.from_iterable(rows(path, faults, needs=self._properties) for path in self.paths[1:])
        for row, dated_category in readable(properties, self._category, faults):
            newest[row.cells["itemid"]] = max(dated_category, newest.get(row.cells["itemid"], dated_category))
        for item, (_, category) in newest.items():
            yield {"item_id": item, "categories": [category]}

    def events(self, faults: RowFaults) -> Iterator[dict[str, Any]]:
        """Views, carts and purchases of visitors, who are anonymous users."""
        return events_by_time(rows(self.paths[0], faults, needs=self._columns), self._event, faults)

    def _category(self, row: TableRow) -> tuple[float, str] | None:
        """The category that an item had from a time on; None for other properties."""
        if row.cells["property"] != "categoryid":
            return None
        return row.number_in("timestamp"), row.cells["value"]

    def _event(self, row: TableRow) -> DatedEvent:
        kind = self._kinds.get(row.cells["event"])
        if kind is None:
            raise CellInvalid(f"column event: '{row.cells['event'][:40]}' is none of {', '.join(self._kinds)}")
        event = {"type": kind, "item_id": row.cells["itemid"]}
        return row.time_in("timestamp"), event | {"anonymous_id": row.cells["visitorid"]}


def _asin(row: TableRow) -> str:
    """The item id. In 2023 it is the id of the product that all variants share."""
    return row.id_in("parent_asin", "asin")


def _categories(cells: dict[str, Any]) -> list[str]:
    """The names of the categories: lists of lists in 2014, one list in 2018 and 2023."""
    entries = texts(cells.get("categories") or cells.get("category") or cells.get("main_category"))
    return list(dict.fromkeys(entry[:_MAX_CATEGORY] for entry in entries))


def _price(cell: Any) -> float | None:
    """The price of a cell such as ``$1,299.99``; None if it is none or not clear (``12,50``)."""
    text = str(cell).strip().lstrip("$")
    return float(text.replace(",", "")) if _PRICE.fullmatch(text) else None


IMPORTERS: Final = (RetailRocket, Amazon)
