"""The shop's catalogue: real games, read from `games.csv`."""

import csv
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TypedDict

GAMES_CSV = Path(__file__).with_name("games.csv")
ARRIVALS = 8
"""How many of the newest games the shop starts to sell only while the recorded days run."""


class Attributes(TypedDict):
    """What the shop knows of a game beyond the fields that every item has."""

    year: int
    developer: str
    platforms: list[str]


class Item(TypedDict):
    """The fields of `PUT /v1/items/{item_id}`; `price` is in US dollars."""

    item_id: str
    title: str
    description: str
    categories: list[str]
    tags: list[str]
    price: float
    published_at: str
    attributes: Attributes


def catalogue(end: datetime | None = None, days: int = 60) -> list[Item]:
    """Every game, oldest first.

    `published_at` is the first of January of the game's year, the year being all that the file claims.
    With `end`, the games that arrive in the shop during the `days` before it carry their day of arrival.
    """
    items = [_item(row) for row in _rows()]
    if end is not None:
        for index, day in arrival_days(days).items():
            items[index]["published_at"] = rfc3339(end - timedelta(days=days - day))
    return items


def arrival_days(days: int) -> dict[int, int]:
    """Catalogue index -> day of the recorded `days` on which that game goes on sale."""
    count = len(_rows())
    return {count - ARRIVALS + n: round(days * (n + 1) / (ARRIVALS + 1)) for n in range(ARRIVALS)}


def rfc3339(moment: datetime) -> str:
    """An aware moment as UTC with milliseconds and a `Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@cache
def _rows() -> tuple[dict[str, str], ...]:
    with GAMES_CSV.open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


def _item(row: dict[str, str]) -> Item:
    return {
        "item_id": row["item_id"],
        "title": row["title"],
        "description": row["description"],
        "categories": row["genres"].split("|"),
        "tags": row["tags"].split("|"),
        "price": float(row["price"]),
        "published_at": f"{int(row['year'])}-01-01T00:00:00.000Z",
        "attributes": {
            "year": int(row["year"]),
            "developer": row["developer"],
            "platforms": row["platforms"].split("|"),
        },
    }
