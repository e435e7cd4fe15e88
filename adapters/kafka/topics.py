"""The topics on Kafka: makes those that are missing, and says how those that exist differ from what they should be."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import Final, NamedTuple

import structlog
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ClusterMetadata,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
    TopicMetadata,
)

from adapters.kafka.access import Connection
from schemas.configuration.addresses import AnswerRetention
from schemas.configuration.durability import AUTOMATIC, Copies, Durability, topic_copies
from schemas.configuration.server_access import NO_ACCESS, ServerAccess
from schemas.errors import ConfigurationInvalid, LogUnavailable, ServerMissing
from schemas.log import topics

_log = structlog.get_logger(__name__)

DAY_MS: Final = 86_400_000
_LONGEST_CHECK_MS: Final = 3_600_000
"""Longest pause between a broker's looks for segments that have expired, generously; 5 minutes by default."""
MAX_RECORD_BYTES: Final = 2 * 1_048_576
"""Twice the collector's largest body, so that one event and its envelope always fit."""
_ANSWER_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 0.1
_SMALLEST_SEGMENT: Final = 4 * 1_048_576
"""Bytes; larger than the largest record."""
_ACCEPTED: Final = (*topics.FACTS, topics.DEADLETTERS, topics.ACCESS, topics.AUDIT)
"""Topics that nothing else could restore."""
_AT_LEAST: Final = frozenset({"min.insync.replicas", "retention.ms", "retention.bytes", "max.message.bytes"})
"""Settings of a topic that may also be larger than wanted."""
_LOSING: Final = frozenset({"min.insync.replicas", "unclean.leader.election.enable", "cleanup.policy"})
"""Settings of a topic that, where they are wrong, lose records that were accepted."""
_RETENTION_DAYS: Final[Mapping[str, int | None]] = {
    topics.ITEMS: None,
    topics.DEADLETTERS: 90,
    topics.MODELS: 30,
    topics.ACCESS: None,
    topics.AUDIT: None,
    topics.KEY_USES: 90,
    topics.ERASURES: 30,
}
"""Days that each topic keeps its records, but for events, users and answers, which have settings; None means for ever. A new worker must find every item on the log, and a new process every key."""


class SiteTopics(NamedTuple):
    """Kafka's servers and the topics of one site on them."""

    servers: str
    prefix: str = "freshet."
    partitions: int = topics.DEFAULT_PARTITIONS
    durability: Durability = AUTOMATIC
    answers: AnswerRetention = AnswerRetention()
    access: ServerAccess = NO_ACCESS

    def name(self, topic: str) -> str:
        """The name of a topic on Kafka."""
        return topics.topic_name(topic, self.prefix)


class SettingMismatch(NamedTuple):
    """A setting of a topic that is not what it should be."""

    topic: str
    setting: str
    actual: str
    wanted: str
    loses: bool
    """True if records that were accepted may be lost."""

    def __str__(self) -> str:
        return f"{self.topic} has {self.setting}={self.actual}, not {self.wanted}"


def prepare_topics(site: SiteTopics) -> None:
    """Creates the topics that do not exist yet.

    Raises ServerMissing if Kafka does not reply. Raises ConfigurationInvalid if a topic has another number of
    partitions, because keys would then move between partitions, away from their values; and if a topic that
    nothing else could restore may lose records.
    """
    cluster = _Cluster(site)
    cluster.create_missing()
    losing = [str(difference) for difference in cluster.differences(_ACCEPTED) if difference.loses]
    if losing and site.durability.mode != "single":
        raise ConfigurationInvalid(
            f"{'; '.join(losing)}: records that were accepted may be lost. Change the topic (`freshet doctor` lists all "
            "differences), or set FRESHET_DURABILITY=single to accept that"
        )


def create_topics(
    servers: str,
    prefix: str = "freshet.",
    partitions: int = topics.DEFAULT_PARTITIONS,
    *,
    durability: Durability = AUTOMATIC,
    answers: AnswerRetention = AnswerRetention(),  # noqa: B008 - a constant
    access: ServerAccess = NO_ACCESS,
) -> None:
    """Does what ``prepare_topics`` does."""
    prepare_topics(SiteTopics(servers, prefix, partitions, durability, answers, access))


def topic_partitions(servers: str, prefix: str = "freshet.", access: ServerAccess = NO_ACCESS) -> dict[str, int]:
    """The number of partitions of each of our topics that exists; raises ServerMissing if Kafka does not reply."""
    existing = _Cluster(SiteTopics(servers, prefix, access=access)).existing()
    return {t: len(metadata.partitions) for t in topics.ALL if (metadata := existing.get(topics.topic_name(t, prefix)))}


