"""What the Kafka adapters promise without a broker, and of topics with one."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from schemas.clock_skew import SAMPLES, ClockSkew
from schemas.configuration.addresses import AnswerRetention
from schemas.configuration.durability import Durability
from schemas.errors import ConfigurationInvalid, LogBusy, LogUnavailable, ServerMissing
from schemas.log import topics
from schemas.log.records import LogEntry

NO_SERVER = "127.0.0.1:1"
ENTRY = LogEntry(b"user1", b"0123456789")

kafka_log = pytest.importorskip("adapters.kafka.log")
kafka_skew = pytest.importorskip("adapters.kafka.skew")
kafka_topics = pytest.importorskip("adapters.kafka.topics")


@pytest.fixture
def writer_of():
    """Writers, closed at the end of the test."""
    opened = []

    def make(*args, **kwargs):
        opened.append(kafka_log.KafkaLogWriter(*args, **kwargs))
        return opened[-1]

    yield make
    for writer in opened:
        writer.close()


def test_a_full_queue_is_busy_at_once_and_takes_nothing(writer_of):
    writer = writer_of(NO_SERVER, max_in_flight=3, delivery_seconds=1.0)
    first = writer.append(topics.EVENTS, [ENTRY, ENTRY])
    with pytest.raises(LogBusy):
        writer.append(topics.EVENTS, [ENTRY, ENTRY])
    third = writer.append(topics.EVENTS, [ENTRY])
    assert len(first.result(timeout=20)) == 2
    assert len(third.result(timeout=20)) == 1


def test_too_many_bytes_are_busy_too(writer_of):
    writer = writer_of(NO_SERVER, max_bytes=100, delivery_seconds=1.0)
    with pytest.raises(LogBusy):
        writer.append(topics.EVENTS, [LogEntry(b"k", b"x" * 100)])


def test_entries_that_no_broker_confirms_are_unavailable_each_and_make_room(writer_of):
    writer = writer_of(NO_SERVER, max_in_flight=2, delivery_seconds=1.0)
    began = time.monotonic()
    results = writer.append(topics.EVENTS, [ENTRY, ENTRY]).result(timeout=20)
    assert [type(result) for result in results] == [LogUnavailable, LogUnavailable]
    assert time.monotonic() - began < 10
    assert len(writer.append(topics.EVENTS, [ENTRY, ENTRY]).result(timeout=20)) == 2


def test_an_append_of_nothing_is_settled_at_once(writer_of):
    assert writer_of(NO_SERVER).append(topics.EVENTS, []).result(timeout=1) == []


def test_a_closed_writer_takes_nothing():
    writer = kafka_log.KafkaLogWriter(NO_SERVER)
    writer.close()
    with pytest.raises(LogUnavailable):
        writer.append(topics.EVENTS, [ENTRY])


def test_an_entry_that_kafka_would_not_take_fails_alone(writer_of):
    writer = writer_of(NO_SERVER, delivery_seconds=1.0)
    too_large = LogEntry(b"k", b"x" * (kafka_log.MAX_RECORD_BYTES + 1_000))
    [result] = writer.append(topics.EVENTS, [too_large]).result(timeout=20)
    assert isinstance(result, LogUnavailable)


class ReportWithoutOffset:
    """The delivery report of a retry that the broker recognised as a duplicate."""

    def partition(self):
        return 3

    def offset(self):
        return None


def test_an_entry_whose_offset_kafka_does_not_report_is_not_confirmed():
    reports = kafka_log._DeliveryReports(1, lambda: None, lambda confirmed: None)
    reports.reported(0, None, ReportWithoutOffset())
    [result] = reports.future.result(timeout=1)
    assert isinstance(result, LogUnavailable)
    assert "same event_id" in str(result)


def test_a_missing_kafka_is_one_sentence_that_names_the_setting():
    with pytest.raises(ServerMissing, match="FRESHET_KAFKA"):
        kafka_log.create_topics(NO_SERVER)


def test_a_reader_without_kafka_is_unavailable():
    reader = kafka_log.KafkaLogReader(NO_SERVER, answer_seconds=0.5)
    with pytest.raises(LogUnavailable):
        reader.bounds(topics.EVENTS, 0)
    with pytest.raises(LogUnavailable):
        reader.log_id(topics.EVENTS)
    reader.close()


@pytest.mark.stack
def test_topics_are_made_once_and_their_number_of_partitions_is_held(kafka_servers, site):
    prefix = f"{site}."
    kafka_log.create_topics(kafka_servers, prefix, 3)
    kafka_log.create_topics(kafka_servers, prefix, 3)
    reader = kafka_log.KafkaLogReader(kafka_servers, prefix)
    assert {topic: reader.partitions(topic) for topic in topics.ALL} == dict.fromkeys(topics.ALL, 3)
    reader.close()
    with pytest.raises(ConfigurationInvalid, match="3 partitions, not 4"):
        kafka_log.create_topics(kafka_servers, prefix, 4)


@pytest.mark.stack
def test_a_topic_that_may_lose_what_was_accepted_is_refused_unless_the_site_accepts_that(kafka_servers, site):
    from confluent_kafka.admin import AdminClient, NewTopic

    prefix = f"{site}."
    admin = AdminClient({"bootstrap.servers": kafka_servers})
    made = admin.create_topics(
        [NewTopic(f"{prefix}{topics.EVENTS}", 2, 1, config={"cleanup.policy": "compact", "retention.ms": "60000"})]
    )
    made[f"{prefix}{topics.EVENTS}"].result(timeout=20)
    with pytest.raises(ConfigurationInvalid, match=f"{prefix}events has cleanup.policy=compact, not delete: records"):
        kafka_log.create_topics(kafka_servers, prefix, 2)
    kafka_log.create_topics(kafka_servers, prefix, 2, durability=Durability("single"))
    wanted = kafka_topics.SiteTopics(kafka_servers, prefix, 2)
    differences = [(d.topic, d.setting, d.loses) for d in kafka_topics.topic_differences(wanted)]
    assert (f"{prefix}events", "cleanup.policy", True) in differences
    assert (f"{prefix}events", "retention.ms", False) in differences
    assert {topic for topic, *_ in differences} == {f"{prefix}events"}


@pytest.mark.stack
def test_more_copies_than_there_are_brokers_are_refused_before_anything_is_made(kafka_servers, site):
    with pytest.raises(ConfigurationInvalid, match="has 1 broker, too few for 3 copies of each topic"):
        kafka_log.create_topics(kafka_servers, f"{site}.", durability=Durability("replicated"))
    assert kafka_topics.topic_partitions(kafka_servers, f"{site}.") == {}


@pytest.mark.stack
def test_answers_are_kept_as_long_as_the_settings_say_also_on_a_topic_that_exists(kafka_servers, site):
    from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

    prefix, admin = f"{site}.", AdminClient({"bootstrap.servers": kafka_servers})

    def described() -> dict[str, str]:
        resource = ConfigResource(ResourceType.TOPIC, f"{prefix}{topics.ANSWERS}")
        [entries] = admin.describe_configs([resource]).values()
        return {name: entry.value for name, entry in entries.result(timeout=20).items()}

    for days, mebibytes in ((7.0, 1_024), (2.0, 256)):
        kafka_log.create_topics(kafka_servers, prefix, 2, answers=AnswerRetention(days, mebibytes))
        deadline = time.monotonic() + 20  # A broker hears of a change a moment after the controller.
        while (config := described())["retention.ms"] != str(int(days * 86_400_000)):
            assert time.monotonic() < deadline, config
            time.sleep(0.1)
        assert config["retention.bytes"] == str(mebibytes * 1_048_576 // 2)
        assert int(config["segment.bytes"]) <= mebibytes * 1_048_576 // 16


@pytest.mark.stack
def test_a_topic_made_anew_is_another_log_and_the_writer_goes_on(kafka_servers, site, writer_of):
    from confluent_kafka.admin import AdminClient

    prefix = f"{site}."
    kafka_log.create_topics(kafka_servers, prefix)
    reader, writer = kafka_log.KafkaLogReader(kafka_servers, prefix), writer_of(kafka_servers, prefix)
    for _ in range(3):
        writer.append(topics.EVENTS, [ENTRY]).result(timeout=20)
    old = reader.log_id(topics.EVENTS)
    admin, name = AdminClient({"bootstrap.servers": kafka_servers, "log_level": 0}), f"{prefix}{topics.EVENTS}"
    admin.delete_topics([name])[name].result(timeout=20)
    until = time.monotonic() + 20
    while name in admin.list_topics(timeout=5).topics and time.monotonic() < until:
        time.sleep(0.2)
    kafka_log.create_topics(kafka_servers, prefix)
    assert reader.log_id(topics.EVENTS) != old
    until = time.monotonic() + 40
    landed = writer.append(topics.EVENTS, [ENTRY]).result(timeout=20)[0]
    while isinstance(landed, Exception) and time.monotonic() < until:
        landed = writer.append(topics.EVENTS, [ENTRY]).result(timeout=20)[0]
    assert not isinstance(landed, Exception), landed
    found = reader.read(topics.EVENTS, landed.partition, landed.offset, 10)
    assert [record.value for record in found] == [ENTRY.value]
    reader.close()


def test_a_log_that_is_known_to_be_silent_fails_at_once_and_keeps_nothing(writer_of):
    writer = writer_of(NO_SERVER, delivery_seconds=1.0, max_in_flight=1)
    writer.append(topics.EVENTS, [ENTRY]).result(timeout=20)
    deadline = time.monotonic() + 20
    while not writer._silence.known:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    began = time.monotonic()
    results = [writer.append(topics.EVENTS, [ENTRY]).result(timeout=1) for _ in range(100)]
    assert time.monotonic() - began < 1
    assert all("does not answer" in str(result) for [result] in results)


@pytest.mark.stack
@pytest.mark.parametrize("ahead", [0.0, 600.0, -600.0])
def test_how_far_a_clock_is_ahead_of_the_brokers_is_measured_at_confirmed_appends(
    kafka_servers, site, writer_of, monkeypatch, ahead
):
    skew, clock = ClockSkew(), time.time
    kafka_log.create_topics(kafka_servers, f"{site}.", 2)
    writer = writer_of(kafka_servers, prefix=f"{site}.", partitions=2)
    monkeypatch.setattr(kafka_skew, "CLOCK_SKEW", skew)
    monkeypatch.setattr(kafka_skew, "SAMPLE_SECONDS", 0.0)
    monkeypatch.setattr(kafka_skew.time, "time", lambda: clock() + ahead)
    for number in range(2 * SAMPLES):
        [outcome] = writer.append(topics.EVENTS, [LogEntry(b"k", str(number).encode())]).result(60)
        assert not isinstance(outcome, Exception)
    assert abs(skew.seconds - ahead) < 2.0


def test_a_cluster_without_a_broker_yet_is_waited_for_and_is_no_wrong_setting(monkeypatch):
    class JustBegun:
        def list_topics(self, timeout):
            return SimpleNamespace(topics={}, brokers={})

    monkeypatch.setattr(kafka_topics, "Connection", lambda *_: SimpleNamespace(admin=JustBegun()))
    with pytest.raises(ServerMissing, match="no broker is registered yet"):
        kafka_topics.create_topics(NO_SERVER, "freshet.", 2)


def test_a_reader_opens_new_connections_after_fifteen_seconds_of_failures(monkeypatch):
    now, consumers = [1_000.0], []

    class DeadConsumer:
        """Fails at every call, whatever the broker does."""

        def __init__(self, _settings):
            self.closed = False
            consumers.append(self)

        def list_topics(self, _name, timeout):
            raise kafka_log.KafkaException(kafka_log.KafkaError(kafka_log.KafkaError._TRANSPORT))

        def close(self):
            self.closed = True

    monkeypatch.setattr(kafka_log, "Consumer", DeadConsumer)
    monkeypatch.setattr(kafka_log.time, "monotonic", lambda: now[0])
    reader = kafka_log.KafkaLogReader(NO_SERVER)
    for seconds, opened in ((0, 1), (14, 1), (1, 2), (14, 2), (1, 3)):
        now[0] += seconds
        with pytest.raises(LogUnavailable, match="Kafka does not answer"):
            reader.partitions(topics.EVENTS)
        assert len(consumers) == opened
    assert [consumer.closed for consumer in consumers] == [True, True, False]
    reader.close()
