"""A small world to recommend in: 60 items in 6 categories, a model that knows the categories, stores in memory."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import pytest

from models.als import Als
from models.neighbours import Neighbours
from models.popularity import Popularity
from models.structures.lists import ScoredList
from schemas.answers import RecommendationRequest
from schemas.catalogue import Item, encode_view
from schemas.errors import ModelStoreUnavailable, StoreUnavailable, ValueCorrupt
from schemas.events import LoggedEvent
from schemas.keys import Signal
from schemas.log.fence import Fence
from schemas.log.records import OffsetToken
from schemas.log.topics import partition_of
from schemas.offline.manifest import DataWindow, Manifest
from schemas.ports import SignalChanges, SignalValues
from serving.config import Settings
from serving.ranking.config import RankingConfig
from serving.ranking.context import Signals
from serving.ranking.defaults import default_config
from serving.ranking.pipeline import RankedList, recommend
from serving.service.service import ServingService, Stores
from serving.service.time_and_ids import TimeAndIds
from serving.state import model_bundle
from serving.state.aggregates import Aggregates
from serving.state.catalogue import Catalogue
from serving.state.merged import Merged
from serving.state.model_bundle import NO_BUNDLE, ModelBundle, as_columns
from signals import aggregates, user_codec, users
from signals.counters import transition
from signals.users import EMPTY, UserValue

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC).timestamp()
DAY = 86_400.0
ITEMS = 60
CATEGORIES = ("puzzle", "racing", "strategy", "sports", "horror", "story")
LOG = "log-1"


def item_id(number: int) -> str:
    return f"item-{number}"


def category_of(number: int) -> str:
    return CATEGORIES[number % len(CATEGORIES)]


def an_item(number: int, **fields) -> Item:
    fields = {
        "item_id": item_id(number),
        "title": f"Game {number} of {category_of(number)}",
        "categories": (category_of(number),),
        "first_at": datetime(2026, 1, 1, tzinfo=UTC),
    } | fields
    return Item(**fields)


def an_event(kind: str, number: int | None = None, at: float = NOW - 60, **fields) -> LoggedEvent:
    fields.setdefault("user_id", "ann")
    moment = datetime.fromtimestamp(at, UTC)
    item = None if number is None else item_id(number)
    event_id = fields.pop("event_id", f"{kind}-{number}-{at}")
    return LoggedEvent(event_id=event_id, type=kind, item_id=item, occurred_at=moment, received_at=moment, **fields)


def a_value(*events: LoggedEvent) -> UserValue:
    value = EMPTY
    for offset, event in enumerate(events):
        value = users.fold(value, event, offset)
    return value


def a_model(trained_users: Sequence[str] = ("bob",)) -> tuple[Als, Neighbours, Popularity]:
    """Factors in which a category is an axis; users like puzzles; neighbours are of one category."""
    rng = np.random.default_rng(7)
    factors = 0.05 * rng.random((ITEMS, 6)) + np.eye(6)[[n % 6 for n in range(ITEMS)]]
    ids = tuple(item_id(n) for n in range(ITEMS))
    likes_puzzles = np.tile(np.eye(6)[0], (len(trained_users), 1))
    als = Als(tuple(trained_users), ids, likes_puzzles, factors, regularization=0.1, alpha=1.0)
    rows = [[m for m in range(ITEMS) if m != n and m % 6 == n % 6] for n in range(ITEMS)]
    scores = np.tile(np.linspace(0.9, 0.1, len(rows[0])), (ITEMS, 1))
    popularity = np.arange(ITEMS, 0, -1, dtype=np.float32)
    return als, Neighbours(ids, np.array(rows), scores), Popularity(ids, popularity)


def a_manifest(version: str = "v1", lists: int = 0) -> Manifest:
    window = DataWindow(interactions=10, users=1, items=ITEMS, last_at=datetime.fromtimestamp(NOW - DAY, UTC))
    return Manifest(
        version=version,
        created_at=datetime.fromtimestamp(NOW - DAY / 2, UTC),
        algorithm="als",
        engine="single",
        parameters={},
        window=window,
        offsets={},
        values=("als", "neighbours", "popularity"),
        lists={"users": lists},
    )


@dataclass
class World:
    """Everything that ``recommend`` takes, with shorthands."""

    catalogue: Catalogue
    aggregates: Aggregates
    models: ModelBundle = NO_BUNDLE
    config: RankingConfig = field(default_factory=default_config)

    def train(self) -> "World":
        als, neighbours, popularity = a_model()
        trained = ModelBundle(
            version="v1",
            created_at=NOW - DAY / 2,
            trained_to=NOW - DAY,
            als=als,
            neighbours=neighbours,
            popularity=popularity,
        )
        self.models = model_bundle.bind(trained, self.catalogue)
        return self

    def happen(self, *events: LoggedEvent, partition: int = 0) -> dict[str, bytes]:
        """Fold events of different people into the aggregates, as nearline does; gives the packed cells."""
        cells: dict[str, aggregates.Counters] = {}
        values: dict[str, UserValue] = {}
        for offset, event in enumerate(events):
            before = values.get(event.subject, EMPTY)
            after = values[event.subject] = users.fold(before, event, offset)
            cells.update(aggregates.fold(cells, [transition(before, after, event, offset)]))
        packed = {key: aggregates.encode(cell) for key, cell in cells.items()}
        self.merge(partition, packed)
        return packed

    def merge(self, partition: int, values: Mapping[str, bytes], whole: bool = False) -> None:
        merged = Merged.nothing()
        for _ in self.aggregates.merge(partition, SignalChanges(Fence(LOG, 1), dict(values), whole), merged):
            pass
        for _ in self.aggregates.apply_tails(merged):
            pass
        self.aggregates.adopt(merged)

    def ask(self, user: UserValue = EMPTY, stored: ScoredList | None = None, **request) -> RankedList:
        columns = None if stored is None else as_columns(self.catalogue, stored)
        signals = Signals(user, self.aggregates, columns)
        return recommend(
            RecommendationRequest(**({"now": NOW} | request)), signals, self.models, self.catalogue, self.config
        )


class FakeSignals:
    """A SignalReader over a dict; ``mode`` makes it hang or fail."""

    def __init__(self) -> None:
        self.values: dict[tuple[int, str], dict[str, bytes]] = {}
        self.held_fences: dict[tuple[int, str], Fence] = {}
        self.corrupt: set[tuple[int, str]] = set()
        """Partitions and signals whose fence cannot be read."""
        self.mode = "ok"
        self.reads = 0

    def put(self, signal: str, key: str, value: bytes, owner: str, offset: int = 0) -> OffsetToken:
        place = partition_of(owner.encode()), signal
        self.values.setdefault(place, {})[key] = value
        self.held_fences[place] = Fence(LOG, offset)
        return OffsetToken(place[0], offset)

    async def read(self, partition: int, signal: str, keys: Sequence[str]) -> SignalValues:
        self.reads += 1
        await self._as_told()
        held = self.values.get((partition, signal), {})
        return SignalValues(self.held_fences.get((partition, signal)), [held.get(key) for key in keys])

    async def fences(self, signal: str, partitions: Sequence[int]) -> dict[int, Fence]:
        await self._as_told()
        return {each: self.held_fences[each, signal] for each in partitions if (each, signal) in self.held_fences}

    async def changes(self, partition: int, signal: str, since: Fence | None) -> SignalChanges:
        await self._as_told()
        if (partition, signal) in self.corrupt:
            raise ValueCorrupt(partition, signal, (), "foreign")
        fence = self.held_fences.get((partition, signal))
        if since is not None and since == fence:
            return SignalChanges(fence, {}, whole=False)
        return SignalChanges(fence, dict(self.values.get((partition, signal), {})), whole=True)

    async def close(self) -> None: ...

    async def _as_told(self) -> None:
        if self.mode == "hang":
            await asyncio.sleep(3_600)
        if self.mode == "raise":
            raise StoreUnavailable("the signal store is away")


class FakeModels:
    """A ModelStore and ListReader over dicts."""

    def __init__(self) -> None:
        self.stored: dict[str, tuple[Manifest, dict[str, bytes]]] = {}
        self.lists: dict[tuple[str, str], bytes] = {}
        self.pointer: str | None = None
        self.mode = "ok"
        self.list_reads = 0

    def publish(self, version: str = "v1", lists: Mapping[str, ScoredList] | None = None) -> None:
        als, neighbours, popularity = a_model()
        values = {"als": als.save(), "neighbours": neighbours.save(), "popularity": popularity.save()}
        self.stored[version] = a_manifest(version, len(lists or {})), values
        self.lists |= {(version, user): each.save() for user, each in (lists or {}).items()}
        self.pointer = version

    def active(self) -> str | None:
        if self.mode == "raise":
            raise ModelStoreUnavailable("the model store is away")
        return self.pointer

    def manifest(self, version: str) -> Manifest:
        return self.stored[version][0]

    def value(self, version: str, name: str) -> bytes:
        return self.stored[version][1][name]

    async def read(self, version: str, kind: str, key: str) -> bytes | None:
        self.list_reads += 1
        if self.mode == "hang":
            await asyncio.sleep(3_600)
        if self.mode == "raise":
            raise ModelStoreUnavailable("the model store is away")
        return self.lists.get((version, key))

    async def close(self) -> None: ...


@dataclass
class FakeLog:
    """A LogWriter that remembers; ``error`` makes it refuse."""

    entries: list = field(default_factory=list)
    error: Exception | None = None

    def append(self, topic, entries):
        if self.error:
            raise self.error
        self.entries += [(topic, entry) for entry in entries]
        done: Future = Future()
        done.set_result([OffsetToken(0, n) for n, _ in enumerate(entries)])
        return done

    def close(self) -> None: ...


@dataclass
class Shop:
    """A service on fake stores, with the clock in the test's hand."""

    signals: FakeSignals = field(default_factory=FakeSignals)
    models: FakeModels = field(default_factory=FakeModels)
    log: FakeLog = field(default_factory=FakeLog)
    now: float = NOW
    awaited: str | None = None
    """What the signals still wait for."""
    settings: dict = field(default_factory=lambda: {"store_seconds": 0.03, "after_seconds": 0.2, "model_seconds": 0.02})

    def stock(self, count: int = ITEMS) -> None:
        for number in range(count):
            self.say(an_item(number))

    def say(self, item: Item, offset: int = 0) -> None:
        self.signals.put(Signal.ITEMS, item.item_id, encode_view(item), item.item_id, offset)

    def know(self, user_id: str, *events: LoggedEvent) -> OffsetToken:
        value = a_value(*events)
        return self.signals.put(Signal.USERS, f"u:{user_id}", user_codec.encode(value), user_id, value.offset)

    def serve(self, **settings) -> ServingService:
        stores = Stores(self.signals, self.models, self.models, self.log)
        chosen = Settings(**(self.settings | settings))
        return ServingService(stores, chosen, TimeAndIds(clock=lambda: self.now), lambda: self.awaited)

    @asynccontextmanager
    async def running(self, **settings) -> AsyncIterator[ServingService]:
        service = self.serve(**settings)
        await service.start()
        await asyncio.sleep(0)
        try:
            yield service
        finally:
            await service.stop()


@pytest.fixture
def world() -> World:
    """A stocked catalogue in which nothing has happened and nothing was trained."""
    catalogue = Catalogue()
    for number in range(ITEMS):
        catalogue.put(an_item(number))
    return World(catalogue, Aggregates(catalogue, 8, default_config().population_weights))


@pytest.fixture
def trained(world: World) -> World:
    """The same with a model that has learned categories; only bob was trained on."""
    return world.train()


@pytest.fixture
def shop() -> Shop:
    """Fake stores with a stocked catalogue."""
    made = Shop()
    made.stock()
    return made


@pytest.fixture(scope="session")
def new_shop():
    """Makes a shop of its own, for each example of a property."""
    return Shop


@pytest.fixture
def say():
    """Makes an event: say("like", 3)."""
    return an_event


@pytest.fixture
def remember():
    """Makes a user's value of events."""
    return a_value


@pytest.fixture
def describe():
    """Makes an item: describe(3, hidden=True)."""
    return an_item


@pytest.fixture
def category():
    """The category of an item's id."""
    return lambda each: category_of(int(each.rpartition("-")[2]))


@pytest.fixture(name="an_item")
def an_item_fixture():
    """Makes an item's data: an_item(3, title=...)."""
    return an_item
