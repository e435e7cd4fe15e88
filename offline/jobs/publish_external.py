"""The job that publishes what others made: a version of its own, on the active one's other values, by the same gate."""

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
from offline.publishing.external_models import ExternalModel, Kind
from schemas.manifest import DataWindow, Manifest
from schemas.ports import LogWriter, ModelStore

ELSEWHERE: Final = "elsewhere"
"""The engine of what was not trained here."""
_SAMPLE: Final = 2_000
"""Copied lists whose length is remembered for the gate, at most about twice as many."""


class Receiving(NamedTuple):
    """What the job works on."""

    store: ModelStore
    hints: LogWriter
    options: TrainingOptions


class _Copied:
    """The parent's lists of one kind, counted, and the lengths of some remembered, as they go by."""

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


def receive(parts: Receiving, kind: Kind, made: ExternalModel, at: float, progress: Progress = quiet) -> Manifest:
    """Publish what was made of neighbours, lists or factors; ``at`` is in seconds since 1970.

    Raises ModelRefused where the gate objects (the version is kept, inactive); PointerMoved where
    someone else published meanwhile; ModelStoreUnavailable.
    """
    store, options = parts.store, parts.options
    active = store.active()
    parent = None if active is None else store.manifest(active)
    manifest = _manifest(kind, made, parent, at)
    progress("writing", 0, 2)
    copied = {each: _Copied(store, parent, each) for each in manifest.lists if parent and each not in made.lists}
    store.write(manifest, _values(store, made, parent), {**_given(made), **{k: iter(c) for k, c in copied.items()}})
    progress("gate", 1, 2)
    written = {each: len(lists) for each, lists in made.lists.items()} | {k: c.count for k, c in copied.items()}
    lengths = {each: _lengths(lists) for each, lists in made.lists.items()} | {k: c.lengths for k, c in copied.items()}
    gate.admit(store, manifest, written, lengths, options.gate)
    publish.activate(store, parts.hints, manifest.version, active, at)
    publish.expire(store, options.keep_versions)
    return manifest


def _manifest(kind: Kind, made: ExternalModel, parent: Manifest | None, at: float) -> Manifest:
    based_on = parent or _nothing(at)
    digest = blake2b(digest_size=8)
    for part in (*made.values.values(), *(value for lists in made.lists.values() for value in lists.values())):
        digest.update(part)
    source = {"kind": kind, "rows": made.rows, "digest": digest.hexdigest()}
    counts = {each: len(lists) for each, lists in made.lists.items()}
    parent_version = None if parent is None else parent.version
    return msgspec.structs.replace(
        based_on,
        version=version_of(at, {**source, "parent": parent_version}),
        created_at=datetime.fromtimestamp(at, UTC),
        algorithm=kind,
        engine=ELSEWHERE,
        parameters={**based_on.parameters, ELSEWHERE: source},
        values=tuple(dict.fromkeys((*based_on.values, *made.values))),
        lists=based_on.lists | counts,
        metrics={},
        code_version=metadata.version("freshet"),
        parent=parent_version,
    )


def _nothing(at: float) -> Manifest:
    """What a version is based on where there is none yet."""
    return Manifest(
        version="",
        created_at=datetime.fromtimestamp(at, UTC),
        algorithm="",
        engine="",
        parameters={},
        window=DataWindow(interactions=0, users=0, items=0),
        offsets={},
        values=(),
        lists={},
    )


def _values(store: ModelStore, made: ExternalModel, parent: Manifest | None) -> dict[str, bytes]:
    kept = [] if parent is None else [name for name in parent.values if name not in made.values]
    return {name: store.value(parent.version, name) for name in kept if parent} | dict(made.values)


def _given(made: ExternalModel) -> dict[str, Iterator[tuple[str, bytes]]]:
    return {kind: iter(lists.items()) for kind, lists in made.lists.items()}


def _lengths(lists: Mapping[str, bytes]) -> dict[str, int]:
    return {key: len(ScoredList.load(value)) for key, value in lists.items()}
