"""Runs the erasure of people on the dependencies of a stack, in a thread beside the collector."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Final

import structlog

from adapters.parquet.models import ParquetVersions
from adapters.registry import adapter
from deploy.wiring.dependencies import Dependencies, open_dependencies
from ingest.config import IngestSettings
from ingest.import_pipeline.refused import FOLDER as REFUSED
from ingest.privacy.eraser import LOOK_SECONDS, STEP_SECONDS, Eraser
from ingest.privacy.secret import site_secret
from ingest.privacy.stores import ErasureStores
from offline.config import OfflineSettings
from offline.publishing.export import Exports
from schemas.background import LONGEST_PAUSE, BackgroundTask
from schemas.configuration.addresses import Address
from schemas.configuration.settings import read_settings
from schemas.errors import FreshetError
from schemas.ports import Clock

_HOUR: Final = 3_600.0
_log = structlog.get_logger(__name__)


Refold = Callable[[int], None]
"""Folds the aggregates of a partition again."""


def erasure_stores(
    dependencies: Dependencies, settings: IngestSettings, clock: Clock, refold: Refold | None = None
) -> ErasureStores:
    """Everything that holds data of people on this stack. Servers are asked at the first use."""
    log, signals, models = settings.log_address, settings.signals_address, settings.models_address
    archive = settings.archive_address
    offline = read_settings(OfflineSettings)
    writer = dependencies.writer  # the embedded log's writer makes the file that its reader needs
    exports = Exports([ParquetVersions(url) for url in offline.export])
    return ErasureStores(
        reader=dependencies.reader,
        writer=writer,
        signals=dependencies.signals,
        models=dependencies.models,
        documents=dependencies.documents,
        lease=dependencies.lease,
        archive=dependencies.archive,
        archived=adapter(archive).rewritable(archive),
        logged=adapter(log).rewritable(log),
        days_kept=partial(adapter(log).days_kept, log),
        snapshots=dependencies.snapshots,
        refold=refold,
        scrub=partial(_scrub, list(dict.fromkeys((log, signals, models)))),
        export=partial(exports.replace, dependencies.models),
        next_training=lambda: clock() + offline.schedule_age_hours * _HOUR,
        refused=settings.data / REFUSED,
        secret=site_secret(settings.receipt_secret.get_secret_value(), settings.data),
        clock=clock,
    )


@contextmanager
def erasing(settings: IngestSettings, clock: Clock, refold: Refold | None = None) -> Iterator[None]:
    """Takes erasures through their places from a thread, until the block ends."""
    stop = threading.Event()
    thread = threading.Thread(target=_run, args=(settings, clock, refold, stop), name="erasures", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _run(settings: IngestSettings, clock: Clock, refold: Refold | None, stop: threading.Event) -> None:
    """Begins anew with its own connections after a failure; a server that is away is asked again."""
    task = BackgroundTask("erasures")
    while not stop.is_set():
        with task.step():
            try:
                with open_dependencies(settings) as dependencies:
                    _repeat(Eraser(erasure_stores(dependencies, settings, clock, refold)), stop)
            except (FreshetError, OSError) as error:
                _log.warning("erasures_wait", reason=str(error))
                stop.wait(LONGEST_PAUSE)
        stop.wait(task.pause(LOOK_SECONDS))


def _repeat(eraser: Eraser, stop: threading.Event) -> None:
    while not stop.wait(STEP_SECONDS if eraser.step() else LOOK_SECONDS):
        pass


def _scrub(addresses: Sequence[Address], texts: Sequence[bytes]) -> bool:
    clean = [adapter(address).scrub(address, texts) for address in addresses]
    return all(clean)
