"""The online service: reads what a request needs within deadlines, ranks, answers, and records the answer.

Nothing here fails for want of a store: what could not be read is named in ``degraded``, and under everything
lies the popular list in memory.
"""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, NamedTuple
from zlib import crc32

import msgspec
import structlog

from schemas.answers import Answer, RecommendationRequest
from schemas.catalogue import decode_profile
from schemas.events import accept
from schemas.http.problems import ProblemError
from schemas.keys import Signal
from schemas.log.topics import partition_of
from schemas.ports import Clock, Documents, ListReader, LogWriter, ModelStore, SignalReader
from serving import metrics
from serving.arrays import kernels
from serving.config import Settings
from serving.http import parameters
from serving.http.parameters import ItemsAsk, ListAsk, RankAsk, RecommendAsk, SessionAsk, SimilarAsk, TogetherAsk
from serving.ranking import business_rules, item_lists
from serving.ranking.context import RankingContext, Signals
from serving.ranking.item_lists import Shelf
from serving.ranking.pipeline import RankedList, build_context, recommend
from serving.service import response
from serving.service.decision_log import DecisionLog
from serving.service.explanations import Explanations
from serving.service.item_views import browse, item_view
from serving.service.notifications import Notifications
from serving.service.response import Question, Versions
from serving.service.result_cache import Answers, ResultCache
from serving.service.timing import Timing
from serving.state.aggregates import Aggregates
from serving.state.catalogue import Catalogue
from serving.state.model_bundle import ModelBundle, ScoredPositions
from serving.state.model_sync import ModelSync
from serving.state.online_state import Apply, OnlineState
from serving.state.signal_sync import SignalSync
from serving.stores.breaker import Breaker, Guard, SourceDown
from serving.stores.list_repositories import ListRepositories
from serving.stores.precomputed_lists import PrecomputedLists
from serving.stores.statistics import StatisticsReader
from serving.stores.user_state import UserState, UserStateReader
from signals import users
from signals.users import EMPTY

_log = structlog.get_logger(__name__)
_ASKED: Final = ("anonymous_id", "session_id", "exclude", "include", "diversity", "seed")
_STALE_SECONDS: Final = 5.0
"""A followed signal that has not been read for this long means that its store does not answer."""


class Stores(NamedTuple):
    """What the service reads and writes; whoever made them closes them."""

    signals: SignalReader
    lists: ListReader
    models: ModelStore
    log: LogWriter | None = None
    """None: answers are not recorded."""
    documents: Documents | None = None
    """None: there are no statistics."""
    lists_from: Mapping[str, ListReader] = {}
    """Where lists are read, in order, by the name that metrics give it; empty: ``lists`` alone."""

    @property
    def list_readers(self) -> Mapping[str, ListReader]:
        """Where lists are read, in order."""
        return self.lists_from or {"lists": self.lists}

    async def close_lists(self) -> None:
        """Let go of everything that lists are read from."""
        for reader in {id(each): each for each in (self.lists, *self.lists_from.values())}.values():
            await reader.close()


class Sources(NamedTuple):
    """Where time and randomness come from."""

    clock: Clock = time.time
    """Seconds since 1970, UTC."""
    steady: Clock = time.monotonic
    """Seconds that only move forward."""
    new_id: Callable[[], str] = lambda: os.urandom(16).hex()
    """Ids of answers."""


