"""Where a log or a store is, as a URL: ``kafka://host:9092``, ``sqlite://data/games``, ``redis://host:6379/0``."""

from __future__ import annotations

from typing import Final, NamedTuple

from schemas.errors import ConfigurationInvalid
from schemas.log.topics import DEFAULT_PARTITIONS
from schemas.site import DEFAULT_SITE

SQLITE: Final = "sqlite"
"""The scheme of files in a folder: what an embedded stack keeps everything in by default."""
_SEPARATOR: Final = "://"


class Address(NamedTuple):
    """A URL taken apart, with what every log and store of a site needs to know."""

    scheme: str
    """Names the adapter: ``kafka``."""
    location: str
    """Everything after ``://``, in the adapter's own form: hosts and ports, or a folder."""
    site: str = DEFAULT_SITE
    """The site's name: before its topics, keys and keyspace."""
    partitions: int = DEFAULT_PARTITIONS
    """Partitions of every topic."""

    @property
    def url(self) -> str:
        """The whole URL."""
        return f"{self.scheme}{_SEPARATOR}{self.location}"


def parse_address(url: str, site: str = DEFAULT_SITE, partitions: int = DEFAULT_PARTITIONS) -> Address:
    """The address that a URL names; raises ConfigurationInvalid."""
    scheme, separator, location = url.partition(_SEPARATOR)
    if not separator or not scheme:
        raise ConfigurationInvalid(f"'{url}' is not an address: write it as scheme://where, such as kafka://host:9092")
    return Address(scheme, location, site, partitions)
