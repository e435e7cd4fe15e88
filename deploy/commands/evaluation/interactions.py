"""Turns a data set into interactions without a log. Its rows pass the same archive and the same SQL as in training."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
import pyarrow as pa

from adapters.parquet.archive import ParquetArchive
from deploy.wiring.rating_scale import scale_of_data
from ingest.config import IngestSettings
from ingest.import_pipeline.base import Importer
from ingest.import_pipeline.hash_set import HashSet
from ingest.import_pipeline.run import ImportDependencies, Imported, ImportStep, run_import
from ingest.main import site_policy
from offline.config import OfflineSettings
from offline.data.archive import BATCH, Progress, quiet
from offline.data.metadata import read_metadata
from offline.evaluation.point_in_time import copy_until
from offline.evaluation.protocols import Gathered
from offline.interactions.duck import run_duckdb
from offline.interactions.parameters import Parameters, training_weights
from schemas.configuration.settings import read_settings
from schemas.errors import ConfigurationInvalid
from schemas.log import topics
from schemas.log.records import LogEntry, OffsetToken, Record
from schemas.ports import Appended, Archive
from schemas.values.rating_scale import RatingScale
from schemas.values.weights import Weight, parse_weights

_LOG_ID: Final = "evaluation"


@contextmanager
def read_interactions(
    importer: Importer,
    progress: Progress = quiet,
    show: Callable[[Imported], None] = lambda _: None,
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[Gathered]:
    """A data set's interactions and facts, in a folder that is gone afterwards.

    ``show`` is given the counts of rows, ``say`` a sentence where events have no weight. Raises DatasetUnknown if a file is damaged, and ConfigurationInvalid if it has no events about items.
    """
    with tempfile.TemporaryDirectory(prefix="freshet-evaluate-") as temporary:
        folder, began = Path(temporary), time.time()
        archive = ParquetArchive(folder / "archive")
        scale = scale_of_data(read_settings(IngestSettings), importer)
        writer = _ArchiveWriter(archive, time.time)
        done = _import(importer, writer, scale, progress)
        show(done)
        if done.error is not None:
            raise done.error
        files = archive.files(topics.EVENTS)
        weights = _weights(importer, scale)
        unweighted = _unweighted(writer.types, weights)
        if unweighted:
            say(unweighted)
        table = run_duckdb(files, Parameters(now=began, weights=weights), _as_one_step(progress))
        if not table.num_rows:
            raise ConfigurationInvalid(
                f"{importer.dataset} holds no events that count, so there is nothing to compare on"
            )
        metadata = read_metadata(archive)
        yield Gathered(
            importer.dataset,
            table,
            metadata,
            _interactions_until(files, folder, began, weights),
            _has_times(table, began),
        )


def _weights(importer: Importer, scale: RatingScale) -> Mapping[str, Weight]:
    """The weights by which a training on this data set would learn: the setting overrides the data set's own."""
    return {**training_weights(scale), **importer.weights, **parse_weights(read_settings(OfflineSettings).weights)}


def _unweighted(types: Counter[str], weights: Mapping[str, Weight]) -> str:
    """A sentence about the events whose types have no weight; empty if there are none."""
    left_out = {name: count for name, count in types.most_common() if not weights.get(name)}
    if not left_out:
        return ""
    counts = ", ".join(f"{count:,} {name}" for name, count in left_out.items())
    example = f"FRESHET_WEIGHTS={next(iter(left_out))}=1"
    return f"{sum(left_out.values()):,} events are left out, because their types have no weight: {counts}. Set one with {example}."


def _import(importer: Importer, writer: _ArchiveWriter, scale: RatingScale, progress: Progress) -> Imported:
    def report(step: ImportStep) -> None:
        progress(f"reading {step.topic}", step.rows, step.expected or step.rows)

    # Nothing of the data set is kept, so nobody has to consent.
    allowed = site_policy(read_settings(IngestSettings), scale)._replace(consent="off", pseudonyms=None)
    # The archive is new, so that a ledger in memory knows all of its rows.
    done = run_import(importer, ImportDependencies(writer, time.time, time.sleep, HashSet(), allowed), report)
    writer.close()
    return done


def _as_one_step(progress: Progress) -> Progress:
    """Reports all SQL steps of the interactions as one step."""
    return lambda step, done, total: progress(step.partition(":")[0], done, total)


def _interactions_until(
    files: Sequence[str], folder: Path, now: float, weights: Mapping[str, Weight]
) -> Callable[[float], pa.Table]:
    def until(moment: float) -> pa.Table:
        return run_duckdb([copy_until(files, moment, folder / "earlier.parquet")], Parameters(now=now, weights=weights))

    return until


def _has_times(table: pa.Table, began: float) -> bool:
    """True if the events have times of their own. Without them, all events have the time of the import."""
    return bool((table["first_at"].to_numpy() < began - 1).any())


class _EventType(msgspec.Struct):
    """All that is counted of an event."""

    type: str


_EVENT_TYPE: Final = msgspec.json.Decoder(_EventType)


class _ArchiveWriter:
    """A log writer whose log is the archive itself, in one partition. Counts the events by type."""

    def __init__(self, archive: Archive, clock: Callable[[], float]) -> None:
        self.types: Counter[str] = Counter()
        self._archive, self._clock = archive, clock
        self._waiting: dict[str, list[Record]] = {}
        self._ends: dict[str, int] = {}

    def append(self, topic: str, entries: Sequence[LogEntry]) -> Future[list[Appended]]:
        """Keeps the entries, and writes them when there are enough for a file."""
        begin, now = self._ends.get(topic, 0), int(self._clock() * 1_000)
        records = [Record(topic, 0, begin + index, now, *entry) for index, entry in enumerate(entries)]
        self._ends[topic] = begin + len(records)
        if topic == topics.EVENTS:
            self.types.update(_EVENT_TYPE.decode(entry.value).type for entry in entries if entry.value is not None)
        waiting = self._waiting.setdefault(topic, [])
        waiting += records
        if len(waiting) >= BATCH:
            self._flush(topic)
        future: Future[list[Appended]] = Future()
        future.set_result([OffsetToken(0, record.offset) for record in records])
        return future

    def close(self) -> None:
        """Writes the entries that remain."""
        for topic in list(self._waiting):
            self._flush(topic)

    def _flush(self, topic: str) -> None:
        if waiting := self._waiting.pop(topic, []):
            self._archive.write(_LOG_ID, waiting)
