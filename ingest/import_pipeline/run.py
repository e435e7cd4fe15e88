"""Imports a data set into the log: in batches, with backoff for a full queue, each row once."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeVar

import structlog

from ingest.import_pipeline.appending import append_all
from ingest.import_pipeline.base import Importer, RowFaults, TooManyRefused, UserRow
from ingest.import_pipeline.catalogue.item_patches import ItemPatches
from ingest.import_pipeline.catalogue.upserts import Changes, Upserts
from ingest.import_pipeline.ledger import RowLedger
from ingest.import_pipeline.valid_events import ByHash, ValidEvent, ValidEvents, in_batches, refuse
from ingest.validation import validate
from ingest.validation.validate import Policy, Rejection
from schemas.errors import DatasetUnknown, FreshetError
from schemas.log import topics
from schemas.log.records import LogEntry
from schemas.ports import Clock, LogReader, LogWriter
from signals.users import DEDUPLICATION

PER_KEY: Final = DEDUPLICATION // 2
"""Most rows of one key in an append. A kill between an append and its note in the ledger repeats the append. Then all its
event ids must still be among those that are remembered of a user."""

_LOG = structlog.get_logger(__name__)
T = TypeVar("T")


class Counts(NamedTuple):
    """Rows of one topic. Every row that was read is in one of the three."""

    kept: int = 0
    """Appended to the log by this import."""
    repeated: int = 0
    """On the log before, or a second time in the files."""
    refused: int = 0

    @property
    def read(self) -> int:
        """Number of rows."""
        return sum(self)


class Imported(NamedTuple):
    """The result of an import, as far as it came."""

    dataset: str
    topics: Mapping[str, Counts]
    refused: Mapping[str, int] = MappingProxyType({})
    """Number of refused rows by reason."""
    examples: Sequence[str] = ()
    """The first refused rows, described."""
    left_out: int = 0
    """Rows that a filter left out; they do not count as read."""
    error: FreshetError | None = None
    """What ended the import early."""
    refused_file: Path | None = None
    """Where the refused rows are."""
    mended: Mapping[str, int] = MappingProxyType({})
    """Number of cells that were read only after a correction, by a sentence on it."""

    @property
    def total(self) -> Counts:
        """The rows of all topics."""
        return Counts(*(sum(column) for column in zip(Counts(), *self.topics.values(), strict=True)))

    @property
    def in_vain(self) -> bool:
        """True if the log holds none of the rows."""
        return self.total.kept + self.total.repeated == 0


class ImportStep(NamedTuple):
    """Passed to the progress callback after each batch; ``expected`` is the number of all rows, None until it is known."""

    topic: str
    rows: int
    refused: int
    expected: int | None = None


Report = Callable[[ImportStep], None]


class ImportDependencies(NamedTuple):
    """What an import needs besides the data set; ``sleep`` waits while the log's queue is full."""

    writer: LogWriter
    clock: Clock
    sleep: Callable[[float], None]
    ledger: RowLedger
    policy: Policy = validate.policy()
    reader: LogReader | None = None
    """Reads the items and users of the log; without it, none are known."""


def run_import(
    importer: Importer,
    dependencies: ImportDependencies,
    report: Report = lambda _: None,
    faults: RowFaults | None = None,
) -> Imported:
    """Appends a data set's items, users and events, in this order, without the rows that the log holds.

    A file that is damaged, or has too many refused rows, ends it: see ``Imported.error``. Raises LogUnavailable if the
    log stays unavailable; the same call then appends what is missing.
    """
    importing = _Import(importer, dependencies, report, faults or RowFaults())
    error: FreshetError | None = None
    try:
        with _rare_garbage_collection():
            importing.run()
    except (DatasetUnknown, TooManyRefused) as ended:
        error = ended
    done = importing.result(error)
    _LOG.info("import_done", dataset=done.dataset, **done.total._asdict(), reasons=done.refused)
    return done


@contextmanager
def _rare_garbage_collection() -> Iterator[None]:
    """Rows are many objects and no cycles: to look through them again and again takes a fifth of an import's time."""
    thresholds = gc.get_threshold()
    gc.set_threshold(100_000, 50, 100)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)


