"""Reproduces a past answer from its decision record, and compares the reproduced list with the recorded one.

The record holds the request, its time and seed, and the user's packed values. For the model, the catalogue and the
aggregates it holds only a version, so they are read in their current state. The result names each input that has changed
since the answer, so that each difference has a reason.
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
from signals.compact import expand
from signals.merge import merge
from signals.users import EMPTY, UserValue

TOLERANCE: Final = 1e-6
"""Scores this close are equal: sums of 32-bit floats depend on their order."""


class World(NamedTuple):
    """The inputs of an answer that its record does not hold, in their current state."""

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
    """A reproduced answer."""

    items: list[DecidedItem]
    comparison: Comparison | None
    """None if the answer could not be reproduced."""
    moved: tuple[str, ...]
    """The inputs that have changed since the answer, a phrase for each."""


async def read_world(
    decision: Decision,
    reader: SignalReader,
    models: ModelStore,
    *,
    partitions: int,
    config: RankingConfig,
    bare_items: bool,
    admit_after: int,
    clock: Clock,
) -> World:
    """Reads the inputs that the record does not hold.

    ``bare_items``: true if serving recommends bare items, which are items known only from events, not from the catalogue,
    each after ``admit_after`` people.
    Raises StoreUnavailable, ModelStoreUnavailable and Undecodable.
    """
    catalogue = Catalogue(bare_items=bare_items)
    state = OnlineState(
        catalogue, Aggregates(catalogue, partitions, config.population_weights, admit_after=admit_after)
    )
    catalogue_version = await _read_signal(Signal.ITEMS, reader, partitions, state.apply_items, clock)
    aggregates_version = await _read_signal(Signal.AGGREGATES, reader, partitions, state.apply_aggregates, clock)
    try:
        stored = _adopt(decision, models, state)
    except VersionUnknown:
        return World(state, config, None, catalogue_version, aggregates_version, gone=True)
    return World(state, config, stored, catalogue_version, aggregates_version)


def explain(decision: Decision, world: World) -> Explanation:
    """Reproduces the answer and compares it with the record. Without the model version, nothing is reproduced."""
    moved = changed_inputs(decision, world)
    # One thread, as in an online process: the number of threads changes the last bits of products.
    with threadpool_limits(limits=1, user_api="blas"):
        ranked = None if world.gone else reproduce(decision, world)
    if ranked is None:
        return Explanation([], None, moved)
    return Explanation(ranked.items, compare(decision.items, ranked.items), moved)


def reproduce(decision: Decision, world: World) -> RankedList | None:
    """Returns the list that the serving code gives now; None if the request's item or route is no longer known."""
    request, state = decision.request, world.state
    route, signals = decision.route, Signals(user_value(decision), state.aggregates, world.stored)
    if "ranking" in decision.degraded:
        route, signals = FALLBACK, Signals(EMPTY, state.aggregates)
    return rank_route(route, request, signals, state.models, state.catalogue, world.config)


def user_value(decision: Decision) -> UserValue:
    """Returns the user's value as the answer read it, merged with the values of the anonymous users that the user was."""
    own, anonymous = EMPTY, list[UserValue]()
    name = decision.request.user_id or ""
    for key, data in decision.inputs.items():
        if key in ("session", user_key(name), anonymous_key(name), session_key(name)):
            own = expand(data)
        else:
            anonymous.append(expand(data))
    return merge(own, anonymous)


def compare(recorded: Sequence[DecidedItem], reproduced: Sequence[DecidedItem]) -> Comparison:
    """Returns how two lists differ. Both are sorted, best item first."""
    then, now = ({item.item_id: item.score for item in items} for items in (recorded, reproduced))
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


def changed_inputs(decision: Decision, world: World) -> tuple[str, ...]:
    """Returns a phrase for each input that has changed since the answer."""
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


async def _read_signal(signal: Signal, reader: SignalReader, partitions: int, apply: Apply, clock: Clock) -> str:
    """Applies every value of a signal. Returns the version of the signal."""
    sync = SignalSync(signal, reader, partitions, apply, clock)
    await sync.refresh()
    if sync.read_at is None:
        raise StoreUnavailable(f"the signal '{signal}' cannot be read; is the signal store running?")
    return sync.version


def _adopt(decision: Decision, models: ModelStore, state: OnlineState) -> ScoredPositions | None:
    """Loads the record's model version into the state. Raises VersionUnknown.

    Returns the user's precomputed list of that version, if the answer had read it.
    """
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
    """True if both lists have the same scores, best first. Then they differ only in the order of items with equal scores."""
    return len(then) == len(now) and all(abs(a - b) <= TOLERANCE for a, b in zip(then, now, strict=True))
