"""The Faust worker: `python -m nearline.main`, settings from the environment (see config.py)."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import NoReturn

import structlog
import uvloop

from deploy.wiring.dependencies import Dependencies, prepare_worker
from deploy.wiring.server_wait import wait_for_servers
from deploy.wiring.variables import warn_of_variables_without_effect
from nearline.cluster.assignment import Assignment
from nearline.config import NearlineConfig
from nearline.dead_letters import LogDeadLetterSink
from nearline.forgets import LogForgetSink
from nearline.partition_worker import WorkerDependencies
from nearline.passivation.guest_records import GuestRecords
from nearline.passivation.passivator import Passivation
from nearline.recovery.archive_reader import archive_reader
from nearline.snapshots.recording import RecordingStore
from nearline.snapshots.recovery import SnapshotRecovery
from nearline.snapshots.taking import SnapshotPolicy, SnapshotTaker
from nearline.watch import Watch
from schemas.configuration.drivers import missing_driver
from schemas.configuration.settings import read_settings
from schemas.errors import FreshetError
from schemas.ports import LogReader

try:
    import faust

    from nearline.cluster.app import NearlineApp
except ImportError as missing:
    sentence = missing_driver(missing)
    if __name__ != "__main__" or sentence is None:
        raise
    sys.exit(f"The worker cannot start: {sentence}")

log = structlog.get_logger()


def run() -> NoReturn:
    """Keep the signals until the process is ended. A failure to start prints one sentence."""
    # Switch threads more often than every 5 ms, because folding shares the interpreter with heartbeats and deliveries.
    sys.setswitchinterval(0.001)
    # Folded values have no cycles. Searching many objects for cycles costs time and delays events.
    gc.set_threshold(2_000, 25, 1_000)
    # Set before the app is built, because the app keeps the loop that it finds.
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    warn_of_variables_without_effect("cluster")
    with ExitStack() as contexts:
        try:
            # Faust is the worker of the cluster alone: the embedded stack folds in `freshet up`.
            config = read_settings(NearlineConfig).model_copy(update={"stack": "cluster"})
            # Served first, so that monitoring sees a worker which waits for its servers.
            contexts.enter_context(_metrics_of(config))
            app = build(config)
        except FreshetError as error:
            sys.stderr.write(f"error: {error}\n")
            raise SystemExit(1) from None
        _work(app)
    raise SystemExit(0)


def _work(app: NearlineApp) -> None:
    """Runs the app until a signal ends it."""
    # At a lower level these libraries make and discard several debug records for each event.
    for name in ("aiokafka", "faust", "mode"):
        logging.getLogger(name).setLevel(logging.WARNING)
    worker = faust.Worker(app, loglevel="WARNING", redirect_stdouts=False, quiet=True)
    worker.execute_from_commandline()


def build(config: NearlineConfig) -> NearlineApp:
    """Returns the app with real adapters, once the servers answer. Raises ConfigurationInvalid."""
    config.worker_dir.mkdir(parents=True, exist_ok=True)
    wait_for_servers(partial(prepare_worker, config), "the worker")
    # The adapters live as long as the process. The watch has its own thread, and so its own reader.
    opened, watched = (Dependencies(config, ExitStack()) for _ in range(2))
    recording = RecordingStore(opened.signals)
    dead_letters = LogDeadLetterSink(opened.writer, time.time)

    def another_reader() -> LogReader:
        return Dependencies(config, ExitStack()).reader

    dependencies = WorkerDependencies(
        opened.reader,
        recording,
        dead_letters,
        archive_reader(opened.archive, opened.reader),
        time.time,
        another_reader,
        _recovery(config),
        LogForgetSink(opened.writer),
        config.values_in_parts,
        Passivation(GuestRecords(opened.archive, another_reader), config.idle_guest_days),
    )
    watch, assignment = Watch(watched.reader, recording), Assignment(dependencies)
    if watched.snapshots is not None:
        policy = SnapshotPolicy.of(config)
        SnapshotTaker(
            lambda: assignment.workers, recording, watched.signals, watched.snapshots, policy, time.time
        ).start()
    return NearlineApp(config, assignment, watch, _restart)


@contextmanager
def _metrics_of(config: NearlineConfig) -> Iterator[None]:
    """Serves the metrics until the block ends, if a port is set. Raises PortInUse, ConfigurationInvalid."""
    if config.metrics_port is None:
        yield
        return
    from deploy.wiring.metrics_server import serving_metrics  # noqa: PLC0415 - a worker without metrics needs no HTTP server

    with serving_metrics(config, config.metrics_host, config.metrics_port, "set FRESHET_METRICS_PORT to a free one"):
        yield


def _recovery(config: NearlineConfig) -> SnapshotRecovery | None:
    """Loads snapshots through connections of its own, in threads of its own."""
    opened = Dependencies(config, ExitStack())
    if opened.snapshots is None:
        return None
    return SnapshotRecovery(
        opened.snapshots,
        lambda: Dependencies(config, ExitStack()).signals,
        archive_reader(opened.archive, opened.reader),
    )


def _restart(reason: str) -> NoReturn:
    """Restart the program in this process, because Faust's queues hold records of a log that no longer exists.

    A restart is safe at any moment, like a ``kill -9``, because the fences are stored with the values.
    """
    log.warning("worker_restarts", reason=reason)
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - this very program, no shell


if __name__ == "__main__":
    run()
