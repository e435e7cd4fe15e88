"""The training job: archive, interactions, evaluation, training, gate, publish."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
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
from models.neighbours import Neighbours
from models.source_weights import SourceWeights
from models.structures.lists import ITEMS, USERS
from models.structures.recommender import Recommender
from offline.data.archive import Progress, archive_log, quiet
from offline.data.dataset import Interactions, ends, from_arrow, since
from offline.data.metadata import read_metadata
from offline.engines.engine import EngineName, choose
from offline.engines.options import TrainingOptions
from offline.evaluation.validation import measure
from offline.jobs.training_choices import Learning, parameters_of, require_known
from offline.metrics import TRAINING_SECONDS, TRAININGS
from offline.publishing import gate, publish
from offline.training.lists import item_lists, known_users
from offline.training.neighbourhood import neighbours
from schemas.errors import ModelRefused, Undecodable, VersionUnknown
from schemas.log import topics
from schemas.offline.manifest import Manifest
from schemas.ports import Archive, Clock, LogReader, LogWriter, ModelStore

_DISTRIBUTION: Final = "freshet"
_BASE_ALGORITHMS: Final = frozenset({*TrainingOptions.factorizations, "neighbours", "popularity"})
"""Algorithms whose models are part of every version, so they are not trained a second time as further models.

