"""The job that publishes external models: a new version based on the other values of the active one, with the same gate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from importlib import metadata
from typing import Final, NamedTuple

import msgspec

from models.structures.lists import ScoredList
from offline.data.archive import Progress, quiet
from offline.engines.options import TrainingOptions
from offline.jobs.train import version_of
from offline.publishing import gate, publish
from offline.publishing.external_models import ExternalModel, ExternalModelKind
from schemas.offline.manifest import DataWindow, Manifest
from schemas.ports import LogWriter, ModelStore

ELSEWHERE: Final = "elsewhere"
"""Engine name of external models."""
_SAMPLE: Final = 2_000
"""Approximate number of copied lists whose length the gate checks; at most about twice as many."""


class Receiving(NamedTuple):
    """Ports and options that the job uses."""

    store: ModelStore
    hints: LogWriter
    options: TrainingOptions


class _Copied:
    """Iterates over the parent's lists of one kind, counts them, and records the lengths of a sample."""

    def __init__(self, store: ModelStore, parent: Manifest, kind: str) -> None:
        self._entries, self._every = store.entries(parent.version, kind), max(1, parent.lists[kind] // _SAMPLE)
        self.count = 0
        self.lengths: dict[str, int] = {}

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        for key, value in self._entries:
            if self.count % self._every == 0:
                self.lengths[key] = len(ScoredList.load(value))
            self.count += 1
            yield key, value


def receive(
    parts: Receiving, kind: ExternalModelKind, model: ExternalModel, now: float, progress: Progress = quiet
) -> Manifest:
    """Publishes external neighbours, lists or factors. ``now`` is in seconds since 1970.

    Raises ModelRefused if the gate objects (the version stays, inactive); PointerMoved if another job published
    meanwhile; ModelStoreUnavailable.
    """
    store, options = parts.store, parts.options
    active = store.active()
    parent = None if active is None else store.manifest(active)
    manifest = _manifest(kind, model, parent, now)
    progress("writing", 0, 2)
    copied = {
        list_kind: _Copied(store, parent, list_kind)
        for list_kind in manifest.lists
        if parent and list_kind not in model.lists
    }
    store.write(manifest, _values(store, model, parent), {**_given(model), **{k: iter(c) for k, c in copied.items()}})
    progress("gate", 1, 2)
    written = {list_kind: len(lists) for list_kind, lists in model.lists.items()} | {
        k: c.count for k, c in copied.items()
    }
    lengths = {list_kind: _lengths(lists) for list_kind, lists in model.lists.items()} | {
        k: c.lengths for k, c in copied.items()
    }
    gate.admit(store, manifest, written, lengths, options.gate)
    publish.activate(store, parts.hints, manifest.version, active, now)
    publish.expire(store, options.keep_versions)
    return manifest


def _manifest(kind: ExternalModelKind, model: ExternalModel, parent: Manifest | None, now: float) -> Manifest:
    based_on = parent or _nothing(now)
    digest = blake2b(digest_size=8)
    for part in (*model.values.values(), *(value for lists in model.lists.values() for value in lists.values())):
        digest.update(part)
    source = {"kind": kind, "rows": model.rows, "digest": digest.hexdigest()}
    counts = {list_kind: len(lists) for list_kind, lists in model.lists.items()}
    parent_version = None if parent is None else parent.version
    return msgspec.structs.replace(
        based_on,
        version=version_of(now, {**source, "parent": parent_version}),
        created_at=datetime.fromtimestamp(now, UTC),
        algorithm=kind,
        engine=ELSEWHERE,
        parameters={**based_on.parameters, ELSEWHERE: source},
        values=tuple(dict.fromkeys((*based_on.values, *model.values))),
        lists=based_on.lists | counts,
        metrics={},
        code_version=metadata.version("freshet"),
        parent=parent_version,
    )


def _nothing(now: float) -> Manifest:
    """Returns the base of a first version."""
    return Manifest(
        version="",
        created_at=datetime.fromtimestamp(now, UTC),
        algorithm="",
        engine="",
        parameters={},
        window=DataWindow(interactions=0, users=0, items=0),
        offsets={},
        values=(),
        lists={},
    )


def _values(store: ModelStore, model: ExternalModel, parent: Manifest | None) -> dict[str, bytes]:
    inherited = [] if parent is None else [name for name in parent.values if name not in model.values]
    return {name: store.value(parent.version, name) for name in inherited if parent} | dict(model.values)


def _given(model: ExternalModel) -> dict[str, Iterator[tuple[str, bytes]]]:
    return {kind: iter(lists.items()) for kind, lists in model.lists.items()}


def _lengths(lists: Mapping[str, bytes]) -> dict[str, int]:
    return {key: len(ScoredList.load(value)) for key, value in lists.items()}