class _Import:
    """One import of one data set."""

    def __init__(self, importer: Importer, dependencies: ImportDependencies, report: Report, faults: RowFaults) -> None:
        self._importer, self._dependencies, self._report, self._faults = importer, dependencies, report, faults
        self._now = validate.utc(dependencies.clock())
        policy = dependencies.policy
        self._policy = policy._replace(types=policy.types | importer.types, imports=True)
        self._topic = topics.ITEMS
        self._kept: Counter[str] = Counter()
        self._repeated: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()

    def run(self) -> None:
        """Imports all topics."""
        importer, faults = self._importer, self._faults
        reader = self._dependencies.reader
        items = ItemPatches(reader) if importer.merges_items else Upserts(reader, topics.ITEMS)
        self._import_upserts(topics.ITEMS, items, importer.items(faults), self._validated_item)
        users = Upserts(reader, topics.USERS)
        self._import_upserts(topics.USERS, users, importer.users(faults), self._validated_user)
        self._import_events(importer.events(faults))

    def result(self, error: FreshetError | None) -> Imported:
        """The counts so far."""
        self._begin(self._topic)
        counts = {
            topic: Counts(self._kept[topic], self._repeated[topic], self._refused[topic])
            for topic in (topics.ITEMS, topics.USERS, topics.EVENTS)
        }
        faults = self._faults
        return Imported(
            self._importer.dataset,
            {topic: count for topic, count in counts.items() if count.read},
            dict(faults.reasons),
            faults.examples,
            faults.left_out,
            error,
            mended=dict(faults.mended),
        )

    def _begin(self, topic: str) -> None:
        """Counts the faults up to now for the topic so far, and those to come for this one."""
        self._refused[self._topic] += self._faults.count - self._refused.total()
        self._topic, self._faults.expected = topic, None

    def _import_upserts(
        self, topic: str, upserts: Changes, rows: Iterable[T], validated: Callable[[T], LogEntry | None]
    ) -> None:
        self._begin(topic)
        waiting = 0
        for batch in in_batches(rows):
            entries = [entry for row in batch if (entry := validated(row)) is not None]
            new = upserts.add(entries)
            waiting += len(entries) - len(new)
            self._append(new)
            self._show(waiting)
        for changes in in_batches(upserts.changes()):
            self._append(changes)
            waiting -= len(changes)
        self._repeated[topic] += waiting

    def _import_events(self, rows: Iterable[dict[str, Any]]) -> None:
        self._begin(topics.EVENTS)
        valid = ValidEvents(self._policy, self._now, self._dependencies.ledger, self._faults)
        for batch in valid.batches(rows):
            self._repeated[topics.EVENTS] = valid.repeated
            for part in _by_key(batch):
                self._append([event.entry for event in part.values()])
                valid.note(part)
            self._show()

    def _validated_item(self, row: dict[str, Any]) -> LogEntry | None:
        try:
            if self._importer.merges_items:
                fields = {name: value for name, value in row.items() if name != "item_id"}
                return validate.patch_item(row["item_id"], fields, self._now).entry
            return validate.validate_item(row, self._now).entry
        except Rejection as error:
            refuse(self._faults, "item", row, error)
            return None

    def _validated_user(self, row: UserRow) -> LogEntry | None:
        try:
            return validate.put_user(
                self._kept_id(row.user_id), {"attributes": row.attributes}, self._now, self._policy
            ).entry
        except Rejection as error:
            refuse(self._faults, "user", {"user_id": row.user_id, **row.attributes}, error)
            return None

    def _kept_id(self, user_id: str) -> str:
        pseudonyms = self._policy.pseudonyms
        return pseudonyms.of(user_id) if pseudonyms and pseudonyms.is_id("user_id", user_id) else user_id

    def _append(self, entries: Sequence[LogEntry]) -> None:
        append_all(self._dependencies.writer, self._dependencies.sleep, self._topic, entries)
        self._kept[self._topic] += len(entries)

    def _show(self, waiting: int = 0) -> None:
        rows = (
            waiting + self._kept[self._topic] + self._repeated[self._topic] + self._faults.count - self._refused.total()
        )
        self._report(ImportStep(self._topic, rows, self._faults.count, self._faults.expected))


def _by_key(events: ByHash) -> Iterator[ByHash]:
    """The same events in parts that have at most ``PER_KEY`` of one key."""
    if max(Counter(event.entry.key for event in events.values()).values(), default=PER_KEY) < PER_KEY:
        yield events
        return
    part, keys = dict[int, ValidEvent](), Counter[bytes]()
    for row_hash, event in events.items():
        part[row_hash] = event
        keys[event.entry.key] += 1
        if keys[event.entry.key] >= PER_KEY:
            yield part
            part, keys = {}, Counter()
    if part:
        yield part
