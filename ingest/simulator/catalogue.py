"""The shop's catalogue: real games, read from `games.csv`."""

import csv
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TypedDict

GAMES_CSV = Path(__file__).with_name("games.csv")
ARRIVALS = 8
"""Number of the newest games that the shop starts to sell during the recorded days."""


class GameAttributes(TypedDict):
    """The attributes of a game: those beyond the fields that every item has."""

    year: int
    developer: str
    platforms: list[str]


class Game(TypedDict):
    """The fields of `PUT /v1/items/{item_id}`; `price` is in US dollars."""

    item_id: str
    title: str
    description: str
    categories: list[str]
    tags: list[str]
    price: float
    published_at: str
    attributes: GameAttributes


def catalogue(end: datetime | None = None, days: int = 60) -> list[Game]:
    """All games, oldest first.

    `published_at` is the first of January of the game's year, because the file states only the year.
    With `end`, it is the day of arrival for games that arrive in the shop during the `days` before `end`.
    """
    items = [_item(row) for row in _rows()]
    if end is not None:
        for index, day in arrival_days(days).items():
            items[index]["published_at"] = rfc3339(end - timedelta(days=days - day))
    return items


def arrival_days(days: int) -> dict[int, int]:
    """For the index of each late game: the day, of the recorded `days`, on which it goes on sale."""
    count = len(_rows())
    return {count - ARRIVALS + n: round(days * (n + 1) / (ARRIVALS + 1)) for n in range(ARRIVALS)}


def rfc3339(moment: datetime) -> str:
    """An aware time as text in UTC, with milliseconds and a `Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@cache
def _rows() -> tuple[dict[str, str], ...]:
    with GAMES_CSV.open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


def _item(row: dict[str, str]) -> Game:
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
