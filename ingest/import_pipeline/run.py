"""Imports a data set into the log: in batches, with backoff for a full queue, and resumed after a kill."""

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
from ingest.import_pipeline.base import FileRow, Importer, ReadProgress, RowFaults, UserRow, ignore_progress
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
"""Most rows of one key in a batch. After a kill, a batch may be appended again. The event ids that are remembered of a
user must then still include all its ids."""
_DELAYS: Final = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0)
_APPEND_SECONDS: Final = 60.0

_LOG = structlog.get_logger(__name__)


class ImportProgress(msgspec.Struct):
    """When an import began, the number of rows read for each topic, and the number of malformed rows."""

    fingerprint: str
    began: float
    rows: dict[str, int] = {}
    malformed: int = 0
    done: bool = False


class ProgressFile:
    """Keeps the progress of one data set in a file. Each save replaces the file atomically."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self, fingerprint: str, now: float) -> ImportProgress:
        """The saved progress of this data set, or a new one if another was saved. Raises ConfigurationInvalid."""
        try:
            progress = msgspec.json.decode(self._path.read_bytes(), type=ImportProgress)
        except FileNotFoundError:
            return ImportProgress(fingerprint, now)
        except msgspec.DecodeError as error:
            raise ConfigurationInvalid(f"{self._path} is damaged: remove it, and the import begins anew") from error
        return progress if progress.fingerprint == fingerprint else ImportProgress(fingerprint, now)

    def save(self, progress: ImportProgress) -> None:
        """Replaces the file, and syncs it first: the file must never be ahead of the log."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_suffix(".tmp")
        with temporary.open("wb") as file:
            file.write(msgspec.json.encode(progress))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)


class Imported(NamedTuple):
    """The result of an import: rows by topic, rows that this run appended, malformed rows, and examples of these."""

    dataset: str
    rows: dict[str, int]
    appended: int
    malformed: int
    examples: Sequence[str]


class ImportStep(NamedTuple):
    """The argument of the progress callback after each batch. ``expected`` is the total of rows, None until it is known."""

    topic: str
    rows: int
    malformed: int
    expected: int | None = None


class ImportDependencies(NamedTuple):
    """The dependencies of an import. ``sleep`` waits while the log's queue is full."""

    writer: LogWriter
    clock: Clock
    sleep: Callable[[float], None]
    policy: Policy = validate.policy()
    log_id: str = ""
    """The log's own id. An import into another log begins anew."""


def run_import(
    importer: Importer,
    dependencies: ImportDependencies,
    file: ProgressFile,
    report: Callable[[ImportStep], None] = lambda _: None,
    watch: ReadProgress = ignore_progress,
) -> Imported:
    """Appends a data set's items, users and events, in this order. Appends nothing if the import was done earlier.

    Raises LogUnavailable if the log stays unavailable; the same call then continues after the last confirmed batch.
    Raises DatasetUnknown if a file is damaged, and ConfigurationInvalid if the progress file is damaged.
    """
    progress = file.load(fingerprint(importer, dependencies.log_id), dependencies.clock())
    faults, earlier_rows = RowFaults(watch), sum(progress.rows.values())
    faults.reasons.update({"malformed": progress.malformed})
    if not progress.done:
        for topic, validations in _stages(importer, dependencies, faults):
            faults.expected = None
            _run_stage(topic, validations, dependencies, progress, faults, file, report)
        progress.done = True
        file.save(progress)
    appended = sum(progress.rows.values()) - earlier_rows
    _LOG.info("import_done", dataset=importer.dataset, rows=progress.rows, malformed=faults.count, appended=appended)
    return Imported(importer.dataset, progress.rows, appended, faults.count, faults.examples)


def fingerprint(importer: Importer, log_id: str) -> str:
    """Identifies an import by the data set's name, its files and their sizes, and the log."""
    files = [(path.name, path.stat().st_size) for path in importer.paths]
    return blake2b(f"{importer.dataset}{files}{log_id}".encode(), digest_size=12).hexdigest()


