"""Reproduces a past answer from its decision record, and compares the two.

The record holds the request, its time and seed, and the user's packed values. It names the versions of the model, the
catalogue and the aggregates, which are read in their current state. Inputs that changed since then are named, so that
each difference has a reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final, NamedTuple

from threadpoolctl import threadpool_limits

from models.structures.lists import USERS, ScoredList
from schemas.answers import DecidedItem, Decision
from schemas.errors import StoreUnavailable, VersionUnknown
from schemas.keys import Signal, anonymous_key, session_key, user_key
from schemas.ports import Clock, ModelStore, SignalReader
from serving.ranking.config import RankingConfig
from serving.ranking.context import Signals
from serving.ranking.pipeline import RankedList
from serving.ranking.routes import FALLBACK, rank_route
from serving.state import model_bundle
from serving.state.aggregates import Aggregates
from serving.state.catalogue import Catalogue
from serving.state.model_bundle import NO_BUNDLE, ScoredPositions, as_columns
from serving.state.online_state import Apply, OnlineState
from serving.state.signal_sync import SignalSync
from signals import users
from signals.merge import merge
from signals.users import EMPTY, UserValue

TOLERANCE: Final = 1e-6
"""Scores this close are equal: sums of 32-bit floats depend on their order."""


class World(NamedTuple):
    """The inputs of an answer besides its record, in their current state."""

    state: OnlineState
    """The catalogue, the aggregates, and the model version of the record."""
    config: RankingConfig
    stored: ScoredPositions | None
    """The user's precomputed list in that version."""
    catalogue_version: str
    aggregates_version: str
    gone: bool = False
    """True if the record's model version is no longer in the store."""


class Comparison(NamedTuple):
    """A recorded list compared with the reproduced one."""

    same_items: bool
    same_order: bool
    largest: float
    """Largest difference between the two scores of an item in both lists."""
    only_ties: bool
    """True if the lists differ only in the choice among items of equal score."""
    lost: tuple[str, ...]
    """Items of the record only."""
    gained: tuple[str, ...]
    """Items of the reproduced list only."""

    @property
    def same(self) -> bool:
        """Same items, same order, same scores."""
        return self.same_items and self.same_order and self.largest <= TOLERANCE


class Explanation(NamedTuple):
    """A reproduced answer. ``comparison`` is None if it could not be reproduced; ``moved`` names the inputs that changed."""

    items: list[DecidedItem]
    comparison: Comparison | None
    moved: tuple[str, ...]


async def read_world(
    decision: Decision,
    reader: SignalReader,
    models: ModelStore,
    *,
    partitions: int,
    config: RankingConfig,
    bare_items: bool,
    clock: Clock,
) -> World:
    """Read what the record names by version; raises StoreUnavailable, ModelStoreUnavailable and Undecodable."""
    catalogue = Catalogue(bare_items=bare_items)
    state = OnlineState(catalogue, Aggregates(catalogue, partitions, config.population_weights))
    items = await _followed(Signal.ITEMS, reader, partitions, state.apply_items, clock)
    cells = await _followed(Signal.AGGREGATES, reader, partitions, state.apply_aggregates, clock)
    try:
        stored = _adopt(decision, models, state)
    except VersionUnknown:
        return World(state, config, None, items, cells, gone=True)
    return World(state, config, stored, items, cells)


def explain(decision: Decision, world: World) -> Explanation:
    """Reproduces the answer and compares; without the model version, nothing is reproduced."""
    moved = moved_on(decision, world)
    # As an online process does: the number of threads changes the last bits of products.
    with threadpool_limits(limits=1, user_api="blas"):
        ranked = None if world.gone else reproduce(decision, world)
    if ranked is None:
        return Explanation([], None, moved)
    return Explanation(ranked.items, compare(decision.items, ranked.items), moved)


def reproduce(decision: Decision, world: World) -> RankedList | None:
    """The answer by the very code that made it; None where its item is no longer known, or its route."""
    request, state = decision.request, world.state
    route, signals = decision.route, Signals(person(decision), state.aggregates, world.stored)
    if "ranking" in decision.degraded:
        route, signals = FALLBACK, Signals(EMPTY, state.aggregates)
    return rank_route(route, request, signals, state.models, state.catalogue, world.config)


def person(decision: Decision) -> UserValue:
    """The person as the answer saw them: their own value with those of the guests that they were."""
    own, guests = EMPTY, list[UserValue]()
    name = decision.request.user_id or ""
    for key, data in decision.inputs.items():
        if key in ("session", user_key(name), anonymous_key(name), session_key(name)):
            own = users.decode(data)
        else:
            guests.append(users.decode(data))
    return merge(own, guests)


def compare(recorded: Sequence[DecidedItem], made: Sequence[DecidedItem]) -> Comparison:
    """How two lists differ; each is best first."""
    then, now = ({item.item_id: item.score for item in items} for items in (recorded, made))
    largest = max((abs(score - now[item_id]) for item_id, score in then.items() if item_id in now), default=0.0)
    lost, gained = tuple(i for i in then if i not in now), tuple(i for i in now if i not in then)
    return Comparison(
        same_items=not (lost or gained),
        same_order=list(then) == list(now),
        largest=largest,
        only_ties=largest <= TOLERANCE and _tied(list(then.values()), list(now.values())),
        lost=lost,
        gained=gained,
    )


def moved_on(decision: Decision, world: World) -> tuple[str, ...]:
    """The inputs that changed since the answer, a phrase for each."""
    changes: list[str] = []
    if world.gone:
        changes.append(f"model version {decision.model_version} is no longer in the store")
    if decision.config_id != world.config.config_id:
        changes.append(f"the ranking settings are other ones ({world.config.config_id}, then {decision.config_id})")
    if decision.catalogue_version != world.catalogue_version:
        changes.append("the catalogue has changed")
    if decision.aggregates_version != world.aggregates_version:
        changes.append("what everybody does (trending, popular, what follows what) has moved on")
    if "links" in decision.degraded or "catalogue" in decision.degraded:
        changes.append(f"the answer was made without all its inputs ({', '.join(decision.degraded)})")
    return tuple(changes)


async def _followed(signal: Signal, reader: SignalReader, partitions: int, apply: Apply, clock: Clock) -> str:
    """Reads the whole of a followed signal; returns its version."""
    follower = SignalSync(signal, reader, partitions, apply, clock)
    await follower.refresh()
    if follower.read_at is None:
        raise StoreUnavailable(f"the signal '{signal}' cannot be read; is the signal store running?")
    return follower.version


def _adopt(decision: Decision, models: ModelStore, state: OnlineState) -> ScoredPositions | None:
    """Take over the record's model version; the person's list in it, where the answer had it. Raises VersionUnknown."""
    version = decision.model_version
    if version is None:
        state.adopt(NO_BUNDLE)
        return None
    state.adopt(model_bundle.load(models.manifest(version), partial(models.value, version)))
    user_id = decision.request.user_id
    listed = (
        decision.route in ("recommendations", "rank") and state.models.has_lists and "lists" not in decision.degraded
    )
    data = models.entry(version, USERS, user_id) if listed and user_id else None
    return None if data is None else as_columns(state.catalogue, ScoredList.load(data))


def _tied(then: Sequence[float], now: Sequence[float]) -> bool:
    """Whether two falling rows of scores are one: then lists differ only in which of equal ones stands where."""
    return len(then) == len(now) and all(abs(a - b) <= TOLERANCE for a, b in zip(then, now, strict=True))
