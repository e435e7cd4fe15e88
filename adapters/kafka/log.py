"""The log on Kafka: writes with confirmation, reads by offset, and creates the topics."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, Final, TypeVar

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from adapters.kafka import metadata as kafka_metadata
from adapters.kafka.access import Connection, Setting, connection_settings
from adapters.kafka.silence import Silence
from adapters.kafka.skew import Report, SkewMeter
from adapters.kafka.topics import MAX_RECORD_BYTES, SiteTopics, create_topics, days_kept, prepare_topics
from adapters.registry import Adapter
from schemas.background import BackgroundTask
from schemas.configuration import site
from schemas.configuration.addresses import Address
from schemas.configuration.server_access import NO_ACCESS, ServerAccess
from schemas.errors import LogBusy, LogUnavailable, RecordTooLarge, TopicMissing
from schemas.log import topics
from schemas.log.records import LogEntry, OffsetToken, Record
from schemas.ports import Appended

T = TypeVar("T")

__all__ = ["ADAPTER", "KafkaLogReader", "KafkaLogWriter", "create_topics"]

_log = structlog.get_logger(__name__)

_ANSWER_SECONDS: Final = 5.0
_CONSUME_SECONDS: Final = 0.2
_RENEW_SECONDS: Final = 15.0
"""Time without an answer after which a reader opens new connections."""
_LOOK_SECONDS: Final = 0.5
_SILENT: Final = frozenset({KafkaError._MSG_TIMED_OUT, KafkaError._TRANSPORT})  # noqa: SLF001 - librdkafka's local codes begin so
"""Failures of an entry that say that no broker answered."""
_ANSWERS_IN_FLIGHT: Final = 5_000
_ANSWER_BYTES_IN_FLIGHT: Final = 16 * 1_048_576


class KafkaLogWriter:
    """The LogWriter on Kafka: ``acks=all``, idempotent, confirmed by delivery reports.

    Raises LogBusy if more than ``max_in_flight`` entries or ``max_bytes`` bytes would wait for confirmation. The result
    of an entry that is not confirmed within ``delivery_seconds`` is LogUnavailable. While Kafka is known to be silent, entries
    fail at once and are not handed to it.
    """

    def __init__(
        self,
        servers: str,
        prefix: str = "freshet.",
        partitions: int = topics.DEFAULT_PARTITIONS,
        *,
        max_in_flight: int = 100_000,
        max_bytes: int = 256 * 1_048_576,
        delivery_seconds: float = 10.0,
        access: ServerAccess = NO_ACCESS,
    ) -> None:
        self._servers, self._prefix, self._partitions = servers, prefix, partitions
        self._silence = Silence(delivery_seconds, time.monotonic)
        self._max_in_flight, self._max_bytes = max_in_flight, max_bytes
        self._settings = connection_settings(servers, access) | producer_settings(
            max_in_flight, max_bytes, delivery_seconds
        )
        self._in_flight, self._bytes = 0, 0
        self._skew = SkewMeter()
        self._counting = threading.Lock()
        self._producing = threading.Lock()
        self._broken = threading.Event()
        self._closed = threading.Event()
        self._producer = self._connect()
        self._thread = threading.Thread(target=self._poll, name="kafka-log-writer", daemon=True)
        self._thread.start()

    def append(self, topic: str, entries: Sequence[LogEntry]) -> Future[list[Appended]]:
        """See LogWriter. The polling thread ends the future when Kafka has reported every entry."""
        if self._closed.is_set():
            raise LogUnavailable("the writer to the log has been closed")
        if self._silence.known:
            # Nothing is handed to Kafka, so what is reported as failed here is never stored.
            return _failed(len(entries), f"Kafka at {self._servers} does not answer; try again in a second")
        size = sum(len(entry.key) + len(entry.value) for entry in entries)
        self._reserve(len(entries), size)
        request = _DeliveryReports(len(entries), partial(self._release, len(entries), size), self._silence.reported)
        name = topics.topic_name(topic, self._prefix)
        with self._producing:
            for index, entry in enumerate(entries):
                report = partial(request.reported, index)
                self._produce(name, entry, report if index else self._skew.measuring(report))
        return request.future

    def close(self) -> None:
        """Ends the polling thread, and waits for outstanding confirmations."""
        self._closed.set()
        self._thread.join()
        self._producer.flush(15.0)

    def _connect(self) -> Producer:
        return Producer({**self._settings, "error_cb": self._on_error})

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            self._broken.set()
        elif error.code() == KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001 - librdkafka's local codes begin so
            self._silence.suspect()

    def _reserve(self, entries: int, size: int) -> None:
        with self._counting:
            if self._in_flight + entries > self._max_in_flight or self._bytes + size > self._max_bytes:
                raise LogBusy(f"{self._in_flight} entries wait for Kafka's confirmation; try again in a moment")
            self._in_flight += entries
            self._bytes += size

    def _release(self, entries: int, size: int) -> None:
        with self._counting:
            self._in_flight -= entries
            self._bytes -= size

    def _produce(self, name: str, entry: LogEntry, report: Report) -> None:
        partition = topics.partition_of(entry.key, self._partitions)
        try:
            self._producer.produce(name, entry.value, entry.key, partition, on_delivery=report)
        except BufferError:
            report(KafkaError(KafkaError._QUEUE_FULL), None)  # noqa: SLF001 - librdkafka's local codes begin so
        except KafkaException as error:
            report(error.args[0], None)

    def _poll(self) -> None:
        task = BackgroundTask("writing to Kafka")
        while not self._closed.wait(task.pause()):
            with task.step():
                self._producer.poll(0.1)
                self._silence.look(self._answers)
                if self._broken.is_set():
                    self._renew()

    def _answers(self) -> bool:
        try:
            self._producer.list_topics(topics.topic_name(topics.EVENTS, self._prefix), timeout=_LOOK_SECONDS)
        except KafkaException:
            return False
        return True

    def _renew(self) -> None:
        """Replaces the producer: an idempotent producer cannot recover from a wiped broker. Its entries fail."""
        _log.error("kafka_producer_renewed", reason="Kafka lost the producer's state; unconfirmed entries fail")
        with self._producing:
            broken, self._producer = self._producer, self._connect()
            self._broken.clear()
        broken.purge()
        broken.flush(5.0)


def producer_settings(entries: int, size: int, delivery_seconds: float) -> dict[str, Setting]:
    """The settings of an idempotent producer with at most so many entries and bytes in flight."""
    return {
        "acks": "all",
        "enable.idempotence": True,
        "linger.ms": 0,
        "compression.type": "lz4",
        "delivery.timeout.ms": int(delivery_seconds * 1_000),
        "message.max.bytes": MAX_RECORD_BYTES,
        # Above the writer's own bounds, so that Kafka's queue accepts each append completely or not at all.
        "queue.buffering.max.messages": 2 * entries,
        "queue.buffering.max.kbytes": max(2 * size // 1_024, 16_384),
    }


class _DeliveryReports:
    """Collects the delivery reports of one append."""

    def __init__(self, entries: int, release: Callable[[], None], heard: Callable[[bool], None]) -> None:
        self.future: Future[list[Appended]] = Future()
        self._results: list[Appended | None] = [None] * entries
        self._unreported, self._release_entries, self._heard = entries, release, heard
        self._lock = threading.Lock()
        if not entries:
            self._finish()

    def reported(self, index: int, error: KafkaError | None, message: Message | None) -> None:
        self._results[index] = _append_result(error, message)
        if error is None or error.code() in _SILENT:
            self._heard(error is None)
        with self._lock:
            self._unreported -= 1
            complete = not self._unreported
        if complete:
            self._finish()

    def _finish(self) -> None:
        self._release_entries()
        # The caller may have cancelled the future; the entries are on the log all the same.
        if self.future.set_running_or_notify_cancel():
            self.future.set_result([result for result in self._results if result is not None])


def _failed(entries: int, reason: str) -> Future[list[Appended]]:
    failed: Future[list[Appended]] = Future()
    failed.set_result([LogUnavailable(reason)] * entries)
    return failed


def _append_result(error: KafkaError | None, message: Message | None) -> Appended:
    partition, offset = (message.partition(), message.offset()) if message is not None else (None, None)
    if error is not None and error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
        return RecordTooLarge(f"Kafka does not take an entry of this size: {error.str()}")
    if error is not None:
        return LogUnavailable(f"Kafka did not confirm the entry: {error.str()}")
    if partition is None or offset is None or offset < 0:
        # Kafka recognised a retry as a duplicate: the entry is on the log, but only the lost reply named its offset.
        return LogUnavailable("Kafka took the entry but did not say where; send it again under the same event_id")
    return OffsetToken(partition, offset)


class KafkaLogReader:
    """The LogReader on Kafka: one consumer without a group, which keeps its position between reads."""

    def __init__(
        self,
        servers: str,
        prefix: str = "freshet.",
        *,
        answer_seconds: float = _ANSWER_SECONDS,
        access: ServerAccess = NO_ACCESS,
    ) -> None:
        self._servers, self._prefix, self._seconds, self._access = servers, prefix, answer_seconds, access
        self._failing_since: float | None = None
        self._end = 0
        self._open()

    def _open(self) -> None:
        self._connection = Connection(self._servers, self._access)
        self._admin = self._connection.admin
        self._consumer = Consumer(connection_settings(self._servers, self._access) | _CONSUMER)
        self._position: tuple[str, int, int] | None = None

    def log_id(self, topic: str) -> str:
        """``<cluster id>/<topic id>``. A wiped cluster or a recreated topic has another id."""
        name = topics.topic_name(topic, self._prefix)
        return self._call(lambda: kafka_metadata.log_id(self._consumer, self._admin, name, self._seconds))

    def partitions(self, topic: str) -> int:
        """The number of partitions of the topic."""
        name = topics.topic_name(topic, self._prefix)
        return self._call(lambda: kafka_metadata.partitions(self._consumer, name, self._seconds))

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """``[begin, end)`` as the partition's leader reports now."""
        topic_partition = TopicPartition(topics.topic_name(topic, self._prefix), partition)
        watermarks = self._call(
            lambda: self._consumer.get_watermark_offsets(topic_partition, timeout=self._seconds, cached=False)
        )
        if watermarks is None:
            raise LogUnavailable(f"Kafka at {self._servers} does not say what partition {partition} of {topic} holds")
        return watermarks

    def ends(self) -> dict[tuple[str, int], int]:
        """See LogReader; one request for each partition."""
        pairs = [(topic, partition) for topic in topics.ALL for partition in range(self.partitions(topic))]
        return {pair: end for pair in pairs if (end := self.bounds(*pair)[1])}

    def read(self, topic: str, partition: int, offset: int, limit: int) -> list[Record]:
        """See LogReader. A read that continues the last one costs no extra round trip while records remain."""
        position = (topic, partition, offset)
        if self._position != position:
            self._stop_fetching()
            begin, self._end = self.bounds(topic, partition)
            offset = max(offset, begin)
            if offset >= self._end:
                return []
            self._seek(topic, partition, offset)
        records = self._consume(topic, offset, min(limit, self._end - offset))
        if not records or records[-1].offset + 1 >= self._end:
            self._stop_fetching()
        else:
            self._position = (topic, partition, records[-1].offset + 1)
        return records

    def close(self) -> None:
        """Closes the connections."""
        self._consumer.close()

    def _call(self, operation: Callable[[], T]) -> T:
        try:
            result = operation()
        except KafkaException as error:
            if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise TopicMissing(
                    f"Kafka at {self._servers} lacks a topic: `freshet cluster init` makes it"
                ) from error
            sentence = self._connection.sentence(error.args[0])
            self._renew_clients()
            raise LogUnavailable(sentence) from error
        self._failing_since = None
        return result

    def _renew_clients(self) -> None:
        """Opens new connections after some failures. A client has gone on failing for minutes beside a broker that was back."""
        now = time.monotonic()
        if self._failing_since is None:
            self._failing_since = now
        elif now - self._failing_since >= _RENEW_SECONDS:
            self._failing_since = now
            self._consumer.close()
            self._open()

    def _seek(self, topic: str, partition: int, offset: int) -> None:
        topic_partition = TopicPartition(topics.topic_name(topic, self._prefix), partition, offset)
        self._call(lambda: self._consumer.assign([topic_partition]))

    def _stop_fetching(self) -> None:
        """Stops fetching. A fetch that waits at the end would delay every other request to its broker."""
        if self._position is not None or self._consumer.assignment():
            self._position = None
            self._call(self._consumer.unassign)

    def _consume(self, topic: str, offset: int, limit: int) -> list[Record]:
        """The next records; empty if the remaining offsets hold no records (aborted transactions)."""
        for _ in range(max(1, int(self._seconds / _CONSUME_SECONDS))):
            messages = self._call(lambda: self._consumer.consume(limit, timeout=_CONSUME_SECONDS))
            records = [_record(topic, message) for message in messages if self._is_record(message)]
            if records or messages:
                return records
        self._stop_fetching()
        raise LogUnavailable(f"Kafka at {self._servers} sent nothing from offset {offset} of {topic} on")

    def _is_record(self, message: Message) -> bool:
        error = message.error()
        if error is None:
            return True
        if error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's local codes begin so
            self._stop_fetching()
            raise LogUnavailable(f"Kafka at {self._servers} cannot be read: {error.str()}")
        return False


