"""Copies of a version outside the model store: each target whole or not at all, and none in the way of publishing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import stamina
import structlog

from models.structures.lists import ScoredList
from offline.metrics import EXPORTS
from schemas.errors import ExportFailed, FreshetError, ModelStoreUnavailable
from schemas.manifest import Manifest
from schemas.ports import ListRow, ModelStore, VersionTarget

TRIES: Final = 4
TOTAL_SECONDS: Final = 120.0
"""After which a target that fails is not tried again."""

_log = structlog.get_logger()


class Exports:
    """Copies versions to every target. Raises nothing: the version answers already."""

    def __init__(self, targets: Sequence[VersionTarget] = ()) -> None:
        self._targets = tuple(targets)

    def __bool__(self) -> bool:
        """Whether there is any target."""
        return bool(self._targets)

    def export(self, store: ModelStore, version: str) -> list[str]:
        """Write a version of the store to every target, a failed one tried again; a sentence for each that failed."""
        return [sentence for target in self._targets if (sentence := _exported(target, store, version))]

    def stored(self, store: ModelStore) -> frozenset[str]:
        """The store's versions now, to be handed to ``forget`` later; none where nothing is exported."""
        return frozenset(each.version for each in store.versions()) if self._targets else frozenset()

    def forget(self, store: ModelStore, before: frozenset[str]) -> None:
        """Remove what the store held before and has removed since; what cannot be removed is logged and stays."""
        for version in sorted(before - self.stored(store)):
            for target in self._targets:
                _removed(target, version)


def _removed(target: VersionTarget, version: str) -> None:
    try:
        target.delete(version)
    except ExportFailed as error:
        _log.warning("export_not_removed", target=target.name, version=version, reason=str(error))


def _exported(target: VersionTarget, store: ModelStore, version: str) -> str | None:
    try:
        for attempt in stamina.retry_context(
            on=(ExportFailed, ModelStoreUnavailable), attempts=TRIES, timeout=TOTAL_SECONDS, wait_max=10.0
        ):
            with attempt:
                _write(target, store, version)
    except FreshetError as error:
        EXPORTS.labels("failed").inc()
        _log.warning("version_not_exported", target=target.name, version=version, reason=str(error))
        return f"{version} is not exported to {target.name}: {error}"
    EXPORTS.labels("done").inc()
    _log.info("version_exported", target=target.name, version=version)
    return None


def _write(target: VersionTarget, store: ModelStore, version: str) -> None:
    manifest = store.manifest(version)
    values = ((name, store.value(version, name)) for name in manifest.values)
    target.write(manifest, values, {kind: _rows(store, manifest, kind) for kind in manifest.lists})


def _rows(store: ModelStore, manifest: Manifest, kind: str) -> Iterator[ListRow]:
    """The lists of a kind; raises ExportFailed where they are not as many as the manifest says."""
    count = 0
    for key, value in store.entries(manifest.version, kind):
        read = ScoredList.load(value)
        yield ListRow(key, read.item_ids, read.scores)
        count += 1
    if count != manifest.lists[kind]:
        raise ExportFailed(f"the store gave {count} of {manifest.lists[kind]} lists of {kind}")
