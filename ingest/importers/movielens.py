"""MovieLens: the CSV folders (ml-latest-small, ml-25m, …) and the 100k folder."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ingest.importers.base import Faults, FileImporter, UserRow
from ingest.importers.files import Row, rows
from ingest.importers.ordering import Timed, by_time

_YEAR: Final = re.compile(r"\((\d{4})(?:[-–]\d{0,4})?\)\s*$")
_NO_GENRES: Final = "(no genres listed)"
_TAGS: Final = 20
"""Most used tags kept a movie."""
_GENRES: Final = (
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama"),
    *("Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"),
)
_ITEM_COLUMNS: Final = ("item_id", "title", "released", "video_released", "url", *_GENRES)


class MovieLens(FileImporter):
    """``movies.csv`` and ``ratings.csv``, and where they are there ``tags.csv`` and ``links.csv``."""

    dataset = "movielens"
    aliases = ("ml-latest-small", "ml-latest", "ml-20m", "ml-25m", "ml-32m")
    needs = ("movies.csv", "ratings.csv")

    @property
    def paths(self) -> Sequence[Path]:
        """The files that it needs, and those that it uses if they are there."""
        names = (*self.needs, "tags.csv", "links.csv")
        return [path for name in names if (path := self.path(name))]

    def items(self, faults: Faults) -> Iterator[dict[str, Any]]:
        """Movies with their genres as categories, the year of their title, their most used tags and their IMDb id."""
        tags, links = self._tags(faults), self._links(faults)
        for row in self._rows("movies.csv", faults):
            cells = row.cells
            item: dict[str, Any] = {
                "item_id": cells.get("movieId", ""),
                "title": cells.get("title", ""),
                "categories": [genre for genre in cells.get("genres", "").split("|") if genre not in {"", _NO_GENRES}],
                "tags": [tag for tag, _ in tags[cells.get("movieId", "")].most_common(_TAGS)],
                "attributes": links.get(cells.get("movieId", ""), {}),
            }
            yield item | _published(item["title"])

    def events(self, faults: Faults) -> Iterator[dict[str, Any]]:
        """Ratings at their real times."""
        return by_time(self._ratings(faults))

    def _ratings(self, faults: Faults) -> Iterator[Timed]:
        for row in self._rows("ratings.csv", faults):
            cells = row.cells
            names = ("userId", "movieId", "rating", "timestamp")
            user, movie, stars, at = (cells.get(name, "") for name in names)
            rating = _rating(f"{self.dataset}-{user}-{movie}-{at}", user, movie, stars, at, row)
            if isinstance(rating, str):
                faults.note(f"ratings.csv line {row.number}", rating)
            else:
                yield rating

    def _tags(self, faults: Faults) -> defaultdict[str, Counter[str]]:
        tags: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for row in self._rows("tags.csv", faults):
            if tag := row.cells.get("tag", "").strip().lower():
                tags[row.cells.get("movieId", "")][tag[:128]] += 1
        return tags

    def _links(self, faults: Faults) -> dict[str, dict[str, str]]:
        return {
            row.cells.get("movieId", ""): {"imdb_id": f"tt{imdb}"}
            for row in self._rows("links.csv", faults)
            if (imdb := row.cells.get("imdbId"))
        }

    def _rows(self, name: str, faults: Faults) -> Iterator[Row]:
        path = self.path(name)
        return rows(path, faults) if path else iter(())


class MovieLens100k(FileImporter):
    """``u.data``, ``u.item`` and ``u.user``: tabs and pipes, Latin-1."""

    dataset = "ml-100k"
    aliases = ("movielens-100k", "movielens")
    needs = ("u.data", "u.item", "u.user")

    def items(self, faults: Faults) -> Iterator[dict[str, Any]]:
        """Movies with their genres as categories and their day of release."""
        for row in self._rows("u.item", "|", _ITEM_COLUMNS, faults):
            cells = row.cells
            yield {
                "item_id": cells["item_id"],
                "title": cells["title"],
                "categories": [genre for genre in _GENRES[1:] if cells[genre] == "1"],
                **(_released(cells["released"]) or _published(cells["title"])),
            }

    def users(self, faults: Faults) -> Iterator[UserRow]:
        """Age, gender, occupation and ZIP code, as they stand in the file."""
        columns = ("user_id", "age", "gender", "occupation", "zip_code")
        for row in self._rows("u.user", "|", columns, faults):
            attributes = dict(row.cells)
            yield UserRow(attributes.pop("user_id"), attributes)

    def events(self, faults: Faults) -> Iterator[dict[str, Any]]:
        """Ratings at their real times."""
        return by_time(self._ratings(faults))

    def _ratings(self, faults: Faults) -> Iterator[Timed]:
        for row in self._rows("u.data", "\t", ("user", "item", "rating", "at"), faults):
            user, movie, stars, at = row.cells.values()
            rating = _rating(f"{self.dataset}-{row.number}", user, movie, stars, at, row)
            if isinstance(rating, str):
                faults.note(f"u.data line {row.number}", rating)
            else:
                yield rating

    def _rows(self, name: str, delimiter: str, columns: Sequence[str], faults: Faults) -> Iterator[Row]:
        path = self.path(name)
        assert path is not None
        return rows(path, faults, delimiter=delimiter, columns=columns, encoding="latin-1", quoted=False)


def _rating(event_id: str, user: str, movie: str, stars: str, at: str, row: Row) -> Timed | str:
    """The event of a rating, or what is wrong with it."""
    try:
        value, seconds = float(stars), float(int(at))
    except ValueError:
        return f"'{stars}' at '{at}' is not a rating and its time in seconds"
    event = {"event_id": event_id, "type": "rating", "user_id": user, "item_id": movie, "value": value}
    return seconds, row.number, event


def _published(title: str) -> dict[str, Any]:
    year = _YEAR.search(title)
    return {"published_at": datetime(int(year[1]), 1, 1, tzinfo=UTC)} if year and int(year[1]) else {}


def _released(text: str) -> dict[str, Any]:
    try:
        return {"published_at": datetime.strptime(text, "%d-%b-%Y").replace(tzinfo=UTC)}
    except ValueError:
        return {}
