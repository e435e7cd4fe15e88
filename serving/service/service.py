"""The online service: reads what a request needs within deadlines, ranks, answers, and records the answer.

Nothing here fails for want of a store: what could not be read is named in ``degraded``, and under everything
lies the popular list in memory.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, NamedTuple
from zlib import crc32

import msgspec
import structlog

from models.structures.arrays import Ints
from schemas.answers import Answer, RecommendationRequest
from schemas.background import BackgroundTask
from schemas.erasures import ErasureHint
from schemas.events import Event, accept
from schemas.http import cursors
from schemas.http.problems import ProblemError
from schemas.http.read_answers import ItemPage, ItemView, UserView
from schemas.keys import Signal
from schemas.log.records import OffsetToken
from schemas.ports import Documents, ListReader, LogReader, LogWriter, ModelStore, SignalReader
from schemas.values.ids import placeholder_set
from serving import metrics
from serving.arrays import kernels
from serving.config import Settings
from serving.ranking.context import RankingContext, Signals
from serving.ranking.pipeline import build_context
from serving.service.catch_up import CatchUp
from serving.service.decision_log import DecisionLog
from serving.service.explanations import Explanations
from serving.service.filter_preparation import FilterPreparation
from serving.service.item_views import browse, item_view
from serving.service.missing_state import MissingState
from serving.service.notifications import Notifications, StreamLimits
from serving.service.preparation import RequestPreparation
from serving.service.readiness import ReadinessCheck
from serving.service.responder import Responder, Syncs
from serving.service.result_cache import Limits, ResultCache
from serving.service.time_and_ids import TimeAndIds
from serving.sized_cache import MIB
from serving.state import model_bundle
from serving.state.admission.eviction import ItemEviction
from serving.state.aggregates import Aggregates
from serving.state.catalogue import Catalogue
from serving.state.catalogue_access import CatalogueFromThread
from serving.state.model_bundle import ModelBundle
from serving.state.model_sync import ModelSync
from serving.state.online_state import Apply, OnlineState
from serving.state.signal_sync import SignalSync
from serving.state.unreadable_keys import UnreadableKeys
from serving.stores.breaker import Breaker, StoreGuard
from serving.stores.erasure_hints import ErasureHintsReader
from serving.stores.list_repositories import ListRepositories
from serving.stores.precomputed_lists import PrecomputedLists
from serving.stores.profiles import ProfileReader
from serving.stores.statistics import StatisticsReader
from serving.stores.user_state import UserState, UserStateReader
from signals import user_codec, users
from signals.users import EMPTY

_log = structlog.get_logger(__name__)
_REPORT_SECONDS: Final = 1.0
_SAY_SECONDS: Final = 5.0
"""Time between two lines about what is missing of the shared state."""


class Stores(NamedTuple):
    """The stores that the service reads and writes; whoever opened them closes them."""

    signals: SignalReader
    lists: ListReader
    models: ModelStore
    log: LogWriter | None = None
    """None: answers are not recorded."""
    documents: Documents | None = None
    """None: there are no statistics."""
    facts: LogReader | None = None
    """The log that signals are folded from. None: ``lag_reason`` says whether they have caught up."""
    lists_from: Mapping[str, ListReader] = {}
    """Where lists are read, in order, by the name that metrics give it; empty: ``lists`` alone."""

    @property
    def list_readers(self) -> Mapping[str, ListReader]:
        """Where lists are read, in order."""
        return self.lists_from or {"lists": self.lists}

    async def close_lists(self) -> None:
        """Close everything that lists are read from."""
        for reader in {id(reader): reader for reader in (self.lists, *self.lists_from.values())}.values():
            await reader.close()


class ServingService:
    """Answers requests from one event loop. ``start`` it there, and ``stop`` it there."""

    def __init__(
        self,
        stores: Stores,
        settings: Settings,
        time_and_ids: TimeAndIds | None = None,
        lag_reason: Callable[[], str | None] = lambda: None,
    ) -> None:
        """``lag_reason`` returns why the signals are still behind; None once they have caught up."""
        self.config = settings.ranking_config()
        self.partitions = settings.partitions
        self.placeholders = placeholder_set(settings.placeholder_ids)
        self._settings, self._stores = settings, stores
        self._catch_up = CatchUp(stores.facts, stores.signals, settings.partitions) if stores.facts else None
        self._lag_reason = lag_reason = self._catch_up.reason if self._catch_up else lag_reason
        self._time_and_ids = time_and_ids or TimeAndIds()
        catalogue = Catalogue(bare_items=settings.bare_items, column_bytes=settings.filter_columns_mib * MIB)
        aggregates = Aggregates(
            catalogue,
            settings.partitions,
            self.config.population_weights,
            admit_after=settings.admit_after,
            waiting_bytes=settings.waiting_items_mib * 1_048_576,
        )
        self.state = OnlineState(catalogue, aggregates)
        self._items = self._sync(Signal.ITEMS, self.state.apply_items, self.state.unreadable_items)
        self._aggregates = self._sync(Signal.AGGREGATES, self.state.apply_aggregates, aggregates.unreadable)
        self._model_sync: ModelSync | None = None
        self._users = UserStateReader(
            stores.signals, self._guard("signals"), settings.partitions, settings.after_seconds, settings.poll_seconds
        )
        self._profiles = ProfileReader(stores.signals, self._guard("profiles"), settings.partitions)
        self._lists = PrecomputedLists(
            self._repositories(), catalogue, settings.cached_lists, settings.cached_lists_mib * MIB
        )
        self._eviction = self.state.eviction = ItemEviction(
            catalogue, aggregates, settings.bare_items_mib * MIB, self._time_and_ids.steady, self._lists.clear
        )
        self._filters = filters = FilterPreparation(catalogue.fields, self.config.boosts, settings.filter_seconds)
        self._preparation = RequestPreparation(self._users, self._lists, self._profiles, filters, self.config.boosts)
        self._decisions = (
            DecisionLog(
                stores.log, settings.decision_queue, settings.decision_sample, settings.decision_queue_mib * MIB
            )
            if stores.log and settings.decisions
            else None
        )
        self._results = ResultCache(catalogue, _result_limits(settings))
        self._missing_state = MissingState(self._items, self._aggregates, self._time_and_ids.clock)
        self._responder = self._make_responder()
        self._readiness = ReadinessCheck(
            self.state, self._items, self._aggregates, lag_reason, self._time_and_ids.clock
        )
        streams = StreamLimits(settings.notification_streams, settings.notification_streams_per_client)
        self.notifications = Notifications(self._lists_by, self._time_and_ids.clock, self.state.models, streams)
        self.statistics = StatisticsReader(stores.documents, catalogue, self._time_and_ids.steady)
        self.explanations = Explanations(self._context, self.statistics.ratings, similar_users=settings.similar_users)
        self.upkeep: list[Callable[[], None]] = []
        """Called about once a second on the loop, and quick."""
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to follow signals and models; returns when each has been read once, or could not be."""
        loop = asyncio.get_running_loop()
        _log.info("preparing", note="compiles for some fifteen seconds after an installation, else loads for one")
        await asyncio.to_thread(kernels.prepare)

        def adopt(models: ModelBundle) -> None:
            # On the watcher's thread: binding a version would hold the loop for the longer the more items there are.
            access = CatalogueFromThread(self.state.catalogue, loop)
            with self._eviction.models:
                bound = model_bundle.bind(models, access)
                access.call(partial(self._adopt, bound, access.positions))

        self._model_sync = ModelSync(self._stores.models, adopt, self._settings.model_seconds)
        self._missing_state.models = self._model_sync
        with _long_lived():
            first = (self._items.refresh(), self._aggregates.refresh(), asyncio.to_thread(self._model_sync.check))
            await asyncio.gather(*first)
        self._model_sync.start()
        background = [
            self._items.run(self._settings.follow_seconds),
            self._aggregates.run(self._settings.refresh_seconds),
            self._report(),
        ]
        if self._stores.documents is not None:
            background.append(ErasureHintsReader(self._stores.documents, self._drop_erased).run())
        if self._catch_up:
            background.append(self._catch_up.run())
        if self._decisions:
            background.append(self._decisions.run())
        self._tasks = [asyncio.create_task(work) for work in background]

    async def stop(self) -> None:
        """End the background work; records that wait are handed to the log first."""
        if self._model_sync:
            self._model_sync.stop()
        self.notifications.close()
        self._filters.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._decisions:
            await self._decisions.flush()
        # Objects that ``start`` froze would otherwise never be freed.
        gc.unfreeze()

    def request(self, **fields: Any) -> RecommendationRequest:
        """Returns a request of this moment with these fields."""
        return RecommendationRequest(now=self._time_and_ids.clock(), **fields)

    async def recommend(
        self, request: RecommendationRequest, after: OffsetToken | None = None, route: str = "recommendations"
    ) -> Answer:
        """Recommend items to ``request.user_id``, once the event of ``after`` counts; route ``rank`` orders ``include``."""
        request = self._with_exploration_seed(request)
        return self._responder.respond(await self._preparation.for_user(route, request, self.state.models, after))

    async def recommend_for_session(self, request: RecommendationRequest, events: Sequence[Event]) -> Answer:
        """Recommend items to an anonymous user whose events come with the request, in their order."""
        received_at = datetime.fromtimestamp(request.now, UTC)
        value = EMPTY
        for offset, event in enumerate(events):
            value = users.fold(value, accept(event, event.event_id or str(offset), received_at), offset)
        packed = user_codec.encode(value)
        state = UserState(packed, inputs={"session": packed})
        request = self._with_exploration_seed(request)
        return self._responder.respond(await self._preparation.for_state("session", request, state, self.state.models))

    async def near_item(self, route: str, request: RecommendationRequest) -> Answer:
        """Items near ``request.item_id``: ``similar``, ``together`` or ``bought``. Raises ProblemError for an unknown item."""
        self._position(request.item_id or "")
        return self._responder.respond(await self._preparation.for_item(route, request, self.state.models))

    async def item_list(self, route: str, request: RecommendationRequest) -> Answer:
        """Items for everybody: ``popular``, ``trending`` or ``latest``."""
        return self._responder.respond(
            await self._preparation.for_state(route, request, UserState(), self.state.models)
        )

    def item(self, item_id: str) -> ItemView:
        """The current view of an item; raises ProblemError where there is none."""
        item = self.state.catalogue.item(self._position(item_id))
        if item is None:
            raise ProblemError(404, "unknown-item", f"Nothing is said of item '{item_id}'.", field="item_id")
        return item_view(item)

    async def turn(self) -> None:
        """Wait until a request that is costly to answer may go on; see ``Turnstile``."""
        await self._preparation.turnstile.wait()

    def items(self, query: str | None, start: int, limit: int) -> ItemPage:
        """A page of the catalogue, or of the matches of a query, from the place ``start``; hidden items are left out."""
        page, is_more = browse(self.state.catalogue, query, self._time_and_ids.clock(), start, limit)
        return ItemPage(
            items=[item_view(item) for item in page],
            next_cursor=cursors.at_offset(start + limit) if is_more else None,
            catalogue_version=self._items.version,
        )

    async def user(self, user_id: str) -> UserView:
        """The current view of a user: attributes and what the signals hold; raises ProblemError where there is neither."""
        state = await self._users.read(user_id)
        attributes = await self._profiles.attributes(user_id, state.degraded)
        if attributes is None and state.offset is None and not state.degraded:
            raise ProblemError(404, "unknown-user", f"Nothing is known of user '{user_id}'.", field="user_id")
        value = state.value
        return UserView(
            user_id=user_id,
            attributes=attributes or {},
            counters=value.counters,
            seen=len(value.seen),
            last_at=datetime.fromtimestamp(value.session.last, UTC) if value.session else None,
            signals_offset=str(state.offset) if state.offset else None,
            degraded=state.degraded,
        )

    async def user_state(self, user_id: str) -> UserState:
        """What the signals hold of a user; never raises."""
        return await self._users.read(user_id)

    async def fences_of(self, partition: int, signals: Sequence[Signal]) -> dict[str, int]:
        """The last applied offset of a partition by signal, of those that have one. Raises StoreUnavailable."""
        fences = {signal: await self._stores.signals.fences(signal, (partition,)) for signal in signals}
        return {str(signal): found[partition].offset for signal, found in fences.items() if partition in found}

    def missing(self) -> list[str]:
        """What this process still waits for before it is ready, each a sentence; empty once it is."""
        return self._readiness.missing(self._model_sync)

    def _with_exploration_seed(self, request: RecommendationRequest) -> RecommendationRequest:
        """The request with the seed of exploration, where the site explores."""
        if not self.config.explore:
            return request
        exploration_seed = request.random_seed or crc32(self._time_and_ids.new_id().encode()) or 1
        return msgspec.structs.replace(request, exploration_seed=exploration_seed)

    async def _context(self, user_id: str) -> tuple[RankingContext, UserState]:
        """A user's ranking context, for explanations that make no list."""
        request = self.request(user_id=user_id)
        prepared = await self._preparation.for_user("explanations", request, self.state.models)
        prepared.user_state.degraded += self._missing_state.names()
        await self.turn()
        signals = Signals(prepared.user_state.value, self.state.aggregates, prepared.precomputed)
        context = build_context(request, signals, prepared.models, self.state.catalogue, self.config)
        return context, prepared.user_state

    async def _lists_by(self, user_id: str, count: int, versions: Sequence[ModelBundle]) -> list[list[str]]:
        """The user's list by each of these models, all of one moment; nothing is recorded."""
        request = self._with_exploration_seed(self.request(user_id=user_id, count=count))
        prepared = await self._preparation.by_models("recommendations", request, versions)
        return [[item.item_id for item in self._responder.rank(by_model).items] for by_model in prepared]

    def _adopt(self, models: ModelBundle, positions: Ints) -> None:
        """Serve this bound version, whose items are at these positions, from now on."""
        self._eviction.keep(positions)
        # Open notification streams are compared by the version before, too.
        self._lists.keep_versions((self.state.models.version, models.version))
        self.state.models = models
        self.notifications.model_changed(self.state.models)

    def _drop_erased(self, hints: Sequence[ErasureHint]) -> None:
        """Drop from memory what erasures have removed from the model store."""
        self._results.clear()
        self._lists.drop_buckets(frozenset(hint.bucket for hint in hints))
        if self._model_sync and any(self.state.models.version in hint.versions for hint in hints):
            self._model_sync.reload()
        for partition in {partition for hint in hints for partition in hint.refolded}:
            self._aggregates.read_anew(partition)

    def _make_responder(self) -> Responder:
        syncs = Syncs(self._items, self._aggregates)
        return Responder(
            self.state,
            syncs,
            self.config,
            self._results,
            self._decisions,
            self._time_and_ids,
            self._missing_state.names,
        )

    def _guard(self, store: str) -> StoreGuard:
        settings = self._settings
        breaker = Breaker(settings.breaker_failures, settings.breaker_rest, self._time_and_ids.steady)
        return StoreGuard(store, settings.store_seconds, breaker)

    def _repositories(self) -> ListRepositories:
        readers = {name: (reader, self._guard(name)) for name, reader in self._stores.list_readers.items()}
        return ListRepositories(readers, self._settings.store_seconds)

    def _sync(self, signal: Signal, apply: Apply, unreadable: UnreadableKeys) -> SignalSync:
        clock = self._time_and_ids.clock
        return SignalSync(signal, self._stores.signals, self.partitions, apply, clock, self._lag_reason, unreadable)

    def _position(self, item_id: str) -> int:
        position = self.state.catalogue.position(item_id)
        if position is None:
            raise ProblemError(404, "unknown-item", f"There is no item '{item_id}'.", field="item_id")
        return position

    async def _report(self) -> None:
        """Keep the gauges that grow by themselves up to date, and let go of results that have ended."""
        task, said_at = BackgroundTask("upkeep of caches and gauges"), self._time_and_ids.steady()
        while True:
            with task.step():
                models, now = self.state.models, self._time_and_ids.clock()
                metrics.CATALOGUE_ITEMS.set(self.state.catalogue.items)
                metrics.MODEL_LOADED.set(models.version is not None)
                metrics.MODEL_AGE_SECONDS.set(max(0.0, now - models.created_at) if models.version else 0.0)
                self._results.let_go(self._time_and_ids.steady())
                for work in self.upkeep:
                    work()
                if self._time_and_ids.steady() - said_at >= _SAY_SECONDS and (missing := self._missing_state.names()):
                    said_at = self._time_and_ids.steady()
                    _log.warning("online_api_waits", missing=missing, reasons=self.missing())
            await asyncio.sleep(task.pause(_REPORT_SECONDS))


def _result_limits(settings: Settings) -> Limits:
    return Limits(settings.cache_seconds, settings.cached_results, settings.cached_results_mib * MIB)


@contextmanager
def _long_lived() -> Iterator[None]:
    """Tell the garbage collector that what is made here stays, or each full collection would walk the catalogue."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