Validator = Callable[[], Accepted]


def _stages(
    importer: Importer, dependencies: ImportDependencies, faults: RowFaults
) -> Iterator[tuple[str, Iterator[tuple[object, Validator]]]]:
    now = validate.utc(dependencies.clock())
    allowed = dependencies.policy._replace(types=dependencies.policy.types | importer.types)
    yield (
        topics.ITEMS,
        ((_row_name("item", raw), partial(validate.validate_item, raw, now)) for raw in importer.items(faults)),
    )
    yield topics.USERS, ((f"user {row.user_id}", partial(_user, row, now, allowed)) for row in importer.users(faults))
    yield (
        topics.EVENTS,
        ((_row_name("event", raw), partial(_event, raw, now, allowed)) for raw in importer.events(faults)),
    )


def _row_name(kind: str, raw: dict[str, Any]) -> object:
    """The row's line in its file; the id of its item or event if it has none."""
    return raw.source_line if isinstance(raw, FileRow) else f"{kind} {raw.get(f'{kind}_id')}"


def _user(row: UserRow, now: Any, allowed: Policy) -> Accepted:
    return validate.put_user(row.user_id, {"attributes": row.attributes}, now, allowed)


def _event(raw: dict[str, Any], now: Any, allowed: Policy) -> Accepted:
    return accept_simple_event(raw, now, allowed) or validate.validate_event(raw, now, lambda: "", allowed)


def _run_stage(
    topic: str,
    validations: Iterator[tuple[object, Validator]],
    dependencies: ImportDependencies,
    progress: ImportProgress,
    faults: RowFaults,
    file: ProgressFile,
    report: Callable[[ImportStep], None],
) -> None:
    rows_done = progress.rows.get(topic, 0)
    # An earlier run validated and counted the rows before these.
    not_yet_appended = islice(validations, rows_done, None)
    for count, entries in _batches(not_yet_appended, faults):
        append_all(dependencies, topic, entries)
        rows_done += count
        progress.rows[topic], progress.malformed = rows_done, faults.count
        file.save(progress)
        report(ImportStep(topic, rows_done, faults.count, faults.expected))


def _batches(
    validations: Iterator[tuple[object, Validator]], faults: RowFaults
) -> Iterator[tuple[int, list[LogEntry]]]:
    """For each batch, the number of rows read and the entries of the valid ones."""
    count, entries, keys = 0, list[LogEntry](), Counter[bytes]()
    for name, validator in validations:
        count += 1
        try:
            entry = validator().entry
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


def append_all(dependencies: ImportDependencies, topic: str, entries: list[LogEntry]) -> None:
    """Appends until every entry is confirmed; raises LogUnavailable after the last delay."""
    for delay in (*_DELAYS, None):
        entries, failure = _appended(dependencies.writer, topic, entries)
        if failure is None:
            return
        if delay is None:
            raise LogUnavailable(f"{failure}; run the same import again, and it goes on from here") from failure
        _LOG.warning("import_waits", topic=topic, seconds=delay, entries=len(entries), reason=str(failure))
        dependencies.sleep(delay)


def _appended(writer: LogWriter, topic: str, entries: list[LogEntry]) -> tuple[list[LogEntry], LogUnavailable | None]:
    """The entries that the log did not confirm, and the reason."""
    if not entries:
        return [], None
    try:
        confirmations = writer.append(topic, entries).result(_APPEND_SECONDS)
    except TimeoutError:
        return entries, LogUnavailable(f"the log did not confirm within {_APPEND_SECONDS:g} s")
    except LogUnavailable as error:
        return entries, error
    failed = [
        entry for entry, confirmation in zip(entries, confirmations, strict=True) if isinstance(confirmation, Exception)
    ]
    reasons = [confirmation for confirmation in confirmations if isinstance(confirmation, Exception)]
    metrics.IMPORTED.labels(topic).inc(len(entries) - len(failed))
    return failed, LogUnavailable(str(reasons[0])) if reasons else None