_CONSUMER: Final[dict[str, Setting]] = {
    "group.id": "freshet-reader",  # librdkafka needs a group; nothing is ever committed under it
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "enable.partition.eof": True,
    "auto.offset.reset": "error",
    # The Faust workers read with the same level, so both see the same records.
    "isolation.level": "read_uncommitted",
    "fetch.wait.max.ms": 10,
    "fetch.error.backoff.ms": 50,
    "fetch.message.max.bytes": 4 * 1_048_576,
    "queued.max.messages.kbytes": 16_384,
}


def _record(topic: str, message: Message) -> Record:
    value: Any = message.value()
    key: Any = message.key()
    partition, offset = message.partition(), message.offset()
    assert partition is not None
    assert offset is not None
    return Record(topic, partition, offset, message.timestamp()[1], key or b"", value)


def _prepare(address: Address) -> None:
    prepare_topics(topics_of(address))


def topics_of(address: Address) -> SiteTopics:
    """The topics of an address."""
    prefix = site.topic_prefix(address.site)
    return SiteTopics(address.location, prefix, address.partitions, address.durability, address.answers, address.access)


def _answer_writer(address: Address) -> KafkaLogWriter:
    """A producer of its own, with a small queue: answers are lost before they take memory that events need."""
    return KafkaLogWriter(
        address.location,
        site.topic_prefix(address.site),
        address.partitions,
        max_in_flight=_ANSWERS_IN_FLIGHT,
        max_bytes=_ANSWER_BYTES_IN_FLIGHT,
        access=address.access,
    )


def _reader(address: Address) -> KafkaLogReader:
    return KafkaLogReader(address.location, site.topic_prefix(address.site), access=address.access)


def _writer(address: Address) -> KafkaLogWriter:
    return KafkaLogWriter(address.location, site.topic_prefix(address.site), address.partitions, access=address.access)


def _days_kept(address: Address, topic: str) -> float | None:
    prefix = site.topic_prefix(address.site)
    return days_kept(SiteTopics(address.location, prefix, access=address.access), topic)


ADAPTER: Final = Adapter(
    ("kafka",),
    log_writer=_writer,
    log_reader=_reader,
    own_answer_writer=_answer_writer,
    prepare=_prepare,
    days_kept=_days_kept,
)
"""The log at ``kafka://host:port,host:port``."""
