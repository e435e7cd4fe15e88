"""What each process may do at the servers: no more than docs/security.md says, and this test runs with."""

from __future__ import annotations

from typing import Final

from schemas.log import topics

READ: Final = ("READ", "DESCRIBE", "DESCRIBE_CONFIGS")
WRITE: Final = ("WRITE", "DESCRIBE", "DESCRIBE_CONFIGS")
LOOK: Final = ("DESCRIBE", "DESCRIBE_CONFIGS")

KAFKA: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "collector": {
        **dict.fromkeys(topics.ALL, LOOK),
        **dict.fromkeys((*topics.FACTS, topics.AUDIT, topics.KEY_USES), WRITE),
        topics.ACCESS: (*READ, "WRITE"),
    },
    "worker": {
        **dict.fromkeys(topics.ALL, LOOK),
        **dict.fromkeys((*topics.FACTS, topics.ACCESS), READ),
        topics.DEADLETTERS: WRITE,
    },
    "api": {
        **dict.fromkeys(topics.ALL, LOOK),
        topics.ACCESS: READ,
        topics.ANSWERS: WRITE,
        topics.KEY_USES: WRITE,
    },
    "trainer": {**dict.fromkeys(topics.ALL, LOOK), **dict.fromkeys(topics.FACTS, READ), topics.MODELS: WRITE},
}
"""Operations on each topic, by process."""

REDIS: Final = {
    "worker": "~{site}:* +@read +@write +eval +ping +config|get +cluster|slots +command",
    "api": "~{site}:* +@read +eval +ping +cluster|slots +command (~{site}:nonce:* +set)",
    "collector": "~{site}:nonce:* +set +ping +cluster|slots +command",
}
"""Rules of each user. Whoever may EVAL but not @write runs scripts that only read."""

CASSANDRA: Final = {"trainer": ("SELECT", "MODIFY"), "api": ("SELECT",)}
"""Permissions on the site's keyspace."""