def days_kept(site: SiteTopics, topic: str) -> float | None:
    """Days after which Kafka has surely removed a record that a topic took just now; None if it keeps records for ever.

    Kafka removes whole segments once their newest record is old enough, so a segment's own age is added, and the time until
    the broker looks and unlinks the files. Raises LogUnavailable.
    """
    config = _Cluster(site).config(topic)
    kept, segment, unlinked = (int(config[name]) for name in ("retention.ms", "segment.ms", "file.delete.delay.ms"))
    return None if kept < 0 else (kept + segment + _LONGEST_CHECK_MS + unlinked) / DAY_MS


def topic_differences(site: SiteTopics) -> list[SettingMismatch]:
    """How existing topics differ from what they should be; raises ServerMissing, ConfigurationInvalid."""
    return _Cluster(site).differences(topics.ALL)


class _Cluster:
    """An administrator's view of the topics."""

    def __init__(self, site: SiteTopics) -> None:
        self._site = site
        self._connection = Connection(site.servers, site.access)
        self._admin = self._connection.admin

    def existing(self) -> dict[str, TopicMetadata]:
        """All topics."""
        topics_by_name: dict[str, TopicMetadata] = self._metadata().topics
        return topics_by_name

    def create_missing(self) -> None:
        """Creates topics, and checks the partitions of all."""
        metadata = self._metadata()
        existing = metadata.topics
        missing = [topic for topic in topics.ALL if self._site.name(topic) not in existing]
        if missing:
            self._create(missing, topic_copies(self._site.durability, len(metadata.brokers), self._site.servers))
            existing = self._wait_for_leaders([self._site.name(topic) for topic in missing])
        if topics.ANSWERS not in missing:
            self._update_answers()
        for topic in topics.ALL:
            _check_partitions(self._site.name(topic), existing, self._site.partitions)

    def differences(self, checked: Sequence[str]) -> list[SettingMismatch]:
        """How these topics differ from what they should be; those that do not exist are left out."""
        metadata = self._metadata()
        copies = topic_copies(self._site.durability, len(metadata.brokers), self._site.servers)
        names = {self._site.name(topic): topic for topic in checked if self._site.name(topic) in metadata.topics}
        configs = self._configs(list(names))
        found: list[SettingMismatch] = []
        for name, topic in names.items():
            actual_copies = min(len(p.replicas) for p in metadata.topics[name].partitions.values())
            if actual_copies < copies.replication:
                found.append(
                    SettingMismatch(name, "replication factor", str(actual_copies), str(copies.replication), loses=True)
                )
            found.extend(_config_differences(name, configs.get(name, {}), self._wanted(topic, copies)))
        return found

    def config(self, topic: str) -> dict[str, str]:
        """The configuration of one topic; raises LogUnavailable if this user may not see it."""
        try:
            return self._configs([self._site.name(topic)])[self._site.name(topic)]
        except (KafkaException, KeyError) as error:
            raise LogUnavailable(
                f"Kafka at {self._site.servers} does not tell the configuration of {topic}: this user needs DescribeConfigs"
            ) from error

    def _create(self, missing: Sequence[str], copies: Copies) -> None:
        new_topics = [
            NewTopic(
                self._site.name(topic), self._site.partitions, copies.replication, config=self._wanted(topic, copies)
            )
            for topic in missing
        ]
        for name, created in self._admin.create_topics(new_topics, operation_timeout=10.0).items():
            _check_created(name, created)

    def _wanted(self, topic: str, copies: Copies) -> dict[str, str]:
        """The configuration of a topic."""
        site = self._site
        kept = site.durability
        days = {
            topics.EVENTS: kept.events_days,
            topics.USERS: kept.users_days or None,
            topics.ANSWERS: None,
            **_RETENTION_DAYS,
        }
        return {
            **_topic_config(days[topic]),
            "min.insync.replicas": str(copies.min_insync),
            **(_answers_config(site.partitions, site.answers) if topic == topics.ANSWERS else {}),
        }

    def _update_answers(self) -> None:
        """Sets the retention of answers, which settings may have changed since the topic was created."""
        name = self._site.name(topics.ANSWERS)
        wanted = _answers_config(self._site.partitions, self._site.answers)
        if any(self._configs([name]).get(name, {}).get(key) != value for key, value in wanted.items()):
            change_config(self._admin, name, wanted)

    def _configs(self, names: Sequence[str]) -> dict[str, dict[str, str]]:
        """The configurations of topics by name. One that this user may not see is left out."""
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        configs: dict[str, dict[str, str]] = {}
        for resource, described in self._admin.describe_configs(resources).items() if resources else ():
            try:
                entries = described.result(timeout=3 * _ANSWER_SECONDS)
            except KafkaException as error:
                _log.info("topic_not_described", topic=resource.name, reason=error.args[0].str())
            else:
                configs[resource.name] = {name: entry.value for name, entry in entries.items()}
        return configs

    def _metadata(self) -> ClusterMetadata:
        try:
            metadata = self._admin.list_topics(timeout=_ANSWER_SECONDS)
        except KafkaException as error:
            raise ServerMissing(self._connection.sentence(error.args[0])) from error
        # A cluster that has just begun knows no broker for a moment. That says nothing about how many there will be.
        if not metadata.brokers:
            raise ServerMissing(f"no broker is registered yet at Kafka's {self._site.servers}: see the brokers' logs")
        return metadata

    def _wait_for_leaders(self, names: Sequence[str]) -> dict[str, TopicMetadata]:
        """Waits until these topics have leaders, then returns all topics. A topic without leaders cannot be used."""
        for _ in range(int(3 * _ANSWER_SECONDS / _LOOK_SECONDS)):
            existing = self.existing()
            if all(
                name in existing and all(p.leader >= 0 for p in existing[name].partitions.values()) for name in names
            ):
                return existing
            time.sleep(_LOOK_SECONDS)
        raise ServerMissing(
            f"Kafka at {self._site.servers} found no leaders for {', '.join(names)}: see the brokers' logs"
        )


