"""Writes records back into new Kafka topics, with their keys, partitions, timestamps and, as far as possible, offsets."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import closing
from typing import Final

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, KafkaError, Message, Producer

from adapters.kafka.access import Connection, connection_settings
from adapters.kafka.log import KafkaLogReader, producer_settings, topics_of
from adapters.kafka.topics import change_config, prepare_topics, topic_partitions
from schemas.configuration.addresses import Address
from schemas.errors import BackupUnavailable
from schemas.log import topics
from schemas.log.records import Record

MOST_FILLED: Final = 1_000_000
"""Limit of tombstones that are written in one partition to keep the offsets of the records after a gap."""
_IN_FLIGHT: Final = 20_000
_IN_FLIGHT_BYTES: Final = 64 * 1_048_576
_DELIVERY_SECONDS: Final = 60.0
_OWN_TIMES: Final = {"message.timestamp.type": "CreateTime"}
_LOG_TIMES: Final = {"message.timestamp.type": "LogAppendTime"}
_CHANGE_SECONDS: Final = 3.0
"""Time that the brokers may take until a changed setting of a topic holds."""


class KafkaLogRestorer:
    """Restores the topics of one site. Raises ServerMissing, ConfigurationInvalid, LogUnavailable, BackupUnavailable."""

    def __init__(self, address: Address) -> None:
        self._site = site = topics_of(address)
        self._admin = Connection(site.servers, site.access).admin
        self._producer = Producer(
            connection_settings(site.servers, site.access)
            | producer_settings(_IN_FLIGHT, _IN_FLIGHT_BYTES, _DELIVERY_SECONDS)
        )
        self._wrong: list[str] = []

    def records(self) -> int:
        """The number of records that the site's topics hold now; 0 if there are no topics."""
        site = self._site
        existing = topic_partitions(site.servers, site.prefix, site.access)
        with closing(KafkaLogReader(site.servers, site.prefix, access=site.access)) as reader:
            bounds = [reader.bounds(topic, number) for topic, count in existing.items() for number in range(count)]
        return sum(end - begin for begin, end in bounds)

    def create(self) -> None:
        """Creates the topics that are missing. All topics then take records with their own times, until ``finish``."""
        prepare_topics(self._site)
        for topic in topics.ALL:
            change_config(self._admin, self._site.name(topic), _OWN_TIMES)
        time.sleep(_CHANGE_SECONDS)

    def remove(self) -> None:
        """Removes the site's topics with all their records."""
        names = {self._site.name(topic) for topic in topics.ALL}
        for future in self._admin.delete_topics(sorted(names), operation_timeout=30.0).values():
            future.result(timeout=30.0)
        until = time.monotonic() + 30.0
        while names & set(self._admin.list_topics(timeout=10.0).topics) and time.monotonic() < until:
            time.sleep(0.2)

    def finish(self) -> None:
        """Lets the topics give records the log's own time again."""
        for topic in topics.ALL:
            change_config(self._admin, self._site.name(topic), _LOG_TIMES)

    def write(self, topic: str, partition: int, records: Iterable[Record]) -> bool:
        """Writes the records of one empty partition in their order. Returns True if each has its offset again.

        A record that is missing in between is written as a tombstone, which folds pass over.
        """
        expected, filled, kept = 0, 0, True
        for record in records:
            gap = record.offset - expected if kept else 0
            kept = kept and gap >= 0 and filled + gap <= MOST_FILLED
            for _ in range(gap if kept else 0):
                self._produce(topic, partition, b"", None, record.timestamp_ms, expected)
                expected, filled = expected + 1, filled + 1
            self._produce(topic, partition, record.key, record.value, record.timestamp_ms, expected)
            expected += 1
        self._producer.flush(_DELIVERY_SECONDS)
        if self._wrong:
            raise BackupUnavailable(
                f"partition {partition} of {topic} was not restored ({self._wrong[0]}): see that Kafka is well and that "
                "nothing else writes to the site, then restore again with --force"
            )
        return kept

    def _produce(
        self, topic: str, partition: int, key: bytes, value: bytes | None, timestamp_ms: int, offset: int
    ) -> None:
        def delivered(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                self._wrong.append(error.str())
            elif message.timestamp()[0] == TIMESTAMP_LOG_APPEND_TIME:
                self._wrong.append("Kafka gave a record another time")
            elif message.offset() != offset:
                self._wrong.append(f"a record got the offset {message.offset()}, not {offset}")

        while True:
            try:
                self._producer.produce(
                    self._site.name(topic), value, key, partition, on_delivery=delivered, timestamp=timestamp_ms
                )
            except BufferError:
                self._producer.poll(0.1)
            else:
                self._producer.poll(0)
                return
