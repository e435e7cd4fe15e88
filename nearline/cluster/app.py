"""The Faust app: group membership and deliveries. ``nearline.cluster.assignment`` decides which records are applied.

Faust's own offsets are not used. A worker starts after the fences, which are the stored positions of the signals. The app
commits these offsets to Kafka for lag dashboards only. The thread that fetches hands whole fetches to the partition workers
as raw bytes, because handling one record in a Faust stream costs as much as applying it.
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
from mode import Service

from nearline import metrics
from nearline.cluster.assignment import POLL_SECONDS, Assignment
from nearline.cluster.coordination import CHECK_SECONDS, take_error
from nearline.config import NearlineConfig
from nearline.partition_worker import TICK_SECONDS, PartitionWorker
from nearline.watch import WATCH_SECONDS, Watch
from schemas.background import BackgroundTask
from schemas.configuration.server_access import ServerAccess
from schemas.configuration.site import topic_prefix
from schemas.errors import LogReplaced
from schemas.log import topics
from schemas.log.records import Record

MAX_WAITING: Final = 5_000
"""Limit of delivered records of one partition that are not yet applied. Above it, fetching pauses."""
FETCH_SECONDS: Final = 1.0
FULL_SECONDS: Final = 0.005
"""Pause between two checks whether a full worker has room again."""
SESSION_SECONDS: Final = 6.0
"""Time until Kafka gives the partitions of a killed worker to another one. Brokers allow no less by default."""
METADATA_SECONDS: Final = 5.0
"""Time until the group notices that a topic which was missing is there. Faust's default is five minutes."""
REQUEST_SECONDS: Final = 30.0
OPEN_SECONDS: Final = 20.0
"""Limit of the wait for workers to open. Faust gives a seek REQUEST_SECONDS, and then never seeks again in this process."""
COMMIT_SECONDS: Final = 5.0
"""Limit of a commit to Kafka. Without it, aiokafka repeats a refused commit for ever."""

log = structlog.get_logger()


class NearlineApp(faust.App):
    """A Faust app around one worker's assignment."""

    def __init__(
        self, config: NearlineConfig, assignment: Assignment, watch: Watch, restart: Callable[[str], None]
    ) -> None:
        super().__init__(
            id=f"{config.prefix}-nearline",
            broker=[f"kafka://{server.strip()}" for server in config.kafka.split(",")],
            broker_credentials=_credentials(config.kafka_access()),
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
            broker_request_timeout=REQUEST_SECONDS,
            consumer_metadata_max_age_ms=int(METADATA_SECONDS * 1_000),
            broker_max_poll_records=2_000,
        )
        self.transport = _Transport(self.conf.broker_consumer, self)
        self.assignment, self._watch, self._restart = assignment, watch, restart
        self._names = {topics.topic_name(topic, topic_prefix(config.prefix)): topic for topic in topics.FACTS}
        self._thread: Executor = ThreadPoolExecutor(1, "nearline")
        self._watch_thread: Executor = ThreadPoolExecutor(1, "nearline-watch")
        self._offered = threading.Event()
        self._wanted: set[tuple[str, int]] = set()
        for name in self._names:
            self.topics.add(self.topic(name, acks=False))
        self.task(self._work)
        self.task(self._check_workers)
        self.on_partitions_revoked.connect(self._revoked)

    async def assigned(self, tps: set[TP]) -> dict[TP, int]:
        """Keep these partitions. Returns the offset at which the delivery of each begins, if that is known in time.

        Without an offset, delivery begins where Kafka's committed offset is, and the worker reads what lies before it.
        """
        wanted = {(self._names[tp.topic], tp.partition): tp for tp in tps if tp.topic in self._names}
        self._wanted = set(wanted)
        # The thread may be busy, and the group may take partitions back before it begins.
        opening = asyncio.ensure_future(self._in_thread(lambda: self.assignment.assign(self._wanted)))
        done, _ = await asyncio.wait({opening}, timeout=OPEN_SECONDS)
        self._offered.set()
        if not done:
            log.warning("partitions_open_slowly", partitions=len(wanted), seconds=OPEN_SECONDS)
            return {}
        return {wanted[key]: offset for key, offset in (opening.result() or {}).items()}

    def applied(self) -> Iterator[tuple[TP, int]]:
        """Yields the position of each partition that this process keeps."""
        for name, topic in self._names.items():
            for worker in self.assignment.workers:
                position = self.assignment.position(topic, worker.partition) if worker.topic == topic else None
                if position is not None:
                    yield TP(name, worker.partition), position

    async def deliver(self, records: Iterable[Any]) -> None:
        """Hand fetched records to their workers, and wait while one of them is full. For any thread."""
        full: set[PartitionWorker] = set()
        for record in records:
            worker = self.assignment.offer(
                Record(
                    self._names[record.topic],
                    record.partition,
                    record.offset,
                    record.timestamp,
                    record.key or b"",
                    record.value,
                )
            )
            if worker is not None and worker.waiting > MAX_WAITING:
                full.add(worker)
        self._offered.set()
        while not self.should_stop and self._full(full):  # noqa: ASYNC110 - workers know no event loop
            await asyncio.sleep(FULL_SECONDS)

    def _full(self, workers: set[PartitionWorker]) -> bool:
        assigned = self.assignment.workers
        return any(worker.waiting > MAX_WAITING and worker in assigned for worker in workers)

    async def _work(self) -> None:
        task = BackgroundTask("folding")
        while not self.should_stop:
            with task.step():
                await self._in_thread(self._poll)
            await asyncio.sleep(task.pause())

    def _poll(self) -> None:
        """Poll for POLL_SECONDS. If no record is offered, poll every TICK_SECONDS, for the commits that are due."""
        end = time.monotonic() + POLL_SECONDS
        while time.monotonic() < end:
            self._offered.clear()
            if not self.assignment.poll():
                self._offered.wait(TICK_SECONDS)

    async def _check_workers(self) -> None:
        task = BackgroundTask("watching the log and the store")
        while not self.should_stop:
            await asyncio.sleep(task.pause(WATCH_SECONDS))
            with task.step():
                workers = self.assignment.workers
                log_ids = self.assignment.log_ids
                await self._in_thread(partial(self._watch.check, workers, log_ids), self._watch_thread)

    async def _revoked(self, *args: Any, **_: Any) -> None:
        tps: set[TP] = args[-1]
        revoked = {(self._names[tp.topic], tp.partition) for tp in tps if tp.topic in self._names}
        self._wanted = self._wanted - revoked
        self.assignment.release(revoked)

    async def _in_thread(self, work: Callable[[], Any], thread: Executor | None = None) -> Any:
        try:
            return await asyncio.get_running_loop().run_in_executor(thread or self._thread, work)
        except LogReplaced as error:
            self.start_again(str(error))

    def start_again(self, reason: str) -> None:
        """Start this process again. Does not return."""
        self._restart(reason)


