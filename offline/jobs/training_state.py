"""What the schedule remembers beside versions and runs, which both expire: the last full training, and a person's choice."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final, Literal, TypeVar

import msgspec

from schemas.errors import UNREADABLE
from schemas.offline.manifest import Manifest
from schemas.ports import Documents

LAST_FULL: Final = "last-full-training"
CHOSEN: Final = "version-chosen-by-hand"
"""Names of the documents."""

S = TypeVar("S", bound=msgspec.Struct)


class FullTraining(msgspec.Struct, frozen=True, kw_only=True):
    """A full training that made a version active."""

    version: str
    trained_at: datetime
    offsets: Mapping[str, int]
    """Offsets of the log up to which its events reach, as in the manifest."""
    seconds: float = 0.0
    """Time that it took; 0 if unknown."""


class ChosenVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version that a person made active. No incremental training replaces it."""

    version: str
    how: Literal["promoted", "rolled_back"]
    at: datetime


def is_full(manifest: Manifest) -> bool:
    """True if the version comes from a full training of this system."""
    return manifest.engine in ("single", "spark") and manifest.parameters.get("incremental") is False


def full_training(manifest: Manifest, seconds: float = 0.0) -> FullTraining:
    """Returns the full training that made this version."""
    return FullTraining(
        version=manifest.version, trained_at=manifest.created_at, offsets=manifest.offsets, seconds=seconds
    )


def note_full(documents: Documents, training: FullTraining) -> None:
    """Remembers the last full training. Raises JobStoreUnavailable."""
    documents.write(LAST_FULL, msgspec.json.encode(training))


def last_full(documents: Documents) -> FullTraining | None:
    """Returns the last full training that was noted; None if there is none. Raises JobStoreUnavailable."""
    return _read(documents, LAST_FULL, FullTraining)


def note_chosen(documents: Documents, chosen: ChosenVersion) -> None:
    """Remembers which version a person made active. Raises JobStoreUnavailable."""
    documents.write(CHOSEN, msgspec.json.encode(chosen))


def chosen_by_hand(documents: Documents) -> str | None:
    """Returns the version that a person made active last, active or not; None if nobody did. Raises JobStoreUnavailable."""
    chosen = _read(documents, CHOSEN, ChosenVersion)
    return None if chosen is None else chosen.version


def _read(documents: Documents, name: str, kind: type[S]) -> S | None:
    stored = documents.read(name)
    try:
        return None if stored is None else msgspec.json.decode(stored, type=kind)
    except UNREADABLE:  # of another version of Freshet
        return None
