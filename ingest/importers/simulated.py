"""The sample store as a data set: its catalogue, its shoppers, and their events until ``end``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from ingest.import_pipeline.base import RowFaults, UserRow
from ingest.import_pipeline.run import ImportDependencies, Imported, ImportStep, ProgressFile, fingerprint, run_import
from ingest.simulator import shop
from ingest.validation.validate import utc
from schemas.weights import Weight


class SampleStore:
    """The simulated video-game shop. Implements Importer; the same arguments give the same rows.

    ``end`` is not part of its name. An interrupted import must be resumed with the ``end`` with which it began.
    """

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

    def events(self, faults: RowFaults) -> Iterator[dict[str, Any]]:  # noqa: ARG002 - nothing here is malformed
        """The shoppers' events, in order of time."""
        return shop.events(self._seed, self._n_shoppers, self._days, end=self._end)


def import_sample(
    dependencies: ImportDependencies,
    file: ProgressFile,
    report: Callable[[ImportStep], None] = lambda _: None,
    *,
    seed: int = 1,
    n_shoppers: int = 2_000,
    days: int = 60,
) -> Imported:
    """Imports the sample store up to now. A resumed import ends at the time at which it first began."""
    # The fingerprint does not depend on the end. The progress file holds the end.
    without_end = SampleStore(seed, utc(0), n_shoppers, days)
    began = file.load(fingerprint(without_end, dependencies.log_id), dependencies.clock()).began
    store = SampleStore(seed, utc(began), n_shoppers, days)
    return run_import(store, dependencies._replace(clock=lambda: began), file, report)
