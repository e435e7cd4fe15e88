"""Moves the active pointer to a version, writes a hint to the ``models`` topic, and removes expired versions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, Literal

import structlog

from offline.metrics import HINTS_LOST, MODEL_INTERACTIONS, MODEL_QUALITY, MODEL_TRAINED_AT
from schemas.errors import LogUnavailable, PointerMoved, VersionUnknown
from schemas.log import topics
from schemas.log.records import LogEntry
from schemas.offline.manifest import Manifest
from schemas.offline.model_hints import HINT_KEY, ModelHint, encode_hint
from schemas.ports import LogWriter, ModelStore

Reason = Literal["published", "promoted", "rolled_back"]

KEPT: Final = 5
"""Number of versions that ``expire`` keeps, besides the active one and its parent."""
_HINT_SECONDS: Final = 10.0

_log = structlog.get_logger()


def activate(
    store: ModelStore, hints: LogWriter, version: str, expected: str | None, now: float, reason: Reason = "published"
) -> Manifest:
    """Makes a complete version active by compare-and-set, then writes a hint.

    Raises PointerMoved, VersionUnknown, ModelStoreUnavailable. A failed hint is only counted.
    """
    manifest = store.manifest(version)
    store.activate(version, expected)
    _measure(manifest)
    _hint(hints, ModelHint(version=version, previous=expected, reason=reason, at=datetime.fromtimestamp(now, UTC)))
    _log.info("the active version has changed", version=version, previous=expected, reason=reason)
    return manifest


def promote(store: ModelStore, hints: LogWriter, version: str, now: float) -> Manifest:
    """Makes any complete version active, without the gate. Raises as ``activate`` does."""
    return activate(store, hints, version, store.active(), now, "promoted")


def rollback(store: ModelStore, hints: LogWriter, now: float) -> Manifest:
    """Makes the parent of the active version active, or the newest older version if the parent is gone.

    Raises VersionUnknown if there is none, and as ``activate`` does.
    """
    active = store.active()
    if active is None:
        raise VersionUnknown("no version is active, so there is nothing to go back from; train one first")
    return activate(store, hints, _before(active, store.versions()), active, now, "rolled_back")


def expire(store: ModelStore, keep: int = KEPT) -> list[str]:
    """Removes all but the newest ``keep`` versions, never the active one, its parent or the challenger.

    Returns the removed versions.
    """
    active, versions = store.active(), store.versions()
    spared = {active, store.challenger(), *(manifest.parent for manifest in versions if manifest.version == active)}
    gone = [manifest.version for manifest in versions[max(0, keep) :] if manifest.version not in spared]
    return [version for version in gone if _delete(store, version)]


def _before(active: str, versions: Sequence[Manifest]) -> str:
    names = [manifest.version for manifest in versions]
    parent = next((manifest.parent for manifest in versions if manifest.version == active), None)
    older = [name for name in names if name < active]
    if parent in names:
        return str(parent)
    if not older:
        raise VersionUnknown(f"{active} is the oldest version in the store; there is none to go back to")
    return older[0]


def _delete(store: ModelStore, version: str) -> bool:
    try:
        store.delete(version)
    except PointerMoved:  # it was promoted meanwhile
        return False
    return True


def _hint(hints: LogWriter, hint: ModelHint) -> None:
    try:
        [landed] = hints.append(topics.MODELS, [LogEntry(HINT_KEY, encode_hint(hint))]).result(_HINT_SECONDS)
    except (LogUnavailable, TimeoutError) as error:
        landed = error
    if isinstance(landed, Exception):
        HINTS_LOST.inc()
        _log.warning("the models topic was not told of the new version", version=hint.version, reason=str(landed))


def _measure(manifest: Manifest) -> None:
    MODEL_TRAINED_AT.set(manifest.created_at.timestamp())
    MODEL_INTERACTIONS.set(manifest.window.interactions)
    for name, value in manifest.metrics.items():
        MODEL_QUALITY.labels(name).set(value)