The names are fixed here, and not read from the declarations, because serving depends on these models: it folds in users by
the factors, reads similar items from the neighbours, and falls back to popularity. ``serving.state.model_bundle`` has a
field for each. All other algorithms are found by their declarations.
"""
_WEIGHTS: Final = SourceWeights.kind
_log = structlog.get_logger()


Weigh = Callable[[Archive, TrainingOptions, Progress], SourceWeights | None]
"""Learns the weights of candidate sources from an archive; None if it cannot."""


@dataclass(frozen=True)
class TrainingParts:
    """Ports that the training job uses."""

    log: LogReader
    archive: Archive
    store: ModelStore
    hints: LogWriter
    clock: Clock
    weigh: Weigh | None = None
    """Learns the weights of candidate sources. None: the configured weights stay."""
    chosen_by_hand: str | None = None
    """Version that a person made active last. No incremental training replaces it."""


class Skipped(NamedTuple):
    """The result of a training without new data."""

    version: str
    """The active version, which stays active."""
    reason: str


class _TrainedModels(NamedTuple):
    """The models of a version, and the interactions that they were trained on."""

    interactions: Interactions
    als: Als
    neighbours: Neighbours
    listing: Recommender
    """Model of the precomputed lists."""
    further: dict[str, Recommender]
    """Further stored models, by name."""
    weights: SourceWeights | None = None


def train(
    parts: TrainingParts,
    engine: EngineName = "auto",
    force: bool = False,
    now: float | None = None,
    progress: Progress = quiet,
    options: TrainingOptions | None = None,
    incremental: bool = False,
) -> Manifest | Skipped:
    """Trains on all data of the log and the archive, and makes the result the active version.

    Skips if nothing was archived since the active version, unless forced. An incremental training also skips if a person
    chose the active version. ``now`` (seconds since 1970) defaults to the
    clock. ``incremental`` continues from the factors of the active version for a few iterations and holds nothing out,
    because its parent has already learned from the held-out data. Raises NothingToTrain; ModelRefused if the gate
    objects (the version stays, inactive); PointerMoved if another job published meanwhile; ConfigurationInvalid;
    LogUnavailable, ModelStoreUnavailable.
    """
    chosen, moment = options or TrainingOptions(), parts.clock() if now is None else now
    require_known(chosen)
    outcome = "failed"
    try:
        done = _run(parts, engine, force, moment, progress, chosen, incremental)
        outcome = "skipped" if isinstance(done, Skipped) else "published"
    except ModelRefused:
        outcome = "refused"
        raise
    finally:
        TRAININGS.labels(outcome).inc()
    return done


def version_of(moment: float, about: Mapping[str, Any]) -> str:
    """Returns a version id: the time in milliseconds (UTC), so that ids sort by age, and a short hash of ``about``."""
    stamp = datetime.fromtimestamp(moment, UTC).strftime("%Y%m%dT%H%M%S%f")[:-3]
    return f"{stamp}Z-{blake2b(msgspec.json.encode(about, order='sorted'), digest_size=4).hexdigest()}"


def _run(
    parts: TrainingParts,
    engine: EngineName,
    force: bool,
    moment: float,
    progress: Progress,
    options: TrainingOptions,
    incremental: bool,
) -> Manifest | Skipped:
    with _step("archive"):
        archive_log(parts.log, parts.archive, progress=progress)
    parent = parts.store.active()
    if parent is not None and not force and (reason := _reason_to_skip(parts, parent, incremental)):
        return Skipped(parent, f"{reason}; --force trains all the same")
    chosen_engine = choose(engine, since(parts.archive, {}), options)
    try:
        previous = _previous(parts.store, parent) if incremental else None
        learning = Learning(chosen_engine, options, read_metadata(parts.archive), previous, progress)
        trained, manifest = _learn(parts, learning, moment, parent)
        written = _write(parts.store, trained, manifest, learning)
    finally:
        chosen_engine.close()
    with _step("gate"):
        gate.admit(parts.store, manifest, written, _lengths(trained, options), options.gate)
    publish.activate(parts.store, parts.hints, manifest.version, parent, moment)
    publish.expire(parts.store, options.keep_versions)
    return manifest


def _reason_to_skip(parts: TrainingParts, active: str, incremental: bool) -> str | None:
    """Returns why no training is needed; None if one is."""
    if incremental and active == parts.chosen_by_hand:
        return "a person chose the active version, and only a full training or a person replaces it"
    try:
        manifest = parts.store.manifest(active)
    except VersionUnknown:  # removed by hand: learn again
        return None
    # An incremental version has seen everything, but nothing was held out to measure it.
    measured = incremental or not manifest.parameters.get("incremental")
    if measured and not since(parts.archive, manifest.offsets):
        return "nothing has happened since the active version was trained"
    return None


def _previous(store: ModelStore, parent: str | None) -> Als | None:
    """Returns the factors of the active version. None if it has none; then the training is a full one."""
    if parent is not None:
        try:
            return Als.load(store.value(parent, "als"))
        except (VersionUnknown, Undecodable) as error:
            _log.warning("the active version's factors cannot be gone on from", version=parent, reason=str(error))
    _log.info("there is no earlier version to go on from, so all is trained anew")
    return None


def _learn(
    parts: TrainingParts, learning: Learning, moment: float, parent: str | None
) -> tuple[_TrainedModels, Manifest]:
    offsets, options, progress = ends(parts.archive), learning.options, learning.progress
    with _step("interactions"):
        table = learning.engine.interactions(parts.archive.files(topics.EVENTS), options.interactions(moment), progress)
        interactions = from_arrow(table, offsets)
    with _step("evaluation"):
        held_out = 0 if learning.previous is not None else options.held_out_users
        metrics = measure(table, learning.listing, held_out, progress)
    with _step("training"):
        trained = _trained(learning, interactions)
    with _step("weights"):
        trained = trained._replace(weights=_weights(parts, learning, parent))
    return trained, _manifest(trained, learning, moment, metrics, parent)


def _trained(learning: Learning, interactions: Interactions) -> _TrainedModels:
    options = learning.options
    als = learning.factorization(interactions)
    near = neighbours.train(interactions, options.neighbours, learning.progress)
    further_names = options.models if interactions.matrix.nnz <= options.models_limit else ()
    names = dict.fromkeys((options.algorithm, *further_names))
    further = {name: learning.model(name, interactions) for name in names if name not in _BASE_ALGORITHMS}
    return _TrainedModels(interactions, als, near, further.get(options.algorithm, als), further)


def _weights(parts: TrainingParts, learning: Learning, parent: str | None) -> SourceWeights | None:
    """Learns source weights in a full training. An incremental one keeps those of the active version."""
    if learning.previous is None:
        return parts.weigh(parts.archive, learning.options, learning.progress) if parts.weigh else None
    held = parent is not None and _WEIGHTS in parts.store.manifest(parent).values
    return SourceWeights.load(parts.store.value(parent, _WEIGHTS)) if held and parent else None


def _manifest(
    trained: _TrainedModels, learning: Learning, moment: float, metrics: dict[str, float], parent: str | None
) -> Manifest:
    options, engine = learning.options, learning.engine.name
    offsets, settings = trained.interactions.offsets, options.as_dict(moment)
    settings |= {
        name: msgspec.to_builtins(parameters_of(name, options.parameters)) for name in ("popularity", *trained.further)
    }
    about = {"offsets": offsets, "parameters": settings, "engine": engine, "parent": parent}
    with_neighbours = int((trained.neighbours.indices[:, 0] >= 0).sum())
    made_by = {"regularization": trained.als.regularization, "alpha": trained.als.alpha}
    return Manifest(
        version=version_of(moment, about),
        created_at=datetime.fromtimestamp(moment, UTC),
        algorithm=_algorithm(learning),
        engine=engine,
        parameters=settings | made_by | {"incremental": learning.previous is not None},
        window=trained.interactions.window,
        offsets=offsets,
        values=("als", "neighbours", "popularity", *trained.further, *(() if trained.weights is None else (_WEIGHTS,))),
        lists={USERS: int(known_users(trained.interactions).size), ITEMS: with_neighbours},
        metrics=metrics,
        code_version=metadata.version(_DISTRIBUTION),
        parent=parent,
    )


def _algorithm(learning: Learning) -> str:
    """Returns the algorithm of the lists. Spark always factorizes by ALS."""
    options = learning.options
    if options.algorithm not in options.factorizations:
        return options.algorithm
    return options.factorization if learning.engine.name == "single" else "als"


def _write(store: ModelStore, trained: _TrainedModels, manifest: Manifest, learning: Learning) -> dict[str, int]:
    """Writes the version. Returns the number of written lists by kind."""
    options, interactions = learning.options, trained.interactions
    values = {
        "als": _stored(trained.als, interactions, options.stored_users).save(),
        "neighbours": trained.neighbours.save(),
        "popularity": learning.model("popularity", interactions).save(),
    }
    values |= {name: model.save() for name, model in trained.further.items()}
    if trained.weights is not None:
        values[_WEIGHTS] = trained.weights.save()
    lists = {
        USERS: learning.engine.user_lists(trained.listing, interactions, options.list_length, learning.progress),
        ITEMS: item_lists(trained.neighbours, options.similar_length, learning.progress),
    }
    written: dict[str, int] = {}
    with _step("write"):
        store.write(manifest, values, {kind: _counted(entries, kind, written) for kind, entries in lists.items()})
    return written


def _stored(als: Als, interactions: Interactions, limit: int) -> Als:
    """Returns the factors with users who have a user_id, or without users above the limit. Serving folds in the others."""
    rows = known_users(interactions)
    if rows.size > limit:
        return als.without_users()
    return replace(als, user_ids=tuple(als.user_ids[row] for row in rows.tolist()), user_factors=als.user_factors[rows])


def _lengths(trained: _TrainedModels, options: TrainingOptions) -> gate.Lengths:
    """Returns the expected length of each list: the full length, or all available items."""
    interactions, near = trained.interactions, trained.neighbours
    unseen = len(interactions.item_ids) - np.diff(interactions.matrix.indptr)
    similar_counts = (near.indices >= 0).sum(axis=1).tolist()
    users = known_users(interactions).tolist()
    return {
        USERS: {interactions.user_ids[row]: min(options.list_length, int(unseen[row])) for row in users},
        ITEMS: {
            item_id: min(options.similar_length, count)
            for item_id, count in zip(near.item_ids, similar_counts, strict=True)
            if count
        },
    }


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
