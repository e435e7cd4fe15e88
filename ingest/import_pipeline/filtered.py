"""Wraps an importer and leaves out the users and items that a filter removes. It reads the events twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from ingest.import_pipeline.base import Importer, ReadProgress, RowFaults, UserRow
from ingest.import_pipeline.files import slug
from ingest.import_pipeline.k_core import Filter, KeptIds
from schemas.errors import ConfigurationInvalid
from schemas.values.weights import Weight

_PERSON: Final = ("user_id", "anonymous_id", "session_id")
T = TypeVar("T")


class Filtered:
    """Implements Importer. A first reading of the events counts which user had which item.

    An event without a user counts for its anonymous user or session. Impressions do not count. Events without an item,
    such as searches, are kept if their user is. Raises ConfigurationInvalid if the filter leaves nothing.
    """

    def __init__(self, importer: Importer, rules: Filter) -> None:
        self._importer, self._rules = importer, rules
        self._selection: KeptIds | None = None
        self.dataset = f"{importer.dataset}-{slug(str(rules), 64)}"

    @property
    def description(self) -> str:
        """The description of the whole data set."""
        return self._importer.description

    @property
    def merges_items(self) -> bool:
        """As the whole data set."""
        return self._importer.merges_items

    @property
    def types(self) -> frozenset[str]:
        """The types of the whole data set."""
        return self._importer.types

    @property
    def weights(self) -> Mapping[str, Weight]:
        """The weights of the whole data set."""
        return self._importer.weights

    @property
    def paths(self) -> Sequence[Path]:
        """The files of the whole data set."""
        return self._importer.paths

    def ratings(self) -> Iterator[float]:
        """As in the whole data set."""
        return self._importer.ratings()

    def items(self, faults: RowFaults) -> Iterator[dict[str, Any]]:
        """The items that are kept."""
        kept_ids = self._kept_ids(faults)
        return _chosen(self._importer.items(faults), lambda item: kept_ids.has_item(item["item_id"]), faults)

    def users(self, faults: RowFaults) -> Iterator[UserRow]:
        """The users that are kept."""
        kept_ids = self._kept_ids(faults)
        return _chosen(self._importer.users(faults), lambda user: kept_ids.has_person(f"u{user.user_id}"), faults)

    def events(self, faults: RowFaults) -> Iterator[dict[str, Any]]:
        """The events of kept users on kept items, and those that validation refuses for their ids."""
        kept_ids = self._kept_ids(faults)
        return _chosen(self._importer.events(faults), lambda event: _keep(event, kept_ids), faults)

    def _kept_ids(self, faults: RowFaults) -> KeptIds:
        if self._selection is None:
            self._selection = self._count(faults.watch)
        return self._selection

    def _count(self, watch: ReadProgress) -> KeptIds:
        kept_ids = KeptIds()
        # The second reading counts the faults.
        for event in self._importer.events(RowFaults(watch=watch)):
            if event["type"] != "impression" and event.get("item_id") and _identified(event):
                kept_ids.count(_person(event), event["item_id"])
        kept_ids.decide(self._rules)
        if not kept_ids.any():
            raise ConfigurationInvalid(
                f"--filter {self._rules} leaves nothing of {self._importer.dataset}: ask for less"
            )
        return kept_ids


def _chosen(rows: Iterator[T], is_kept: Callable[[T], bool], faults: RowFaults) -> Iterator[T]:
    for row in rows:
        if is_kept(row):
            yield row
        else:
            faults.left_out += 1


def _keep(event: dict[str, Any], kept_ids: KeptIds) -> bool:
    """Removes shown items that are not kept. Returns False if the user, the item or all shown items are removed."""
    if not _identified(event):
        return True
    if not kept_ids.has_person(_person(event)) or ("item_id" in event and not kept_ids.has_item(event["item_id"])):
        return False
    if "impression" in event:
        event["impression"] = [item for item in event["impression"] if kept_ids.has_item(item)]
        return bool(event["impression"]) or "item_id" in event
    return True


def _identified(event: Mapping[str, Any]) -> bool:
    """True if all ids are text. A file may have a list or an object for an id; validation names such a row."""
    ids = [event[field] for field in (*_PERSON, "item_id") if event.get(field) is not None]
    return _person(event) != "" and all(isinstance(id_, str) for id_ in ids)


def _person(event: Mapping[str, Any]) -> str:
    """The user, anonymous user or session of an event, with a letter for the kind."""
    for field in _PERSON:
        if name := event.get(field):
            return f"{field[0]}{name}"
    return ""
