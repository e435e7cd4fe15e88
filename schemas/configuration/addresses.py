"""Addresses of logs and stores, as URLs: ``kafka://host:9092``, ``sqlite://data/games``, ``redis://host:6379/0``."""

from __future__ import annotations

from typing import Final, NamedTuple

from schemas.configuration.durability import AUTOMATIC, Durability
from schemas.configuration.secrets import masked
from schemas.configuration.server_access import NO_ACCESS, ServerAccess
from schemas.configuration.site import DEFAULT_SITE
from schemas.errors import ConfigurationInvalid
from schemas.log.topics import DEFAULT_PARTITIONS

KAFKA: Final = "kafka"
REDIS: Final = "redis"
"""Every scheme of Redis begins so: `rediss` with TLS, `redis+sentinel`, `redis+cluster`."""
CASSANDRA: Final = "cassandra"
SQLITE: Final = "sqlite"
"""The scheme of SQLite files in a folder. An embedded stack uses it by default."""
_SEPARATOR: Final = "://"


class AnswerRetention(NamedTuple):
    """How long decision records are kept: whichever bound is met first."""

    days: float = 7.0
    mebibytes: int = 1_024


class Address(NamedTuple):
    """The parts of a URL, with the site's name and its number of partitions."""

    scheme: str
    """Names the adapter: ``kafka``."""
    location: str
    """Everything after ``://``, in the adapter's own form: hosts and ports, or a folder."""
    site: str = DEFAULT_SITE
    """The site's name, which begins the names of its topics, keys and keyspace."""
    partitions: int = DEFAULT_PARTITIONS
    """Number of partitions of every topic."""
    answers: AnswerRetention = AnswerRetention()
    """How long the log keeps answers."""
    access: ServerAccess = NO_ACCESS
    """Who we are to the server, and how we know it."""
    durability: Durability = AUTOMATIC
    """How many copies the server keeps."""

    def __repr__(self) -> str:
        """The address without its password."""
        return f"Address({masked(self.url)!r}, site={self.site!r}, partitions={self.partitions})"

    @property
    def url(self) -> str:
        """The complete URL. It may contain a password: show ``masked(url)``."""
        return f"{self.scheme}{_SEPARATOR}{self.location}"


def parse_address(
    url: str,
    site: str = DEFAULT_SITE,
    partitions: int = DEFAULT_PARTITIONS,
    answers: AnswerRetention = AnswerRetention(),  # noqa: B008 - a constant
) -> Address:
    """The address that a URL names; raises ConfigurationInvalid."""
    scheme, separator, location = url.partition(_SEPARATOR)
    if not separator or not scheme:
        raise ConfigurationInvalid(
            f"'{masked(url)}' is not an address: write it as scheme://where, such as kafka://host:9092"
        )
    return Address(scheme, location, site, partitions, answers)
