"""Exports a version to targets outside the model store. Each export is atomic, and a failure does not stop publishing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import stamina
import structlog

from models.structures.lists import ScoredList
from offline.metrics import EXPORTS
from schemas.errors import ExportFailed, FreshetError, ModelStoreUnavailable
from schemas.offline.manifest import Manifest
from schemas.ports import ListRow, ModelStore, VersionTarget

TRIES: Final = 4
TOTAL_SECONDS: Final = 120.0
"""Time limit of the attempts for one target, in seconds."""

_log = structlog.get_logger()


class Exports:
    """Exports versions to every target. It raises nothing, because the version is already active."""

    def __init__(self, targets: Sequence[VersionTarget] = ()) -> None:
        self._targets = tuple(targets)

    def __bool__(self) -> bool:
        """True if there is a target."""
        return bool(self._targets)

    def export(self, store: ModelStore, version: str) -> list[str]:
        """Writes a version to every target, with retries. Returns a sentence for each failed target."""
        return [sentence for target in self._targets if (sentence := _exported(target, store, version))]

    def replace(self, store: ModelStore, version: str) -> list[str]:
        """Writes a version anew to every target, because a person was erased from it. Returns a sentence for each failure."""
        failures = []
        for target in self._targets:
            try:
                target.delete(version)
            except ExportFailed as error:
                failures.append(f"{version} is not removed from {target.name}: {error}")
        return failures or self.export(store, version)

    def stored(self, store: ModelStore) -> frozenset[str]:
        """Returns the current versions of the store, for ``forget``. Empty without targets."""
        return frozenset(manifest.version for manifest in store.versions()) if self._targets else frozenset()

    def forget(self, store: ModelStore, before: frozenset[str]) -> None:
        """Removes from targets the versions that the store has removed since ``before``. Failures are logged."""
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
    """Yields the lists of a kind. Raises ExportFailed if their number differs from the manifest."""
    count = 0
    for key, value in store.entries(manifest.version, kind):
        read = ScoredList.load(value)
        yield ListRow(key, read.item_ids, read.scores)
        count += 1
    if count != manifest.lists[kind]:
        raise ExportFailed(f"the store gave {count} of {manifest.lists[kind]} lists of {kind}")