def _config_differences(name: str, actual: Mapping[str, str], wanted: Mapping[str, str]) -> Iterator[SettingMismatch]:
    """The settings that are weaker than wanted. More copies in sync or a longer retention are no difference."""
    for setting, value in wanted.items():
        present = actual.get(setting, value)
        if present != value and not (setting in _AT_LEAST and _amount(present) >= _amount(value)):
            yield SettingMismatch(name, setting, present, value, loses=setting in _LOSING)


def _amount(text: str) -> float:
    """A number of a configuration; -1 is without bound."""
    return float("inf") if text == "-1" else float(text)


def _topic_config(days: int | None) -> dict[str, str]:
    return {
        "retention.ms": str(-1 if days is None else days * DAY_MS),
        "cleanup.policy": "delete",
        # The log's own clock, because a producer's may be wrong. Latency is measured from this time.
        "message.timestamp.type": "LogAppendTime",
        "max.message.bytes": str(MAX_RECORD_BYTES),
        # A broker that was away must not become the leader without the records that it missed.
        "unclean.leader.election.enable": "false",
    }


def change_config(admin: AdminClient, name: str, config: Mapping[str, str]) -> None:
    """Sets what settings may have changed since the topic was created. A refusal is a warning: the topic works as it is."""
    entries = [ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET) for key, value in config.items()]
    resource = ConfigResource(ResourceType.TOPIC, name, incremental_configs=entries)
    try:
        for altered in admin.incremental_alter_configs([resource]).values():
            altered.result(timeout=3 * _ANSWER_SECONDS)
    except KafkaException as error:
        _log.warning("topic_not_changed", topic=name, reason=error.args[0].str())


def _answers_config(partitions: int, answers: AnswerRetention) -> dict[str, str]:
    size = max(answers.mebibytes * 1_048_576 // partitions, _SMALLEST_SEGMENT)
    return {
        "retention.ms": str(int(answers.days * DAY_MS)),
        "retention.bytes": str(size),
        # Kafka removes whole segments, and never the one that it writes.
        "segment.bytes": str(max(size // 8, _SMALLEST_SEGMENT)),
        "segment.ms": str(int(answers.days * DAY_MS / 7)),
    }


def _check_created(name: str, created: Future[None]) -> None:
    try:
        created.result(timeout=3 * _ANSWER_SECONDS)
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise ConfigurationInvalid(
                f"Kafka refused to create the topic {name} ({error.args[0].str()}): run `freshet cluster init` as a user who may"
            ) from error


def _check_partitions(name: str, existing: Mapping[str, TopicMetadata], partitions: int) -> None:
    count = len(existing[name].partitions)
    if count != partitions:
        raise ConfigurationInvalid(
            f"the topic {name} has {count} partitions, not {partitions}: set FRESHET_PARTITIONS to "
            f"{count}, or replay the log into a new one under another FRESHET_PREFIX"
        )
