"""The training job: archive, interactions, evaluation, training, gate, publish."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import blake2b
from importlib import metadata
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import structlog

from models.als import Als
from models.lists import ITEMS, USERS
from models.neighbours import Neighbours
from offline import gate, publish
from offline.archive import Progress, archive_log, quiet
from offline.dataset import Interactions, ends, from_arrow, since
from offline.engines import Engine, EngineName, choose
from offline.metrics import TRAINING_SECONDS, TRAININGS
from offline.options import TrainingOptions
from offline.quality import measure
from offline.training import neighbours, popularity
from offline.training.lists import item_lists, known_users, user_lists
from schemas import topics
from schemas.errors import ModelRefused, VersionUnknown
from schemas.manifest import Manifest
from schemas.ports import Archive, Clock, LogReader, LogWriter, ModelStore

_DISTRIBUTION: Final = "freshet"
_log = structlog.get_logger()


@dataclass(frozen=True)
class TrainingParts:
    """What the job works on."""

    log: LogReader
    archive: Archive
    store: ModelStore
    hints: LogWriter
    clock: Clock


class Skipped(NamedTuple):
    """There was nothing new to learn."""

    version: str
    """The active version, which stays."""
    reason: str


class _Trained(NamedTuple):
    interactions: Interactions
    als: Als
    neighbours: Neighbours


def train(
    parts: TrainingParts,
    engine: EngineName = "auto",
    force: bool = False,
    now: float | None = None,
    progress: Progress = quiet,
    options: TrainingOptions | None = None,
) -> Manifest | Skipped:
    """Train on all that the log and the archive hold, and make the result the active version.

    Skips where nothing was archived since the active version, unless forced. ``now`` (seconds since 1970) is the
    clock's unless handed in. Raises NothingToTrain; ModelRefused where the gate objects (the version is kept,
    inactive); PointerMoved where someone else published meanwhile; LogUnavailable, ModelStoreUnavailable.
    """
    chosen, at = options or TrainingOptions(), parts.clock() if now is None else now
    outcome = "failed"
    try:
        done = _run(parts, engine, force, at, progress, chosen)
        outcome = "skipped" if isinstance(done, Skipped) else "published"
    except ModelRefused:
        outcome = "refused"
        raise
    finally:
        TRAININGS.labels(outcome).inc()
    return done


def version_of(at: float, about: Mapping[str, Any]) -> str:
    """A version id: its time to the millisecond (UTC), so that ids sort by age, and a short hash of what it is about."""
    stamp = datetime.fromtimestamp(at, UTC).strftime("%Y%m%dT%H%M%S%f")[:-3]
    return f"{stamp}Z-{blake2b(msgspec.json.encode(about, order='sorted'), digest_size=4).hexdigest()}"


def _run(
    parts: TrainingParts, engine: EngineName, force: bool, at: float, progress: Progress, options: TrainingOptions
) -> Manifest | Skipped:
    with _step("archive"):
        archive_log(parts.log, parts.archive, progress=progress)
    parent = parts.store.active()
    if parent is not None and not force and not _unseen(parts, parent):
        return Skipped(parent, "nothing has happened since the active version was trained; --force trains all the same")
    using = choose(engine, since(parts.archive, {}), options)
    try:
        trained, manifest = _learn(parts, using, at, progress, options, parent)
    finally:
        using.close()
    written = _write(parts.store, trained, manifest, progress, options)
    _admit(parts.store, trained, manifest, written, options)
    publish.activate(parts.store, parts.hints, manifest.version, parent, at)
    publish.expire(parts.store, options.keep_versions)
    return manifest


def _unseen(parts: TrainingParts, active: str) -> int:
    try:
        return since(parts.archive, parts.store.manifest(active).offsets)
    except VersionUnknown:  # removed by hand: learn again
        return 1


def _learn(
    parts: TrainingParts, engine: Engine, at: float, progress: Progress, options: TrainingOptions, parent: str | None
) -> tuple[_Trained, Manifest]:
    offsets = ends(parts.archive)
    with _step("interactions"):
        table = engine.interactions(parts.archive.files(topics.EVENTS), options.interactions(at), progress)
        interactions = from_arrow(table, offsets)
    with _step("evaluation"):
        metrics = measure(table, engine, options, progress)
    with _step("training"):
        als = engine.als(interactions, options.als, progress)
        near = neighbours.train(interactions, options.neighbours, progress)
    trained = _Trained(interactions, als, near)
    return trained, _manifest(trained, engine.name, at, metrics, options, parent)


def _manifest(
    trained: _Trained, engine: str, at: float, metrics: dict[str, float], options: TrainingOptions, parent: str | None
) -> Manifest:
    offsets, settings = trained.interactions.offsets, options.as_dict(at)
    with_neighbours = int((trained.neighbours.indices[:, 0] >= 0).sum())
    return Manifest(
        version=version_of(at, {"offsets": offsets, "parameters": settings, "engine": engine, "parent": parent}),
        created_at=datetime.fromtimestamp(at, UTC),
        algorithm="als",
        engine=engine,
        parameters=settings | {"regularization": trained.als.regularization, "alpha": trained.als.alpha},
        window=trained.interactions.window,
        offsets=offsets,
        values=("als", "neighbours", "popularity"),
        lists={USERS: int(known_users(trained.interactions).size), ITEMS: with_neighbours},
        metrics=metrics,
        code_version=metadata.version(_DISTRIBUTION),
        parent=parent,
    )


def _write(
    store: ModelStore, trained: _Trained, manifest: Manifest, progress: Progress, options: TrainingOptions
) -> dict[str, int]:
    """Writes the version; returns how many lists of each kind it was given."""
    values = {
        "als": _stored(trained.als, trained.interactions, options.stored_users).save(),
        "neighbours": trained.neighbours.save(),
        "popularity": popularity.train(trained.interactions).save(),
    }
    lists = {
        USERS: user_lists(trained.als, trained.interactions, options.list_length, progress),
        ITEMS: item_lists(trained.neighbours, options.similar_length, progress),
    }
    written: dict[str, int] = {}
    with _step("write"):
        store.write(manifest, values, {kind: _counted(each, kind, written) for kind, each in lists.items()})
    return written


def _admit(
    store: ModelStore, trained: _Trained, manifest: Manifest, written: Mapping[str, int], options: TrainingOptions
) -> None:
    with _step("gate"):
        lengths = _lengths(trained.interactions, options.list_length)
        objections = gate.objections(store, manifest, written, lengths)
    if objections:
        _log.warning("the gate refused a version", version=manifest.version, objections=objections)
        raise ModelRefused(
            f"version {manifest.version} was trained but is not active: {'; '.join(objections)}."
            f" `freshet models promote {manifest.version}` makes it active all the same"
        )


def _stored(als: Als, interactions: Interactions, limit: int) -> Als:
    """The factors of those who have a user_id, or of nobody where they are too many: fold-in serves the others."""
    rows = known_users(interactions)
    if rows.size > limit:
        return als.without_users()
    return replace(als, user_ids=tuple(als.user_ids[row] for row in rows.tolist()), user_factors=als.user_factors[rows])


def _lengths(interactions: Interactions, length: int) -> dict[str, int]:
    """How long each known user's list must be: full, or all that is left."""
    unseen = len(interactions.item_ids) - np.diff(interactions.matrix.indptr)
    return {interactions.user_ids[row]: min(length, int(unseen[row])) for row in known_users(interactions).tolist()}


def _counted(entries: Iterator[tuple[str, bytes]], kind: str, written: dict[str, int]) -> Iterator[tuple[str, bytes]]:
    for count, entry in enumerate(entries, start=1):
        yield entry
        written[kind] = count


@contextmanager
def _step(name: str) -> Iterator[None]:
    begun = time.perf_counter()
    try:
        yield
    finally:
        TRAINING_SECONDS.labels(name).set(time.perf_counter() - begun)
