"""MovieLens: the CSV folders (ml-latest-small, ml-20m, ml-25m, …), the 1M folder and the 100k folder."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from ingest.import_pipeline.base import FileImporter, FileRow, PublishedFiles, RowFaults, UserRow
from ingest.import_pipeline.files import TableRow, rows
from ingest.import_pipeline.ordering import DatedEvent, events_by_time

_YEAR: Final = re.compile(r"\((\d{4})(?:[-–]\d{0,4})?\)\s*$")
_NO_GENRES: Final = "(no genres listed)"
_TAGS: Final = 20
"""Number of tags kept for each movie: the most used ones."""
_GENRES: Final = (
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama"),
    *("Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"),
)
_ITEM_COLUMNS: Final = ("item_id", "title", "released", "video_released", "url", *_GENRES)
_OCCUPATIONS: Final = (
    *("other", "academic/educator", "artist", "clerical/admin", "college/grad student", "customer service"),
    *("doctor/health care", "executive/managerial", "farmer", "homemaker", "K-12 student", "lawyer", "programmer"),
    *("retired", "sales/marketing", "scientist", "self-employed", "technician/engineer", "tradesman/craftsman"),
    *("unemployed", "writer"),
)
"""Occupations of the 1M set, by number. Its ages are the youngest age of each group."""


_GROUPLENS: Final = "https://files.grouplens.org/datasets/movielens/"


def _zips(*names: str, md5: bool = True) -> dict[str, PublishedFiles]:
    return {
        name: PublishedFiles((f"{_GROUPLENS}{name}.zip",), f"{_GROUPLENS}{name}.zip.md5" if md5 else "")
        for name in names
    }


class MovieLens(FileImporter):
    """``movies.csv`` and ``ratings.csv``, and ``tags.csv`` and ``links.csv`` if they exist."""

    order = 0
    dataset = "movielens"
    published: Mapping[str, PublishedFiles] = _zips("ml-20m", "ml-25m", "ml-32m") | _zips(
        "ml-latest-small", "ml-latest", md5=False
    )
    aliases = ("ml-latest-small", "ml-latest", "ml-20m", "ml-25m", "ml-32m")
    needs = ("movies.csv", "ratings.csv")
    uses = ("tags.csv", "links.csv")

    def items(self, faults: RowFaults) -> Iterator[dict[str, Any]]:
        """Movies with their genres as categories, the year of their title, their most used tags and their IMDb id."""
        tags, links = self._tags(faults), self._links(faults)
        for row in self._rows("movies.csv", ("movieId", "title", "genres"), faults):
            movie, title, genres = (row.cells[name] for name in ("movieId", "title", "genres"))
            item: dict[str, Any] = {
                "item_id": movie,
                "title": title,
                "categories": [genre for genre in genres.split("|") if genre not in {"", _NO_GENRES}],
                "tags": [tag for tag, _ in tags[movie].most_common(_TAGS)],
                "attributes": links.get(movie, {}),
            }
            yield FileRow(item | _published(title), row.source_line)

    def events(self, faults: RowFaults) -> Iterator[dict[str, Any]]:
        """Ratings at their real times."""
        ratings = self._rows("ratings.csv", ("userId", "movieId", "rating", "timestamp"), faults)
        return events_by_time(ratings, _rating, faults)

    def _tags(self, faults: RowFaults) -> defaultdict[str, Counter[str]]:
        tags: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for row in self._rows("tags.csv", ("movieId", "tag"), faults):
            if tag := row.cells["tag"].strip().lower():
                tags[row.cells["movieId"]][tag[:128]] += 1
        return tags

    def _links(self, faults: RowFaults) -> dict[str, dict[str, str]]:
        return {
            row.cells["movieId"]: {"imdb_id": f"tt{imdb}"}
            for row in self._rows("links.csv", ("movieId", "imdbId"), faults)
            if (imdb := row.cells["imdbId"])
        }

    def _rows(self, name: str, needs: Sequence[str], faults: RowFaults) -> Iterator[TableRow]:
        path = self.path(name)
        return rows(path, faults, needs=needs) if path else iter(())


class _OldMovieLens(FileImporter):
    """The base of the older sets: Latin-1 text without quotes and headers."""

    order = 0
    _delimiters: tuple[str, str] = ("", "")
    """The delimiter of ratings, and that of all other files."""
    _columns: Final = ("userId", "movieId", "rating", "timestamp")

    def events(self, faults: RowFaults) -> Iterator[dict[str, Any]]:
        """Ratings at their real times."""
        ratings = self._rows(0, self._delimiters[0], self._columns, faults)
        return events_by_time(ratings, _rating, faults)

    def _rows(self, file: int, delimiter: str, columns: Sequence[str], faults: RowFaults) -> Iterator[TableRow]:
        path = self.paths[file]
        return rows(path, faults, delimiter=delimiter, columns=columns, encoding="latin-1", quoted=False)


class MovieLens100k(_OldMovieLens):
    """``u.data``, ``u.item`` and ``u.user``: tabs and pipes."""

    dataset = "ml-100k"
    published: Mapping[str, PublishedFiles] = _zips("ml-100k")
    aliases = ("movielens-100k", "movielens")
    needs = ("u.data", "u.item", "u.user")
    _delimiters = ("\t", "|")

    def items(self, faults: RowFaults) -> Iterator[dict[str, Any]]:
        """Movies with their genres as categories and their day of release."""
        for row in self._rows(1, "|", _ITEM_COLUMNS, faults):
            cells = row.cells
            item = {
                "item_id": cells["item_id"],
                "title": cells["title"],
                "categories": [genre for genre in _GENRES[1:] if cells[genre] == "1"],
            }
            yield FileRow(item | (_released(cells["released"]) or _published(cells["title"])), row.source_line)

    def users(self, faults: RowFaults) -> Iterator[UserRow]:
        """Age, gender, occupation and ZIP code, as in the file."""
        for row in self._rows(2, "|", ("user_id", "age", "gender", "occupation", "zip_code"), faults):
            attributes = dict(row.cells)
            yield UserRow(attributes.pop("user_id"), attributes)


class MovieLens1M(_OldMovieLens):
    """``ratings.dat``, ``movies.dat`` and ``users.dat``, with ``::`` between columns. The 10M set has no users."""

    dataset = "ml-1m"
    published: Mapping[str, PublishedFiles] = _zips("ml-1m", "ml-10m")
    aliases = ("movielens-1m", "ml-10m", "movielens")
    needs = ("ratings.dat", "movies.dat")
    uses = ("users.dat",)
    _delimiters = ("::", "::")

    def items(self, faults: RowFaults) -> Iterator[dict[str, Any]]:
        """Movies with their genres as categories and the year of their title."""
        for row in self._rows(1, "::", ("movieId", "title", "genres"), faults):
            title, genres = row.cells["title"], row.cells["genres"]
            item = {
                "item_id": row.cells["movieId"],
                "title": title,
                "categories": list(filter(None, genres.split("|"))),
            }
            yield FileRow(item | _published(title), row.source_line)

    def users(self, faults: RowFaults) -> Iterator[UserRow]:
        """Age, gender, occupation and ZIP code."""
        if self.path("users.dat"):
            for row in self._rows(2, "::", ("user_id", "gender", "age", "occupation", "zip_code"), faults):
                attributes = dict(row.cells)
                attributes["occupation"] = _occupation(attributes["occupation"])
                yield UserRow(attributes.pop("user_id"), attributes)


def _rating(row: TableRow) -> DatedEvent:
    cells = row.cells
    event = {"type": "rating", "user_id": cells["userId"], "item_id": cells["movieId"]}
    event["value"] = row.number_in("rating")
    return row.time_in("timestamp"), event


def _occupation(number: str) -> str:
    return _OCCUPATIONS[int(number)] if number.isdecimal() and int(number) < len(_OCCUPATIONS) else number


def _published(title: str) -> dict[str, Any]:
    year = _YEAR.search(title)
    return {"published_at": datetime(int(year[1]), 1, 1, tzinfo=UTC)} if year and int(year[1]) else {}


def _released(text: str) -> dict[str, Any]:
    try:
        return {"published_at": datetime.strptime(text, "%d-%b-%Y").replace(tzinfo=UTC)}
    except ValueError:
        return {}


IMPORTERS: Final = (MovieLens, MovieLens100k, MovieLens1M)
