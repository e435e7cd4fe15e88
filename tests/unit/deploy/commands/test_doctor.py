"""The checks, each on what it is handed."""

import pytest

from deploy.commands.checks import servers, setup
from deploy.commands.checks.setup import ok
from deploy.commands.common import require_data
from deploy.config import CommandSettings
from schemas.configuration.addresses import SQLITE, Address
from schemas.errors import ConfigurationInvalid, LogUnavailable
from schemas.log import topics
from schemas.log.fence import Fence


@pytest.mark.parametrize(("version", "state"), [((3, 10), "broken"), ((3, 11), "ok"), ((4, 0), "ok")])
def test_python_is_new_enough_from_3_11_on(version, state):
    assert setup.python(version).state == state


def test_a_check_whose_subject_does_not_answer_is_broken_with_that_sentence():
    def look():
        raise LogUnavailable("the log is away: start it")

    assert setup.run_check("log", look) == setup.Check("log", "broken", "the log is away: start it")


def test_a_driver_that_is_not_installed_says_how_to_get_it():
    def look():
        raise ModuleNotFoundError("no", name="confluent_kafka")

    check = setup.run_check("Kafka", look)
    assert (check.state, check.found) == ("broken", "confluent_kafka is not installed")
    assert "make dev" in check.advice


def test_no_java_is_a_note_for_models_can_be_trained_without(tmp_path):
    assert setup.java(lambda: str(tmp_path / "none")).state == "note"


@pytest.mark.parametrize(
    ("said", "state"), [("17.0.15", "ok"), ("21", "ok"), ("1.8.0_402", "note"), ("11.0.2", "note")]
)
def test_java_is_new_enough_from_17_on(tmp_path, said, state):
    program = tmp_path / "java"
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{said}\"' >&2\n")
    program.chmod(0o755)
    assert setup.java(lambda: str(program)).state == state


def test_topics_are_right_only_all_there_with_the_number_of_partitions():
    right = dict.fromkeys(topics.ALL, 8)
    assert servers.check_topics(right, 8, "here").state == "ok"
    assert "answers has 3 partitions" in servers.check_topics({**right, "answers": 3}, 8, "here").found
    del right["models"]
    lacking = servers.check_topics(right, 8, "here")
    assert (lacking.state, lacking.found) == ("broken", "here lacks the topics models")
    assert "cluster init" in lacking.advice


@pytest.mark.parametrize(("policy", "state"), [("noeviction", "ok"), ("allkeys-lru", "broken"), (None, "note")])
def test_redis_must_not_evict(policy, state):
    assert servers.check_policy(policy, "here").state == state


def test_tables_are_those_of_the_schema():
    right = {"versions", "model_values", "lists"}
    assert servers.check_tables(right | {"other"}, "shop", "here").state == "ok"
    assert "lists" in servers.check_tables(right - {"lists"}, "shop", "here").found
    assert "the keyspace 'shop'" in servers.check_tables(set(), "shop", "here").found


def test_servers_that_are_away_are_broken_and_no_password_is_shown():
    away = CommandSettings(kafka="127.0.0.1:1", redis="redis://me:secret@127.0.0.1:1/0", cassandra="127.0.0.1:1")
    checks = [setup.run_check("Redis", lambda: servers.redis(away)), servers.cassandra(away)]
    assert [check.state for check in checks] == ["broken", "broken"]
    assert "secret" not in str(checks)


class _Partitions:
    """A log of so many partitions of ten records each, and fences of every signal at one place of one log."""

    def __init__(self, partitions: int, fence: Fence) -> None:
        self._partitions, self._fence = partitions, fence

    def log_id(self, topic: str) -> str:
        return "this log"

    def partitions(self, topic: str) -> int:
        return self._partitions

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        return 0, 10

    def fence(self, partition: int, signal: str) -> Fence:
        return self._fence


@pytest.mark.parametrize(
    ("fence", "found"),
    [
        (Fence("another log", 4), "3 partitions follow another log"),
        (Fence("this log", 10), "3 partitions are ahead of the log, of which an older copy was put back"),
    ],
)
def test_signals_that_cannot_follow_this_log_are_counted_by_partition(fence, found):
    log = _Partitions(3, fence)
    check = setup.signals(topics.EVENTS, log, log, followed=False)
    assert (check.state, check.found) == ("broken", found)


def test_files_of_sqlite_are_looked_for_only_where_the_log_is_one_of_sqlite(tmp_path):
    states = {
        scheme: [check.state for check in setup.of_folder(tmp_path, Address(scheme, str(tmp_path)))]
        for scheme in (SQLITE, "lines")
    }
    assert states[SQLITE][-1] == "broken"
    assert "broken" not in states["lines"]


def test_a_command_that_reads_requires_files_only_of_a_log_of_sqlite(tmp_path):
    require_data(CommandSettings(data=tmp_path, log="lines://anywhere"))
    with pytest.raises(ConfigurationInvalid, match=f"no Freshet data in {tmp_path / 'elsewhere'}"):
        require_data(CommandSettings(data=tmp_path, log=f"sqlite://{tmp_path / 'elsewhere'}"))


def of_topic(setting: str, *, loses: bool):
    kafka_topics = pytest.importorskip("adapters.kafka.topics")
    return kafka_topics.SettingMismatch("shop.events", setting, "1", "2", loses=loses)


def test_topics_that_may_lose_what_was_accepted_are_broken_and_others_are_a_note():
    present = ok("Kafka", "here")
    losing, other = of_topic("min.insync.replicas", loses=True), of_topic("retention.ms", loses=False)
    assert servers.check_differences([], present) is present
    assert servers.check_differences([other], present).state == "note"
    check = servers.check_differences([other, losing], present)
    assert check.state == "broken"
    assert "shop.events has min.insync.replicas=1, not 2" in check.found


def test_a_redis_without_its_file_is_a_note():
    present = ok("Redis", "here")
    assert servers.check_file(["yes", "no"], present).state == "note"
    assert servers.check_file(["yes", None], present) is present


@pytest.mark.parametrize(
    ("replication", "nodes", "state"),
    [
        ({"class": "NetworkTopologyStrategy", "dc1": "3"}, 3, "ok"),
        ({"class": "SimpleStrategy", "replication_factor": "1"}, 3, "broken"),
        ({"class": "SimpleStrategy", "replication_factor": "1"}, 1, "ok"),
    ],
)
def test_a_keyspace_with_fewer_copies_than_the_cluster_can_keep_is_broken(replication, nodes, state):
    settings = CommandSettings(cassandra="127.0.0.1:9042")
    assert servers.check_keyspace(replication, nodes, settings, ok("Cassandra", "here")).state == state
