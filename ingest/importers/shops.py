"""Data sets of shops and news desks: Deskdrop, RecSys Challenge 2015, Diginetica, Steam and goodbooks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ingest.importers.base import Faults, FileImporter
from ingest.importers.files import lines, moment, rows
from ingest.importers.ordering import Timed, by_time

_PHONE: Final = re.compile(r"iphone|android.*mobile|windows phone", re.IGNORECASE)
_TABLET: Final = re.compile(r"ipad|android|tablet", re.IGNORECASE)
_PERIOD: Final = re.compile(r"period_(\d+)\.txt(\.gz)?$")


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
        """An ``events.csv`` with Deskdrop's columns."""
        if not super().recognises(folder):
            return False
        first = next(lines(cls(folder).paths[0], "utf-8", Faults()), "")
        return first.strip().split(",") == list(cls._columns)

    def events(self, faults: Faults) -> Iterator[dict[str, Any]]:
        """Events with their session, kind of device, country and region."""
        return by_time(self._events(faults))

    def _events(self, faults: Faults) -> Iterator[Timed]:
        for row in rows(self.paths[0], faults):
            cells = row.cells
            kind = self._kinds.get(cells["eventType"])
            if kind is None or not cells["timestamp"].isdecimal():
                faults.note(
                    f"events.csv line {row.number}", f"'{cells['eventType']}' at '{cells['timestamp']}' is no event"
                )
                continue
            names = {
                "device": device(cells["userAgent"]),
                "country": cells["userCountry"],
                "region": cells["userRegion"],
            }
            event = {
                "event_id": f"{self.dataset}-{row.number}",
                "type": kind,
                "user_id": cells["personId"],
                "session_id": cells["sessionId"],
                "item_id": cells["contentId"],
                "context": {name: value for name, value in names.items() if value},
            }
            yield float(cells["timestamp"]), row.number, event


class RecSys2015(FileImporter):
    """Clicks in sessions: ``train.tsv`` and ``test.tsv`` with SessionId, ItemId and Time."""

    dataset = "rsc15"
    needs = ("train.tsv", "test.tsv")

    def events(self, faults: Faults) -> Iterator[dict[str, Any]]:
        """Clicks of sessions without a known user."""
        return by_time(self._clicks(faults))

    def _clicks(self, faults: Faults) -> Iterator[Timed]:
        for path in self.paths:
            part = path.name.partition(".")[0]
            for row in rows(path, faults, delimiter="\t"):
                cells = row.cells
                try:
                    at = moment(cells.get("Time", ""))
                except ValueError as error:
                    faults.note(f"{path.name} line {row.number}", str(error))
                    continue
                session, item = cells.get("SessionId", ""), cells.get("ItemId", "")
                yield at, row.number, _click(f"{self.dataset}-{part}-{row.number}", session, item)


class Diginetica(FileImporter):
    """Clicks in sessions, a file a week: ``period_0.txt`` and on, in order but without times."""

    dataset = "diginetica"
    needs = ("period_0.txt",)

    @property
    def paths(self) -> Sequence[Path]:
        """The weeks in their order."""
        weeks = [(int(match[1]), path) for path in self.folder.iterdir() if (match := _PERIOD.match(path.name))]
        return [path for _, path in sorted(weeks)]

    def events(self, faults: Faults) -> Iterator[dict[str, Any]]:
        """Clicks in the files' order; their time is that of the import."""
        for week, path in enumerate(self.paths):
            for row in rows(path, faults, delimiter=" ", columns=("session", "item")):
                name = f"{self.dataset}-{week}-{row.number}"
                yield _click(name, row.cells["session"], row.cells["item"])


class Steam(FileImporter):
    """Hours played of video games: ``plays.csv``; without times."""

    dataset = "steam-200k"
    aliases = ("steam",)
    needs = ("plays.csv",)

    def items(self, faults: Faults) -> Iterator[dict[str, Any]]:
        """Each game once, by its title."""
        met: set[str] = set()
        for row in rows(self.paths[0], faults):
            game = row.cells.get("content_id", "")
            if game not in met:
                met.add(game)
                yield {"item_id": game, "title": row.cells.get("game", "")}

    def events(self, faults: Faults) -> Iterator[dict[str, Any]]:
        """Hours as ``dwell`` in seconds; their time is that of the import."""
        for row in rows(self.paths[0], faults):
            cells = row.cells
            try:
                seconds = float(cells.get("hours", "")) * 3_600
            except ValueError:
                faults.note(f"plays.csv line {row.number}", f"'{cells.get('hours', '')}' is no number of hours")
                continue
            yield {
                "event_id": f"{self.dataset}-{row.number}",
                "type": "dwell",
                "user_id": cells.get("user_id"),
                "item_id": cells.get("content_id"),
                "value": seconds,
            }


class Goodbooks(FileImporter):
    """A catalogue of books: ``books.csv``; no events."""

    dataset = "goodbooks"
    aliases = ("books",)
    needs = ("books.csv",)

    def items(self, faults: Faults) -> Iterator[dict[str, Any]]:
        """Books with their authors, language and year."""
        for row in rows(self.paths[0], faults):
            cells = row.cells
            year = _year(cells.get("original_publication_year", ""))
            authors = [name.strip() for name in cells.get("authors", "").split(",") if name.strip()]
            said = {"authors": authors, "language": cells.get("language_code"), "isbn": cells.get("isbn"), "year": year}
            yield {
                "item_id": cells.get("book_id", ""),
                "title": cells.get("title", ""),
                "attributes": {name: value for name, value in said.items() if value},
                "published_at": datetime(year, 1, 1, tzinfo=UTC) if year and year > 0 else None,
            }


def device(agent: str) -> str | None:
    """The kind of device that a browser's name tells."""
    if not agent:
        return None
    if _PHONE.search(agent):
        return "phone"
    return "tablet" if _TABLET.search(agent) else "desktop"


def _click(event_id: str, session: str, item: str) -> dict[str, Any]:
    return {"event_id": event_id, "type": "click", "session_id": session, "item_id": item}


def _year(text: str) -> int | None:
    try:
        return int(float(text))
    except (ValueError, OverflowError):
        return None
