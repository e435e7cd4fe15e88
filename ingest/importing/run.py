"""Imports a data set into the log: in batches, slowed down by a full queue, resumed where it was killed."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import structlog

from ingest import metrics
from ingest.importing.base import FileRow, Importer, ReadProgress, RowFaults, UserRow, ignore_progress
from ingest.validation import validate
from ingest.validation.fast_path import accept_simple_event
from ingest.validation.validate import Accepted, Policy, Rejection
from schemas.errors import ConfigurationInvalid, LogUnavailable
from schemas.log import topics
from schemas.log.records import LogEntry
from schemas.ports import Clock, LogWriter
from signals.users import DEDUPLICATION

BATCH: Final = 2_000
PER_KEY: Final = DEDUPLICATION // 2
"""Rows of one key in a batch. A batch that was appended but not noted is appended again after a kill: it must not
reach further back than a user's event ids are remembered."""
_DELAYS: Final = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0)
_APPEND_SECONDS: Final = 60.0

_LOG = structlog.get_logger(__name__)


class ImportProgress(msgspec.Struct):
    """How far an import is: when it began, and rows confirmed by the log or refused as malformed, for each topic."""

    fingerprint: str
    began: float
    rows: dict[str, int] = {}
    malformed: int = 0
    done: bool = False


class ProgressFile:
    """Keeps the progress of one data set in a file, replaced whole."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self, fingerprint: str, now: float) -> ImportProgress:
        """What was noted of this very data set; a fresh start for any other. Raises ConfigurationInvalid."""
        try:
            noted = msgspec.json.decode(self._path.read_bytes(), type=ImportProgress)
        except FileNotFoundError:
            return ImportProgress(fingerprint, now)
        except msgspec.DecodeError as error:
            raise ConfigurationInvalid(f"{self._path} is damaged: remove it, and the import begins anew") from error
        return noted if noted.fingerprint == fingerprint else ImportProgress(fingerprint, now)

    def save(self, progress: ImportProgress) -> None:
        """Replace the file, synced first: the log must never be behind what it says."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        beside = self._path.with_suffix(".tmp")
        with beside.open("wb") as file:
            file.write(msgspec.json.encode(progress))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)


class Imported(NamedTuple):
    """What an import did: rows by topic in all and in this run, malformed rows, and the first few of them."""

    dataset: str
    rows: dict[str, int]
    appended: int
    malformed: int
    named: Sequence[str]


class ImportStep(NamedTuple):
    """Told to the progress callback after each batch; ``expected`` is how many rows there are, once that is known."""

    topic: str
    rows: int
    malformed: int
    expected: int | None = None


class ImportDependencies(NamedTuple):
    """What an import needs beside the data set; ``sleep`` waits for a log whose queue is full."""

    writer: LogWriter
    clock: Clock
    sleep: Callable[[float], None]
    policy: Policy = validate.policy()
    log_id: str = ""
    """The log's own id: into another log, a data set is imported from its beginning."""


def run_import(
    importer: Importer,
    parts: ImportDependencies,
    file: ProgressFile,
    report: Callable[[ImportStep], None] = lambda _: None,
    watch: ReadProgress = ignore_progress,
) -> Imported:
    """Append a data set's items, users and events, in this order; one that is done already appends nothing.

    Raises LogUnavailable where the log stays away; the same call then goes on behind the last confirmed batch.
    Also DatasetUnknown (a file is damaged) and ConfigurationInvalid (the progress file is).
    """
    progress = file.load(fingerprint(importer, parts.log_id), parts.clock())
    faults, before = RowFaults(progress.malformed, watch), sum(progress.rows.values())
    if not progress.done:
        for topic, things in _stages(importer, parts, faults):
            faults.expected = None
            _run_stage(topic, things, parts, progress, faults, file, report)
        progress.done = True
        file.save(progress)
    appended = sum(progress.rows.values()) - before
    _LOG.info("import_done", dataset=importer.dataset, rows=progress.rows, malformed=faults.count, appended=appended)
    return Imported(importer.dataset, progress.rows, appended, faults.count, faults.named)


