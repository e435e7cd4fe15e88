"""The sample store as a data set: its catalogue, its shoppers, and their events until ``end``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec

from ingest.import_pipeline.base import RowFaults, UserRow
from ingest.import_pipeline.run import Counts, ImportDependencies, Imported, Report, run_import
from ingest.simulator import shop
from ingest.validation.validate import utc
from schemas.errors import ConfigurationInvalid
from schemas.values.weights import Weight


class SampleStore:
    """The simulated video-game shop. Implements Importer; the same arguments give the same rows.

    ``end`` is not part of its name. An interrupted import must be resumed with the ``end`` with which it began.
    """

    description = ""
    merges_items = False
    types: frozenset[str] = frozenset()
    weights: Mapping[str, Weight] = {}
    paths: Sequence[Path] = ()

    def __init__(self, seed: int, end: datetime, n_shoppers: int = 2_000, days: int = 60) -> None:
        self._seed, self._end, self._n_shoppers, self._days = seed, end, n_shoppers, days
        self.dataset = f"sample-{seed}-{n_shoppers}-{days}"

    def items(self, faults: RowFaults) -> Iterator[dict[str, Any]]:  # noqa: ARG002 - nothing here is malformed
        """The games."""
        return (dict(item) for item in shop.catalogue(self._end, self._days))

    def users(self, faults: RowFaults) -> Iterator[UserRow]:  # noqa: ARG002 - nothing here is malformed
        """The shoppers' country and device."""
        for shopper in shop.shoppers(self._seed, self._n_shoppers):
            yield UserRow(shopper.user_id, {"country": shopper.country, "device": shopper.device})

    def ratings(self) -> Iterator[float]:
        """None: the ratings of the sample store have up to five stars."""
        return iter(())

    def events(self, faults: RowFaults) -> Iterator[dict[str, Any]]:  # noqa: ARG002 - nothing here is malformed
        """The shoppers' events, in order of time."""
        return shop.events(self._seed, self._n_shoppers, self._days, end=self._end)


class SampleProgress(msgspec.Struct):
    """Up to which time the sample store is imported into a log, and its rows by topic once that is done."""

    fingerprint: str
    began: float
    rows: dict[str, int] = {}
    done: bool = False


class SampleFile:
    """Keeps the progress in a file, which is replaced as a whole."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self, fingerprint: str, now: float) -> SampleProgress:
        """The progress of this import; a new one, which begins now, if it has none. Raises ConfigurationInvalid."""
        try:
            saved = msgspec.json.decode(self._path.read_bytes(), type=SampleProgress)
        except FileNotFoundError:
            return SampleProgress(fingerprint, now)
        except msgspec.DecodeError as error:
            raise ConfigurationInvalid(f"{self._path} is damaged: remove it, and the import begins anew") from error
        return saved if saved.fingerprint == fingerprint else SampleProgress(fingerprint, now)

    def save(self, progress: SampleProgress) -> None:
        """Replaces the file, and syncs it first."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        beside = self._path.with_suffix(".tmp")
        with beside.open("wb") as file:
            file.write(msgspec.json.encode(progress))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)


def import_sample(
    dependencies: ImportDependencies,
    file: SampleFile,
    log_id: str,
    report: Report = lambda _: None,
    *,
    seed: int = 1,
    n_shoppers: int = 2_000,
    days: int = 60,
) -> Imported:
    """Imports the sample store up to now. After an interruption, it imports up to the time at which it first began."""
    # The name does not depend on the end, which is read from the file.
    dataset = SampleStore(seed, utc(0), n_shoppers, days).dataset
    progress = file.load(_fingerprint(dataset, log_id), dependencies.clock())
    if progress.done:
        return Imported(dataset, {topic: Counts(repeated=rows) for topic, rows in progress.rows.items()})
    file.save(progress)
    store = SampleStore(seed, utc(progress.began), n_shoppers, days)
    done = run_import(store, dependencies._replace(clock=lambda: progress.began), report)
    progress.rows, progress.done = {topic: counts.read for topic, counts in done.topics.items()}, True
    file.save(progress)
    return done


def _fingerprint(dataset: str, log_id: str) -> str:
    return blake2b(f"{dataset}[]{log_id}".encode(), digest_size=12).hexdigest()
