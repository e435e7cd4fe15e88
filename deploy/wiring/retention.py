"""Carries out the retention by event type on the dependencies of a stack."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final, NamedTuple

import structlog

from adapters.registry import adapter
from deploy.wiring.dependencies import Dependencies
from deploy.wiring.training import jobs_of
from ingest.privacy.eraser import LEASE as ERASURES
from nearline.recovery.rebuild import Rebuilt
from nearline.recovery.rebuild import rebuild as rebuild_signals
from nearline.recovery.whole_log import WholeLog
from offline.data.retention import expire, held_by
from offline.jobs.runs import Running, leased
from schemas.configuration.settings import SharedSettings
from schemas.log import topics
from schemas.snapshots import delete_snapshots

_UNFINISHED: Final = "retention"
"""The document that says whether events were removed, and the signals were not rebuilt since."""
_TRUE: Final = b"true"
_log = structlog.get_logger(__name__)


class Expired(NamedTuple):
    """The result of a run."""

    removed: Counter[str]
    """Removed records by type, in the archive and, embedded, in the log."""
    replaced: int
    """Partitions whose signals were folded anew without them."""
    problems: tuple[str, ...]
    """Why partitions could not be folded anew."""


def expire_in(
    dependencies: Dependencies, settings: SharedSettings, days: Mapping[str, float], running: Running
) -> Expired:
    """Removes what is older than its type is kept, and folds the signals again without it.

    Raises LeaseTaken while an erasure rewrites the same files, OSError, LogUnavailable, StoreUnavailable.
    """
    jobs, documents = jobs_of(dependencies), dependencies.documents
    was_unfinished = documents.read(_UNFINISHED) == _TRUE
    running.progress("removing events", 0, 0)
    # Written first: signals have to be rebuilt also if this process ends in between.
    documents.write(_UNFINISHED, _TRUE)
    with leased(jobs, ERASURES, running):
        removed = _remove(dependencies, settings, days, jobs.clock())
    _log.info("events_expired", **removed)
    rebuilt = _fold_anew(dependencies, jobs.clock(), running) if removed or was_unfinished else []
    problems = tuple(check.problem for one in rebuilt for check in one.checks if check.problem)
    documents.write(_UNFINISHED, b"")
    return Expired(removed, sum(one.replaced for one in rebuilt), problems)


def _remove(
    dependencies: Dependencies, settings: SharedSettings, days: Mapping[str, float], now: float
) -> Counter[str]:
    log, archive = settings.log_address, settings.archive_address
    in_log, in_archive = adapter(log).rewritable(log)[:1], adapter(archive).rewritable(archive)
    if in_log:
        return expire([*in_log, *in_archive], days, now)
    # What Kafka holds, a rebuild would read from there: it leaves both at once, when the topic's retention passes.
    return expire(in_archive, days, now, held_by(dependencies.reader))


def _fold_anew(dependencies: Dependencies, now: float, running: Running) -> list[Rebuilt]:
    _delete_snapshots(dependencies, now)
    reader, rebuilt = WholeLog(dependencies.reader, dependencies.archive), list[Rebuilt]()
    for one in rebuild_signals(reader, dependencies.signals):
        rebuilt.append(one)
        running.progress("folding signals anew", len(rebuilt), 0)
    return rebuilt


def _delete_snapshots(dependencies: Dependencies, now: float) -> None:
    """Deletes the snapshots of values that held the events: a worker that lost its values would bring them back."""
    if dependencies.snapshots is not None:
        for partition in range(dependencies.reader.partitions(topics.EVENTS)):
            delete_snapshots(dependencies.snapshots, topics.EVENTS, partition, now)
