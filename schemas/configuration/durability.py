"""How many copies the servers of a cluster keep, so that one machine may be lost and nothing that was accepted is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, Literal, NamedTuple

from schemas.errors import ConfigurationInvalid

Mode = Literal["auto", "replicated", "single"]

EVENTS_DAYS: Final = 30
USERS_DAYS: Final = 90
COPIES: Final = 3
IN_SYNC: Final = 2
"""Copies that have a record before the collector answers 202. One of them may be lost at once."""
_LOOPBACK: Final = re.compile(r"\[?(localhost|127\.[0-9.]+|::1)\]?(:[0-9]+)?", re.IGNORECASE)
_CENTERS: Final = re.compile(r"[A-Za-z0-9_.-]+:[1-9][0-9]?(,[A-Za-z0-9_.-]+:[1-9][0-9]?)*")


class Durability(NamedTuple):
    """What the site's settings say about copies."""

    mode: Mode = "auto"
    """``auto``: ``single`` on servers of this machine if there are fewer than three, else ``replicated``."""
    topic_replication: int = 0
    """Copies of each topic; 0 is what the mode says."""
    min_insync_replicas: int = 0
    """Copies that must have a record before it counts as accepted; 0 is what the mode says."""
    keyspace_replication: str = ""
    """``3``, or ``center:copies`` for each data center. Empty is what the mode says."""
    events_days: int = EVENTS_DAYS
    allow_eviction: bool = False
    users_days: int = USERS_DAYS
    """Days that the log keeps changes of users' attributes; 0 is for ever."""


AUTOMATIC: Final = Durability()


class Copies(NamedTuple):
    """Copies of a topic."""

    replication: int
    min_insync: int


def is_single(durability: Durability, nodes: int, hosts: Iterable[str]) -> bool:
    """True if one copy is enough here: the setting says so, or these are fewer than three servers of this machine."""
    if durability.mode != "auto":
        return durability.mode == "single"
    return nodes < COPIES and all(_LOOPBACK.fullmatch(host.strip()) for host in hosts)


def topic_copies(durability: Durability, brokers: int, servers: str) -> Copies:
    """The copies of each topic; raises ConfigurationInvalid if the brokers cannot keep them, or if they are too few."""
    single = is_single(durability, brokers, servers.split(","))
    replication = durability.topic_replication or (1 if single else COPIES)
    # One copy fewer than there are: one broker may be away, and records are accepted all the same.
    min_insync = durability.min_insync_replicas or (1 if single else max(IN_SYNC, replication - 1))
    if replication > brokers:
        raise ConfigurationInvalid(
            f"Kafka at {servers} has {brokers} broker{'s' * (brokers != 1)}, too few for {replication} copies of each topic: "
            f"add brokers, or set FRESHET_DURABILITY=single, and what was accepted is lost with the disk of one broker"
        )
    if min_insync > replication:
        raise ConfigurationInvalid(
            f"FRESHET_MIN_INSYNC_REPLICAS={min_insync} is more than the {replication} copies of FRESHET_TOPIC_REPLICATION: lower it"
        )
    if not single and min_insync < IN_SYNC:
        raise ConfigurationInvalid(
            "with fewer than two copies in sync, what was accepted is lost with the disk of one broker: raise "
            "FRESHET_MIN_INSYNC_REPLICAS to 2, or set FRESHET_DURABILITY=single to accept that"
        )
    return Copies(replication, min_insync)


def keyspace_copies(durability: Durability, nodes: int, hosts: str) -> dict[str, int]:
    """Copies of the keyspace by data center; ``replication_factor`` stands for every data center.

    Raises ConfigurationInvalid.
    """
    text = durability.keyspace_replication
    if text and not text.isdigit():
        return _by_center(text)
    single = is_single(durability, nodes, hosts.split(","))
    copies = int(text) if text else (1 if single else COPIES)
    if copies > nodes:
        raise ConfigurationInvalid(
            f"Cassandra at {hosts} has {nodes} node{'s' * (nodes != 1)}, too few for {copies} copies of the keyspace: add nodes, "
            "or set FRESHET_DURABILITY=single, and models are lost with the disk of one node until the next training"
        )
    return {"replication_factor": max(copies, 1)}


def keyspace_fault(durability: Durability, replication: Mapping[str, str], nodes: int, hosts: str) -> str | None:
    """Says that a keyspace which exists has fewer copies than the settings want; None if it has enough.

    ``replication`` is what Cassandra says of it: the class, and the copies by data center. Raises ConfigurationInvalid.
    """
    wanted = min(keyspace_copies(durability, nodes, hosts).values())
    copies = [int(value) for name, value in replication.items() if name != "class"]
    if copies and min(copies) >= wanted:
        return None
    return f"the keyspace has {min(copies, default=1)} copies, not {wanted}"


def _by_center(text: str) -> dict[str, int]:
    if not _CENTERS.fullmatch(text):
        raise ConfigurationInvalid(
            f"FRESHET_KEYSPACE_REPLICATION='{text}' is neither a number nor of the form dc1:3,dc2:3"
        )
    pairs = (pair.rpartition(":") for pair in text.split(","))
    return {center: int(copies) for center, _, copies in pairs}