class ServingService:
    """Answers requests from one event loop. ``start`` it there, and ``stop`` it there."""

    def __init__(
        self,
        stores: Stores,
        settings: Settings,
        sources: Sources | None = None,
        caught_up: Callable[[], str | None] = lambda: None,
    ) -> None:
        """``caught_up`` says what the signals still wait for; None once they have caught up."""
        self.config = settings.ranking_config()
        self.partitions = settings.partitions
        self._config_id = self.config.config_id
        self._settings, self._stores, self._caught_up = settings, stores, caught_up
        self._sources = sources or Sources()
        catalogue = Catalogue(bare_items=settings.bare_items)
        self.state = OnlineState(catalogue, Aggregates(catalogue, settings.partitions, self.config.population_weights))
        self._people = UserStateReader(
            stores.signals, self._guard("signals"), settings.partitions, settings.after_seconds, settings.poll_seconds
        )
        self._lists = PrecomputedLists(self._repositories(), catalogue, settings.cached_lists)
        self._profiles = self._guard("profiles")
        self._items = self._follower(Signal.ITEMS, self.state.apply_items)
        self._cells = self._follower(Signal.AGGREGATES, self.state.apply_aggregates)
        self._recorder = DecisionLog(stores.log, settings.decision_queue) if stores.log and settings.decisions else None
        kept = ResultCache(catalogue, settings.cache_seconds, settings.cached_results)
        self._timing = Timing(self._sources.steady)
        self._answers = Answers(kept, catalogue, self._recorder, self._sources.steady, self._sources.new_id)
        self.notifications = Notifications(
            self._lists_by, self._sources.clock, self.state.models, settings.notification_streams
        )
        self.statistics = StatisticsReader(stores.documents, catalogue, self._sources.steady)
        self.relations = Explanations(self._scene, self.statistics.ratings, similar_users=settings.similar_users)
        self._tasks: list[asyncio.Task[None]] = []
        self._watcher: ModelSync | None = None
        self._began_empty = False

    async def start(self) -> None:
        """Begin to follow signals and models; returns when each has been looked at once, or could not be."""
        loop = asyncio.get_running_loop()
        _log.info("preparing", note="compiles for some fifteen seconds after an installation, else loads for one")
        await asyncio.to_thread(kernels.prepare)

        def adopt(models: ModelBundle) -> None:
            loop.call_soon_threadsafe(self._adopt, models)

        self._watcher = ModelSync(self._stores.models, adopt, self._settings.model_seconds)
        with _long_lived():
            first = (self._items.refresh(), self._cells.refresh(), asyncio.to_thread(self._watcher.check))
            await asyncio.gather(*first)
            # Lets what the watcher handed over be taken over before the first request.
            await asyncio.sleep(0)
        self._watcher.start()
        background = [self._items.run(self._settings.follow_seconds), self._cells.run(self._settings.refresh_seconds)]
        background.append(self._report())
        if self._recorder:
            background.append(self._recorder.run())
        self._tasks = [asyncio.create_task(each) for each in background]

    async def stop(self) -> None:
        """End what runs in the background; answers that wait to be recorded are handed to the log first."""
        if self._watcher:
            self._watcher.stop()
        self.notifications.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._recorder:
            await self._recorder.flush()
        # What ``start`` froze would otherwise never be let go of.
        gc.unfreeze()

    async def recommendations(
        self, user_id: str, ask: RecommendAsk, *, route: str = "recommendations", **named: Any
    ) -> Answer:
        """What this user may like next; ``named`` are further fields of ``RecommendationRequest``."""
        after = parameters.token(ask.after, self.partitions)
        request, models = self._asked(ask, user_id=user_id, **named), self.state.models
        reading = self._people.read(user_id, ask.anonymous_id, after)
        user_state, stored = await self._with_list(reading, user_id, models)
        request = await self._informed(request, user_state)
        question = Question(route, request, user_state, models)
        return self._answer(question, partial(self._ranked, question, stored))

    async def session(self, ask: SessionAsk) -> Answer:
        """What a guest may like next whose events come with the request, in their order."""
        request, models = self._asked(ask), self.state.models
        events = parameters.session_events(ask.events)
        value = EMPTY
        for offset, event in enumerate(events):
            logged = accept(event, event.event_id or str(offset), datetime.fromtimestamp(request.now, UTC))
            value = users.fold(value, logged, offset)
        packed = users.encode(value)
        question = Question("session", request, UserState(packed, inputs={"session": packed}), models)
        return self._answer(question, partial(self._ranked, question, None))

    async def similar(self, item_id: str, ask: SimilarAsk, kind: item_lists.Near = "similar") -> Answer:
        """What is like an item, or goes together with it; raises ProblemError for one that was never heard of."""
        at = self._position(item_id)
        user_state = await self._people.read(ask.user_id) if ask.user_id else UserState()
        request, models = self._asked(ask, user_id=ask.user_id, item_id=item_id), self.state.models
        question = Question(kind, await self._informed(request, user_state), user_state, models)
        return self._answer(question, partial(self._near, kind, at, question))

    async def shelf(self, kind: Shelf, ask: ListAsk) -> Answer:
        """What is popular, trending or latest, for everybody."""
        question = Question(kind, self._asked(ask), UserState(), self.state.models)
        return self._answer(question, partial(self._shelf, kind, question))

    async def rank(self, user_id: str, ask: RankAsk) -> Answer:
        """The list that the caller brings, best first, what the person has seen included."""
        return await self.recommendations(user_id, ask, route="rank", include=ask.item_ids, seen=True)

    async def together(self, item_id: str, ask: TogetherAsk) -> Answer:
        """What people go on to, or put in a basket with an item; raises ProblemError for one that was never heard of."""
        return await self.similar(item_id, ask, "bought" if ask.type == "bought" else "together")

    async def _scene(self, user_id: str) -> tuple[RankingContext, UserState]:
        request, models = self._asked(ListAsk(), user_id=user_id), self.state.models
        user_state, stored = await self._with_list(self._people.read(user_id), user_id, models)
        signals = Signals(user_state.value, self.state.aggregates, stored)
        return build_context(request, signals, models, self.state.catalogue, self.config), user_state

    def item(self, item_id: str) -> dict[str, Any]:
        """The current view of an item; raises ProblemError where there is none."""
        item = self.state.catalogue.item(self._position(item_id))
        if item is None:
            raise ProblemError(404, "unknown-item", f"Nothing is said of item '{item_id}'.", field="item_id")
        return item_view(item)

    def items(self, ask: ItemsAsk) -> dict[str, Any]:
        """A page of the catalogue, or of what matches a query; hidden items are left out."""
        start = parameters.offset(ask.cursor)
        found, more = browse(self.state.catalogue, ask.query, self._sources.clock(), start, ask.limit)
        return {
            "items": [item_view(item) for item in found],
            "next_cursor": parameters.next_offset(start + ask.limit) if more else None,
            "catalogue_version": self._items.version,
        }

    async def user(self, user_id: str) -> dict[str, Any]:
        """The current view of a user: attributes and what the signals hold; raises ProblemError where there is neither."""
        user_state = await self._people.read(user_id)
        attributes = await self._attributes(user_id, user_state)
        if attributes is None and user_state.offset is None and not user_state.degraded:
            raise ProblemError(404, "unknown-user", f"Nothing is known of user '{user_id}'.", field="user_id")
        value = user_state.value
        return {
            "user_id": user_id,
            "attributes": attributes or {},
            "counters": value.counters,
            "seen": len(value.seen),
            "last_at": datetime.fromtimestamp(value.session.last, UTC) if value.session else None,
            "signals_offset": str(user_state.offset) if user_state.offset else None,
            "degraded": user_state.degraded,
        }

    async def user_state(self, user_id: str) -> UserState:
        """What the signals hold of a user; never raises."""
        return await self._people.read(user_id)

    async def _lists_by(self, user_id: str, count: int, versions: Sequence[ModelBundle]) -> list[list[str]]:
        """The person's list by each of these models, all of one moment; nothing is recorded."""
        user_state = await self._people.read(user_id)
        request, lists = self._asked(RecommendAsk(count=count), user_id=user_id), []
        for models in versions:
            _, stored = await self._with_list(_known(user_state), user_id, models)
            question = Question("notifications", request, user_state, models)
            rank = partial(self._ranked, question, stored)
            ranked = response.ranked_or_nothing(rank, partial(self._shelf, "popular", question), [])
            lists.append([item.item_id for item in ranked.items])
        return lists

    def _adopt(self, models: ModelBundle) -> None:
        self.state.adopt(models)
        self.notifications.model_changed(self.state.models)

    def missing(self) -> list[str]:
        """What this process still waits for before it is ready, each a sentence; empty once it is."""
        found = [self._stale(self._items, "the catalogue"), self._stale(self._cells, "the aggregates")]
        found.append(self._caught_up())
        if self.state.models.version is None:
            found.append(self._no_model(otherwise_ready=not any(found)))
        return [each for each in found if each is not None]

    def _stale(self, follower: SignalSync, name: str) -> str | None:
        if follower.read_at is None:
            return f"{name} has not been read yet; is the signal store running?"
        if not follower.complete and self._caught_up() is None:
            return f"{name} has not been read since the signals caught up"
        age = self._sources.clock() - follower.read_at
        return f"{name} was last read {age:.0f} s ago; is the signal store running?" if age > _STALE_SECONDS else None

    def _no_model(self, *, otherwise_ready: bool) -> str | None:
        if self._watcher is None or not self._watcher.looked:
            return "the model store does not answer"
        # A new shop that serves without a model goes on serving when its first event comes.
        self._began_empty |= otherwise_ready and self.state.aggregates.empty
        return None if self._began_empty else "no model is active; run 'freshet train'"

    def _guard(self, source: str) -> Guard:
        settings = self._settings
        breaker = Breaker(settings.breaker_failures, settings.breaker_rest, self._sources.steady)
        return Guard(source, settings.store_seconds, breaker)

    def _repositories(self) -> ListRepositories:
        readers = {name: (reader, self._guard(name)) for name, reader in self._stores.list_readers.items()}
        return ListRepositories(readers, self._settings.store_seconds)

    def _follower(self, signal: Signal, apply: Apply) -> SignalSync:
        return SignalSync(signal, self._stores.signals, self.partitions, apply, self._sources.clock, self._caught_up)

    def _asked(self, ask: ListAsk, **named: Any) -> RecommendationRequest:
        known: dict[str, Any] = {"now": self._sources.clock(), "categories": ask.category}
        known |= {"count": ask.count, "filter": ask.filter, "context": ask.context}
        if isinstance(ask, RecommendAsk):
            known |= {name: getattr(ask, name) for name in _ASKED} | {"shown": parameters.page(ask.cursor)}
            known |= {"pins": parameters.pins(ask.pin), "boosts": parameters.boosts(ask.boost)}
            if self.config.explore:
                known["draw"] = ask.seed or crc32(self._sources.new_id().encode()) or 1
        return RecommendationRequest(**(known | named))

    async def _informed(self, request: RecommendationRequest, user_state: UserState) -> RecommendationRequest:
        """The request with those of the user's attributes that its filters read; they are read only where one does."""
        wanted = business_rules.attributes_of(request, self.config.boosts)
        if not wanted or request.user_id is None:
            return request
        found = await self._attributes(request.user_id, user_state) or {}
        return msgspec.structs.replace(request, attributes={name: found[name] for name in wanted if name in found})

    async def _with_list(
        self, reading: Coroutine[Any, Any, UserState], user_id: str, models: ModelBundle
    ) -> tuple[UserState, ScoredPositions | None]:
        """The person and, read at the same time, the person's precomputed list."""
        if models.version is None or not models.has_lists:
            return await reading, None
        kept, stored = self._lists.kept(models.version, user_id)
        if kept:
            return await reading, stored
        user_state, found = await asyncio.gather(
            reading, self._lists.read(models.version, user_id), return_exceptions=True
        )
        if isinstance(user_state, BaseException):
            raise user_state
        if isinstance(found, SourceDown):
            user_state.degraded.append("lists")
            return user_state, None
        if isinstance(found, BaseException):
            raise found
        return user_state, found

    def _answer(self, question: Question, rank: Callable[[], RankedList]) -> Answer:
        if self._items.read_at is None:
            question.user_state.degraded.append("catalogue")
        versions = Versions(self._cells.version, self._items.version, self._config_id)
        return self._answers.give(question, versions, rank, partial(self._shelf, "popular", question))

    def _ranked(self, question: Question, stored: ScoredPositions | None) -> RankedList:
        signals, asking = Signals(question.user_state.value, self.state.aggregates, stored), self._timing.next()
        return recommend(question.request, signals, question.models, self.state.catalogue, self.config, asking)

    def _near(self, kind: item_lists.Near, at: int, question: Question) -> RankedList:
        signals = Signals(question.user_state.value, self.state.aggregates)
        return item_lists.NEAR[kind](at, question.request, signals, question.models, self.state.catalogue, self.config)

    def _shelf(self, kind: Shelf, question: Question) -> RankedList:
        signals = Signals(EMPTY, self.state.aggregates)
        return item_lists.shelf(kind, question.request, signals, question.models, self.state.catalogue, self.config)

    def _position(self, item_id: str) -> int:
        at = self.state.catalogue.position(item_id)
        if at is None:
            raise ProblemError(404, "unknown-item", f"There is no item '{item_id}'.", field="item_id")
        return at

    async def _attributes(self, user_id: str, user_state: UserState) -> dict[str, Any] | None:
        """A user's attributes, None where there is no profile; a failure is added to what is degraded."""
        partition = partition_of(user_id.encode(), self.partitions)
        try:
            read = partial(self._stores.signals.read, partition, Signal.PROFILES, [user_id])
            data = (await self._profiles.call(read)).values[0]
            profile = None if data is None else decode_profile(data)
        except (SourceDown, msgspec.DecodeError) as error:
            _log.warning("profile_not_read", error=str(error))
            user_state.degraded.append("profiles")
            return None
        return None if profile is None or profile.deleted else profile.attributes

    async def _report(self) -> None:
        """Keep the gauges that grow by themselves up to date."""
        while True:
            models, now = self.state.models, self._sources.clock()
            metrics.CATALOGUE_ITEMS.set(len(self.state.catalogue))
            metrics.MODEL_LOADED.set(models.version is not None)
            metrics.MODEL_AGE_SECONDS.set(max(0.0, now - models.created_at) if models.version else 0.0)
            await asyncio.sleep(1.0)


async def _known(user_state: UserState) -> UserState:
    return user_state


@contextmanager
def _long_lived() -> Iterator[None]:
    """Tell the garbage collector that what is made here stays, or each full collection would walk the catalogue."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