def fingerprint(importer: Importer, log_id: str) -> str:
    """Tells one import from another: the data set's name, its files and their sizes, and the log."""
    files = [(path.name, path.stat().st_size) for path in importer.paths]
    return blake2b(f"{importer.dataset}{files}{log_id}".encode(), digest_size=12).hexdigest()


Take = Callable[[], Accepted]


def _stages(
    importer: Importer, parts: ImportDependencies, faults: RowFaults
) -> Iterator[tuple[str, Iterator[tuple[object, Take]]]]:
    now = validate.utc(parts.clock())
    allowed = parts.policy._replace(types=parts.policy.types | importer.types)
    yield (
        topics.ITEMS,
        ((_named("item", raw), partial(validate.validate_item, raw, now)) for raw in importer.items(faults)),
    )
    yield topics.USERS, ((f"user {row.user_id}", partial(_user, row, now, allowed)) for row in importer.users(faults))
    yield topics.EVENTS, ((_named("event", raw), partial(_event, raw, now, allowed)) for raw in importer.events(faults))


def _named(what: str, raw: dict[str, Any]) -> object:
    """The row's place in its file, where it came from one."""
    return raw.where if isinstance(raw, FileRow) else f"{what} {raw.get(f'{what}_id')}"


def _user(row: UserRow, now: Any, allowed: Policy) -> Accepted:
    return validate.put_user(row.user_id, {"attributes": row.attributes}, now, allowed)


def _event(raw: dict[str, Any], now: Any, allowed: Policy) -> Accepted:
    return accept_simple_event(raw, now, allowed) or validate.validate_event(raw, now, lambda: "", allowed)


def _run_stage(
    topic: str,
    things: Iterator[tuple[object, Take]],
    parts: ImportDependencies,
    progress: ImportProgress,
    faults: RowFaults,
    file: ProgressFile,
    report: Callable[[ImportStep], None],
) -> None:
    done = progress.rows.get(topic, 0)
    # Rows behind the mark were judged in an earlier run, and counted there.
    remaining = islice(things, done, None)
    for count, entries in _batches(remaining, faults):
        _append(parts, topic, entries)
        done += count
        progress.rows[topic], progress.malformed = done, faults.count
        file.save(progress)
        report(ImportStep(topic, done, faults.count, faults.expected))


def _batches(things: Iterator[tuple[object, Take]], faults: RowFaults) -> Iterator[tuple[int, list[LogEntry]]]:
    """Rows consumed and the entries of those that are valid."""
    count, entries, keys = 0, list[LogEntry](), Counter[bytes]()
    for name, take in things:
        count += 1
        try:
            entry = take().entry
        except Rejection as error:
            faults.note(name, str(error))
            continue
        entries.append(entry)
        keys[entry.key] += 1
        if count >= BATCH or keys[entry.key] >= PER_KEY:
            yield count, entries
            count, entries, keys = 0, [], Counter()
    if count:
        yield count, entries


def _append(parts: ImportDependencies, topic: str, entries: list[LogEntry]) -> None:
    """Append until every entry is confirmed; raises LogUnavailable when patience ends."""
    for delay in (*_DELAYS, None):
        entries, failure = _appended(parts.writer, topic, entries)
        if failure is None:
            return
        if delay is None:
            raise LogUnavailable(f"{failure}; run the same import again, and it goes on from here") from failure
        _LOG.warning("import_waits", topic=topic, seconds=delay, entries=len(entries), reason=str(failure))
        parts.sleep(delay)


def _appended(writer: LogWriter, topic: str, entries: list[LogEntry]) -> tuple[list[LogEntry], LogUnavailable | None]:
    """The entries that the log did not take, and why."""
    if not entries:
        return [], None
    try:
        fates = writer.append(topic, entries).result(_APPEND_SECONDS)
    except TimeoutError:
        return entries, LogUnavailable(f"the log did not confirm within {_APPEND_SECONDS:g} s")
    except LogUnavailable as error:
        return entries, error
    failed = [entry for entry, fate in zip(entries, fates, strict=True) if isinstance(fate, Exception)]
    reasons = [fate for fate in fates if isinstance(fate, Exception)]
    metrics.IMPORTED.labels(topic).inc(len(entries) - len(failed))
    return failed, LogUnavailable(str(reasons[0])) if reasons else None
