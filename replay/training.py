"""Trains models during a replay, on the events so far, with the algorithms and parameters of ``freshet train``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from models.neighbours import Neighbours
from offline.data.dataset import Interactions, from_arrow
from offline.engines.options import TrainingOptions
from offline.jobs.training_choices import parameters_of
from offline.training import popularity
from offline.training.algorithm import Context
from offline.training.factorization import ials
from offline.training.neighbourhood import neighbours
from offline.training.registry import algorithm
from schemas.errors import NothingToTrain
from schemas.events import LoggedEvent
from serving.state.model_bundle import ModelBundle
from signals.event_weights import interaction_weight
from signals.users import Entry

_MIN_WEIGHT = 0.05
"""Minimum weight of an interaction that shows interest."""


class Trainer:
    """Collects the interactions that show interest, and trains on all of them."""

    def __init__(self, options: TrainingOptions, threads: int = 0) -> None:
        self._options, self._threads = options, threads
        self._pairs: dict[tuple[str, str], list[float]] = {}
        self.interactions = 0

    def add(self, event: LoggedEvent, at: float) -> None:
        """Adds one event. An event that shows no interest changes nothing."""
        entry = Entry(0, event.type, event.item_id or "", at, event.value, b"")
        weight = interaction_weight(entry, scale=self._options.rating_scale)
        if weight <= 0:
            return
        self.interactions += 1
        pair = self._pairs.setdefault((event.subject, event.item_id or ""), [0.0, at, at, 0])
        pair[0] += max(weight, _MIN_WEIGHT)
        pair[2] = at
        pair[3] += 1

    def train(self, version: str, at: float) -> ModelBundle:
        """Returns the models of a version, in the form that serving loads. Raises NothingToTrain."""
        if not self._pairs:
            raise NothingToTrain("nothing has happened yet that shows interest in an item")
        interactions = from_arrow(self._table(), {})
        context = Context(threads=self._threads)
        names: Sequence[str] = self._options.models
        unbound = tuple(
            algorithm(name).train(interactions, parameters_of(name, self._options.parameters), context)
            for name in names
        )
        return ModelBundle(
            version=version,
            created_at=at,
            trained_to=at,
            als=ials.train(interactions, self._options.ials, self._threads),
            neighbours=self._neighbours(interactions),
            popularity=popularity.train(interactions),
            unbound=unbound,
        )

    def _neighbours(self, interactions: Interactions) -> Neighbours:
        return neighbours.train(interactions, self._options.neighbours)

    def _table(self) -> pa.Table:
        users, items = zip(*self._pairs, strict=True)
        weight, first, last, events = np.array(list(self._pairs.values())).T
        columns = {"user": users, "item": items, "weight": weight, "first_at": first, "at": last, "events": events}
        return pa.table({name: pa.array(column) for name, column in columns.items()})
