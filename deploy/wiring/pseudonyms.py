"""Checks that a process has the pepper of its site: with another one, every person would become somebody else."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from deploy.wiring.dependencies import Dependencies, open_dependencies
from deploy.wiring.server_wait import say_while_waiting, wait_for_servers
from schemas.errors import ConfigurationInvalid, FreshetError, TopicMissing
from schemas.http.settings import HttpSettings
from schemas.keys import UNLINKED_SESSION
from schemas.log import topics
from schemas.values.pseudonyms import Pseudonyms, is_pseudonym

_CHECK: Final = "pseudonyms"
"""The document with the check of the site's pepper. Without one, the site keeps ids as they are."""
_LOOKED_AT: Final = 100
"""Records of a partition that are looked at where the check is missing."""
_NONE_SET: Final = "this site keeps pseudonyms in place of ids: set FRESHET_ID_PEPPER_FILE to the file with its pepper"
_CHANGED: Final = (
    "FRESHET_ID_PEPPER is not the pepper of this site, so nobody would be found: set the one that the site began with;"
    " another pepper needs a new site"
)
_TOO_LATE: Final = (
    "this site keeps ids as they are already, so FRESHET_ID_PEPPER cannot be set any more: a pepper is for a new site,"
    " before its first event or user"
)


def check_pepper(pseudonyms: Pseudonyms | None, dependencies: Dependencies) -> None:
    """Compares the pepper with that of the site, and notes it on a new one.

    A site whose check was lost with its store is recognised by its log. Raises ConfigurationInvalid if they differ,
    StoreUnavailable, LogUnavailable.
    """
    noted = (dependencies.documents.read(_CHECK) or b"").decode()
    check = "" if pseudonyms is None else pseudonyms.check
    if noted == check:
        return
    if noted:
        raise ConfigurationInvalid(_CHANGED if check else _NONE_SET)
    if _holds_plain_ids(dependencies):
        raise ConfigurationInvalid(_TOO_LATE)
    dependencies.documents.write(_CHECK, check.encode())


def require_pepper(
    settings: HttpSettings, process: str, refused: Callable[[FreshetError], None] = lambda _: None
) -> None:
    """Checks the pepper of a process before it serves; waits for the stores if it has one. Raises ConfigurationInvalid.

    A process without a pepper serves meanwhile. ``refused`` is called if its site has one.
    """
    attempt = partial(_attempt, settings)
    if settings.pseudonyms is None:
        say_while_waiting(attempt, process, refused)
    else:
        wait_for_servers(attempt, process)


def _attempt(settings: HttpSettings) -> None:
    with open_dependencies(settings) as dependencies:
        check_pepper(settings.pseudonyms, dependencies)


def _holds_plain_ids(dependencies: Dependencies) -> bool:
    """True if one of the first records of a partition has an id that is no pseudonym."""
    _ = dependencies.writer  # the embedded log's writer makes the file that its reader needs
    reader = dependencies.reader
    try:
        return any(
            not is_pseudonym(record.key.decode("utf-8", "replace"))
            for topic in (topics.EVENTS, topics.USERS)
            for partition in range(reader.partitions(topic))
            for record in reader.read(topic, partition, 0, _LOOKED_AT)
            if record.value is not None and not record.key.startswith(UNLINKED_SESSION.encode())
        )
    except TopicMissing:
        return False
