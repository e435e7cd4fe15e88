"""Wraps an importer and leaves out the users and items that a filter removes. It reads the events twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ingest.import_pipeline.base import Importer, ReadProgress, RowFaults, UserRow
from ingest.import_pipeline.files import slug
from ingest.import_pipeline.k_core import Filter, KeptIds
from schemas.errors import ConfigurationInvalid
from schemas.weights import Weight


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

    def items(self, faults: RowFaults) -> Iterator[dict[str, Any]]:
        """The items that are kept."""
        kept_ids = self._kept_ids(faults)
        return (item for item in self._importer.items(faults) if kept_ids.has_item(item["item_id"]))

    def users(self, faults: RowFaults) -> Iterator[UserRow]:
        """The users that are kept."""
        kept_ids = self._kept_ids(faults)
        return (user for user in self._importer.users(faults) if kept_ids.has_person(f"u{user.user_id}"))

    def events(self, faults: RowFaults) -> Iterator[dict[str, Any]]:
        """The events of kept users on kept items."""
        kept_ids = self._kept_ids(faults)
        events = (_without_removed_items(event, kept_ids) for event in self._importer.events(faults))
        return (event for event in events if event is not None)

    def _kept_ids(self, faults: RowFaults) -> KeptIds:
        if self._selection is None:
            self._selection = self._count(faults.watch)
        return self._selection

    def _count(self, watch: ReadProgress) -> KeptIds:
        kept_ids = KeptIds()
        # The second reading counts the faults.
        for event in self._importer.events(RowFaults(watch=watch)):
            if event["type"] != "impression" and event.get("item_id"):
                kept_ids.count(_person(event), event["item_id"])
        kept_ids.decide(self._rules)
        if not kept_ids.any():
            raise ConfigurationInvalid(
                f"--filter {self._rules} leaves nothing of {self._importer.dataset}: ask for less"
            )
        return kept_ids


def _without_removed_items(event: dict[str, Any], kept_ids: KeptIds) -> dict[str, Any] | None:
    """The event without shown items that are removed; None if its user, its item or all shown items are removed."""
    if not kept_ids.has_person(_person(event)) or ("item_id" in event and not kept_ids.has_item(event["item_id"])):
        return None
    if "impression" in event:
        event["impression"] = [item for item in event["impression"] if kept_ids.has_item(item)]
        return event if event["impression"] or "item_id" in event else None
    return event


def _person(event: Mapping[str, Any]) -> str:
    """The user, anonymous user or session of an event, with a letter for the kind."""
    for kind, field in (("u", "user_id"), ("a", "anonymous_id"), ("s", "session_id")):
        if name := event.get(field):
            return f"{kind}{name}"
    return ""
