"""How many copies a site keeps on the servers that it has, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.configuration.durability import Copies, Durability, keyspace_copies, keyspace_fault, topic_copies
from schemas.errors import ConfigurationInvalid

HERE = "127.0.0.1:9092"
ELSEWHERE = "kafka-1:9092,kafka-2:9092"


def test_three_brokers_keep_three_copies_and_two_must_have_an_event():
    assert topic_copies(Durability(), 3, ELSEWHERE) == Copies(3, 2)
    assert topic_copies(Durability(), 3, HERE) == Copies(3, 2)


@pytest.mark.parametrize("servers", [HERE, "localhost:1", "[::1]:9092", "127.0.0.2"])
def test_one_broker_of_this_machine_is_enough_for_development(servers):
    assert topic_copies(Durability(), 1, servers) == Copies(1, 1)


def test_too_few_brokers_elsewhere_are_refused_and_the_sentence_says_what_single_gives_up():
    with pytest.raises(ConfigurationInvalid, match=r"has 1 broker, too few for 3 copies.*DURABILITY=single, and what"):
        topic_copies(Durability(), 1, "kafka-1:9092")
    assert topic_copies(Durability("single"), 1, "kafka-1:9092") == Copies(1, 1)


def test_a_cluster_of_this_machine_can_be_held_to_copies():
    with pytest.raises(ConfigurationInvalid, match="too few for 3 copies"):
        topic_copies(Durability("replicated"), 1, HERE)


@pytest.mark.parametrize(
    ("durability", "sentence"),
    [
        (Durability("replicated", 3, 4), "is more than the 3 copies"),
        (Durability("replicated", 3, 1), "MIN_INSYNC_REPLICAS to 2, or set FRESHET_DURABILITY=single"),
        (Durability("replicated", 9), "has 5 brokers, too few for 9 copies"),
        (Durability("single", 9), "has 5 brokers, too few for 9 copies"),
    ],
)
def test_copies_that_lose_events_or_cannot_be_are_refused(durability, sentence):
    with pytest.raises(ConfigurationInvalid, match=sentence):
        topic_copies(durability, 5, ELSEWHERE)


@given(st.builds(Durability, st.sampled_from(["auto", "replicated", "single"]), st.integers(0, 5), st.integers(0, 5)))
def test_whatever_is_set_no_accepted_event_has_one_copy_unless_the_site_says_so(durability):
    try:
        copies = topic_copies(durability, 4, ELSEWHERE)
    except ConfigurationInvalid:
        return
    assert copies.min_insync <= copies.replication <= 4
    assert copies.min_insync >= 2 or durability.mode == "single"


def test_a_keyspace_has_three_copies_where_there_are_three_nodes():
    assert keyspace_copies(Durability(), 3, "a,b,c") == {"replication_factor": 3}
    assert keyspace_copies(Durability(), 1, "127.0.0.1:9042") == {"replication_factor": 1}
    assert keyspace_copies(Durability(keyspace_replication="2"), 3, "a") == {"replication_factor": 2}


def test_copies_may_be_given_by_data_center():
    durability = Durability(keyspace_replication="dc1:3,dc-2:2")
    assert keyspace_copies(durability, 6, "a") == {"dc1": 3, "dc-2": 2}


@pytest.mark.parametrize("text", ["dc1", "dc1:0", "dc1:3;DROP", "'}:3"])
def test_a_replication_that_cannot_be_read_is_refused(text):
    with pytest.raises(ConfigurationInvalid, match="is neither a number nor of the form"):
        keyspace_copies(Durability(keyspace_replication=text), 3, "a")


@pytest.mark.parametrize(
    ("durability", "nodes", "replication", "fault"),
    [
        (Durability(), 3, {"class": "Simple", "replication_factor": "3"}, None),
        (Durability(), 3, {"class": "Simple", "replication_factor": "1"}, "the keyspace has 1 copies, not 3"),
        (Durability("single"), 3, {"class": "Simple", "replication_factor": "1"}, None),
        (Durability(), 4, {"class": "Topology", "dc1": "3", "dc2": "2"}, "the keyspace has 2 copies, not 3"),
    ],
)
def test_a_keyspace_with_fewer_copies_than_wanted_is_named(durability, nodes, replication, fault):
    assert keyspace_fault(durability, replication, nodes, "cassandra:9042") == fault


def test_too_few_nodes_are_refused():
    with pytest.raises(ConfigurationInvalid, match="has 1 node, too few for 3 copies of the keyspace"):
        keyspace_copies(Durability(), 1, "cassandra:9042")
