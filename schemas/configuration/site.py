"""Names of one site on shared servers. Its topics, keys and keyspace have a common prefix."""

from __future__ import annotations

import re
from typing import Final

DEFAULT_SITE: Final = "freshet"


def topic_prefix(site: str = DEFAULT_SITE) -> str:
    """The prefix of a topic's name on Kafka: ``freshet.events``."""
    return f"{site}."


def key_prefix(site: str = DEFAULT_SITE) -> str:
    """The prefix of a key in Redis: ``freshet:{p3}:users``."""
    return f"{site}:"


def keyspace(site: str = DEFAULT_SITE) -> str:
    """The site's Cassandra keyspace: letters, digits and underscores, at most 48."""
    return re.sub(r"[^a-zA-Z0-9_]", "_", site)[:48].lower()