def _credentials(access: ServerAccess) -> Any:
    """How Faust's consumer connects; None if Kafka asks for nothing."""
    context = access.tls_context()
    if access.mechanism:
        password = access.password.get_secret_value()
        return faust.SASLCredentials(
            username=access.user, password=password, ssl_context=context, mechanism=access.mechanism
        )
    return faust.SSLCredentials(context) if context else None


class _Forgetful(dict[Any, Any]):
    """An always empty map of read offsets. With its own map, Faust would drop the records that come again after a seek."""

    def __missing__(self, key: Any) -> None:
        return None

    def __setitem__(self, key: Any, value: Any) -> None:
        """Remember nothing."""

    def update(self, *_: Any, **__: Any) -> None:
        """Remember nothing."""


class _ConsumerThread(driver.AIOKafkaConsumerThread):
    app: NearlineApp

    @Service.task
    async def _take_errors(self) -> None:
        while not self.should_stop:
            await self.sleep(CHECK_SECONDS)
            if not take_error(self._ensure_consumer()._coordinator) and not self.should_stop:  # noqa: SLF001
                self.app.start_again("the coordination of the group has ended")

    async def _fetch_records(
        self,
        consumer: Any,
        active_partitions: Any,
        timeout: float | None = None,  # noqa: ASYNC109 - Faust's signature
        max_records: int | None = None,
    ) -> dict[Any, Any]:
        """Deliver fetched records for ``timeout`` seconds, on the consumer's own thread. Returns no records to Faust.

        Faust would hand each fetch to another thread, and each record to a stream. That takes longer than applying it.
        """
        end = time.monotonic() + (timeout or 0.0)
        while True:
            remaining = max(0.0, end - time.monotonic())
            try:
                records = await super()._fetch_records(consumer, active_partitions, remaining, max_records)
            except KafkaError as error:
                # An error of the group ends a fetch that waits for partitions, and Faust would end the process.
                log.warning("fetch_failed", error=repr(error))
                metrics.RETRIES.labels("fetch").inc()
                await asyncio.sleep(remaining)
                return {}
            if records and self.consumer.flow_active:
                await self.app.deliver(chain.from_iterable(records.values()))
            if not remaining or self.should_stop or not self.consumer.flow_active:
                return {}

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        """Commit offsets for dashboards. An unavailable broker does not end the worker, unlike in Faust."""
        committed = {
            TopicPartition(tp.topic, tp.partition): OffsetAndMetadata(offset, "")
            for tp, offset in offsets.items()
            if tp in self.assignment()
        }
        try:
            await asyncio.wait_for(self._ensure_consumer().commit(committed), COMMIT_SECONDS)
        except (KafkaError, TimeoutError) as error:
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
        """Deliver fetched records until this consumer or the fetcher is stopped."""
        try:
            while not (self.should_stop or fetcher.should_stop):
                await self._wait_next_records(FETCH_SECONDS)
        except self.consumer_stopped_errors:
            if not self.app.should_stop:
                raise

    async def perform_seek(self) -> None:
        """Open the partition workers, and seek to the position of each. Fences decide, not the group's offsets."""
        for tp, offset in (await self.app.assigned(set(self.assignment()))).items():
            if tp in self.assignment():
                await self.seek(tp, offset)

    def _filter_committable_offsets(self, tps: Any) -> dict[TP, int]:  # noqa: ARG002 - Faust's signature
        """Returns the offsets that the signal store has committed, for Kafka to acknowledge."""
        return {tp: offset for tp, offset in self.app.applied() if self._should_commit(tp, offset)}


class _Transport(driver.Transport):
    Consumer = _Consumer
