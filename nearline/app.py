"""The Faust app: group membership and deliveries. What is applied, and from where, the assignment decides.

Faust's own book-keeping of offsets is set aside: a worker starts at the fences, not at Kafka's committed
offsets, and what it commits to Kafka (for lag dashboards) is what the fences say. What is fetched goes to the
lanes whole, as raw bytes, from the thread that fetches: taking every record through a stream costs as much as
applying it.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from itertools import chain
from typing import Any, Final

import faust
import structlog
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from nearline import metrics
from nearline.assignment import TICK_SECONDS, TURN_SECONDS, Assignment, Lane
from nearline.config import NearlineConfig
from nearline.watch import WATCH_SECONDS, Watch
from schemas.errors import LogReplaced
from schemas.log import topics
from schemas.log.records import Record
from schemas.site import topic_prefix

MAX_WAITING: Final = 5_000
"""Records of one lane delivered and not yet applied; past that nothing more is fetched."""
FETCH_SECONDS: Final = 1.0
ROOM_SECONDS: Final = 0.005
"""How long to wait before another look whether it has been applied."""
SESSION_SECONDS: Final = 6.0
"""How long a killed worker's partitions stand still; Kafka's brokers allow no less by default."""

log = structlog.get_logger()


class NearlineApp(faust.App):
    """A Faust app around one worker's assignment."""

    def __init__(
        self, config: NearlineConfig, assignment: Assignment, watch: Watch, restart: Callable[[str], None]
    ) -> None:
        super().__init__(
            id=f"{config.prefix}-nearline",
            broker=[f"kafka://{server.strip()}" for server in config.kafka.split(",")],
            store="memory://",
            datadir=str(config.worker_dir),
            web_enabled=False,
            topic_allow_declare=False,
            topic_disable_leader=True,
            stream_wait_empty=False,
            consumer_auto_offset_reset="earliest",
            broker_session_timeout=SESSION_SECONDS,
            broker_heartbeat_interval=1.0,
            broker_rebalance_timeout=SESSION_SECONDS,
            broker_request_timeout=30.0,
            broker_max_poll_records=2_000,
        )
        self.transport = _Transport(self.conf.broker_consumer, self)
        self.assignment, self._watch, self._restart = assignment, watch, restart
        self._names = {topics.topic_name(topic, topic_prefix(config.prefix)): topic for topic in topics.FACTS}
        self._thread: Executor = ThreadPoolExecutor(1, "nearline")
        self._watch_thread: Executor = ThreadPoolExecutor(1, "nearline-watch")
        self._offered = threading.Event()
        for name in self._names:
            self.topics.add(self.topic(name, acks=False))
        self.task(self._work)
        self.task(self._look)
        self.on_partitions_revoked.connect(self._revoked)

    async def assigned(self, tps: set[TP]) -> dict[TP, int]:
        """Open the lanes of these partitions; gives the offset from which on each is to be delivered."""
        wanted = {(self._names[tp.topic], tp.partition): tp for tp in tps if tp.topic in self._names}
        found = await self._in_thread(partial(self.assignment.assign, set(wanted)))
        self._offered.set()
        return {wanted[place]: offset for place, offset in (found or {}).items()}

    def applied(self) -> Iterator[tuple[TP, int]]:
        """The position of each partition kept here."""
        for name, topic in self._names.items():
            for lane in self.assignment.lanes:
                if lane.topic == topic and (position := self.assignment.position(topic, lane.partition)) is not None:
                    yield TP(name, lane.partition), position

    async def deliver(self, records: Iterable[Any]) -> None:
        """Hand fetched records to their lanes, and wait while one has more than enough to do. For any thread."""
        full: set[Lane] = set()
        for record in records:
            lane = self.assignment.offer(
                Record(
                    self._names[record.topic],
                    record.partition,
                    record.offset,
                    record.timestamp,
                    record.key or b"",
                    record.value or b"",
                )
            )
            if lane is not None and lane.waiting > MAX_WAITING:
                full.add(lane)
        self._offered.set()
        while not self.should_stop and self._full(full):  # noqa: ASYNC110 - lanes know no loop
            await asyncio.sleep(ROOM_SECONDS)

    def _full(self, lanes: set[Lane]) -> bool:
        kept = self.assignment.lanes
        return any(lane.waiting > MAX_WAITING and lane in kept for lane in lanes)

    async def _work(self) -> None:
        while not self.should_stop:
            await self._in_thread(self._turns)

    def _turns(self) -> None:
        """Turns for as long as one may take; where nothing comes, it is time for what is due without records."""
        until = time.monotonic() + TURN_SECONDS
        while time.monotonic() < until:
            self._offered.clear()
            if not self.assignment.turn():
                self._offered.wait(TICK_SECONDS)

    async def _look(self) -> None:
        while not self.should_stop:
            await asyncio.sleep(WATCH_SECONDS)
            lanes = self.assignment.lanes
            await self._in_thread(partial(self._watch.look, lanes), self._watch_thread)

    async def _revoked(self, *args: Any, **_: Any) -> None:
        revoked: set[TP] = args[-1]
        self.assignment.release({(self._names[tp.topic], tp.partition) for tp in revoked if tp.topic in self._names})

    async def _in_thread(self, work: Callable[[], Any], thread: Executor | None = None) -> Any:
        try:
            return await asyncio.get_running_loop().run_in_executor(thread or self._thread, work)
        except LogReplaced as error:
            self._restart(str(error))


class _Forgetful(dict[Any, Any]):
    """Faust's map of read offsets, kept empty: it would drop records that come again after a seek."""

    def __missing__(self, key: Any) -> None:
        return None

    def __setitem__(self, key: Any, value: Any) -> None:
        """Remember nothing."""

    def update(self, *_: Any, **__: Any) -> None:
        """Remember nothing."""


class _ConsumerThread(driver.AIOKafkaConsumerThread):
    app: NearlineApp

    async def _fetch_records(
        self,
        consumer: Any,
        active_partitions: Any,
        timeout: float | None = None,  # noqa: ASYNC109 - Faust's signature
        max_records: int | None = None,
    ) -> dict[Any, Any]:
        """Deliver what is fetched for so many seconds, from the consumer's own thread; Faust is given nothing.

        It would hand each fetch to another thread and each record to a stream, which takes longer than applying it.
        """
        until = time.monotonic() + (timeout or 0.0)
        while True:
            left = max(0.0, until - time.monotonic())
            records = await super()._fetch_records(consumer, active_partitions, left, max_records)
            if records and self.consumer.flow_active:
                await self.app.deliver(chain.from_iterable(records.values()))
            if not left or self.should_stop or not self.consumer.flow_active:
                return {}

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        """Commit for the dashboards only: a broker that is away must not end the worker, as Faust would have it."""
        kept = {tp: offset for tp, offset in offsets.items() if tp in self.assignment()}
        try:
            await self._ensure_consumer().commit(
                {TopicPartition(tp.topic, tp.partition): OffsetAndMetadata(offset, "") for tp, offset in kept.items()}
            )
        except KafkaError as error:
            log.info("offsets_not_committed", error=repr(error))
            metrics.RETRIES.labels("offsets").inc()
            return False
        return True


class _Consumer(driver.Consumer):
    app: NearlineApp

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._read_offset = _Forgetful()

    def _new_consumer_thread(self) -> _ConsumerThread:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def _drain_messages(self, fetcher: Any) -> None:
        """Have what is fetched delivered, until this or the fetcher is stopped."""
        try:
            while not (self.should_stop or fetcher.should_stop):
                await self._wait_next_records(FETCH_SECONDS)
        except self.consumer_stopped_errors:
            if not self.app.should_stop:
                raise

    async def perform_seek(self) -> None:
        """Open the lanes, and begin where they want to be delivered from: the fence decides, not the group."""
        for tp, offset in (await self.app.assigned(set(self.assignment()))).items():
            if tp in self.assignment():
                await self.seek(tp, offset)

    def _filter_committable_offsets(self, tps: Any) -> dict[TP, int]:  # noqa: ARG002 - Faust's signature
        """What is acknowledged is what has been committed to the signal store."""
        return {tp: offset for tp, offset in self.app.applied() if self._should_commit(tp, offset)}


class _Transport(driver.Transport):
    Consumer = _Consumer
