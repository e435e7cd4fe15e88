"""Runs offline's jobs on the dependencies of a stack."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path

import structlog

from adapters.http import webhook
from adapters.parquet.models import ParquetVersions
from deploy.config import CommandSettings
from deploy.local import jars
from deploy.local.config import StackConfig
from deploy.local.errors import StackError
from deploy.wiring.dependencies import Dependencies
from deploy.wiring.job_logs import job_log, trace_in
from deploy.wiring.rating_scale import with_noted_scale
from models.source_weights import SourceWeights
from offline.config import OfflineSettings
from offline.data.archive import Archived, Progress, quiet
from offline.engines.engine import EngineName
from offline.engines.options import TrainingOptions
from offline.jobs.options import options_of
from offline.jobs.publish_external import Receiving, receive
from offline.jobs.runs import Jobs, publishing
from offline.jobs.train import Skipped, TrainingParts, train
from offline.jobs.training_state import FullTraining, chosen_by_hand, full_training, is_full, note_full
from offline.publishing.export import Exports
from offline.publishing.external_models import ExternalModel, ExternalModelKind
from offline.publishing.webhooks import Notice, Webhooks
from replay.source_weights import learned_weights
from schemas.configuration import site
from schemas.configuration.settings import read_settings
from schemas.errors import JobStoreUnavailable, SparkFailed
from schemas.offline.manifest import Manifest
from schemas.ports import Archive
from serving.config import Settings as ServingSettings

BY_HAND = "asked for by hand"
_WEIGHTS = "event-weights"
_log = structlog.get_logger(__name__)


def archive_by_spark(
    dependencies: Dependencies, settings: CommandSettings, engine: EngineName, progress: Progress
) -> Archived | None:
    """Archive by Spark what is new on Kafka; None where Spark is not asked for or the log is not Kafka.

    None too where Spark fails or has no Kafka connector (it comes by Maven): ``archive_log`` then writes the rest of the
    same files.
    """
    if engine != "spark" or settings.stack != "cluster":
        return None
    try:
        connector = _connector()
    except StackError as error:
        _log.warning("archived_without_spark", reason=str(error))
        return None
    log = job_log(settings.data, "archive")
    try:
        with trace_in(log):
            return _run_on_spark(dependencies, settings, connector, progress, log)
    except SparkFailed as error:
        _log.warning("archived_without_spark", reason=str(error))
        return None


def _connector() -> list[str]:
    """Paths of the jars by which Spark reads Kafka, downloaded the first time; raises StackError."""
    folder = jars.classpath("spark", StackConfig().jars, lambda message: _log.info("jars", message=message))
    return sorted(str(jar) for jar in Path(folder).parent.glob("*.jar"))


def _run_on_spark(
    dependencies: Dependencies, settings: CommandSettings, connector: list[str], progress: Progress, log: Path
) -> Archived:
    from adapters.kafka.access import spark_options
    from offline.engines.spark_failures import named_failures
    from offline.engines.spark_session import session
    from offline.jobs.archive_on_spark import archive_log_with_spark

    spark = session("freshet-archive", connector, options_of(read_settings(OfflineSettings), log).spark)
    prefix = site.topic_prefix(settings.prefix)
    with named_failures("archiving"):
        return archive_log_with_spark(
            spark,
            spark_options(settings.kafka, settings.kafka_access()),
            prefix,
            dependencies.reader,
            dependencies.archive,
            progress=progress,
        )


def train_in(
    dependencies: Dependencies,
    engine: EngineName,
    *,
    force: bool,
    progress: Callable[[str, int, int], None],
    now: datetime | None = None,
    reason: str = BY_HAND,
    algorithm: str | None = None,
    incremental: bool = False,
) -> Manifest | Skipped:
    """Train and publish, one at a time; raises LeaseTaken, and what ``offline.jobs.train.train`` raises."""
    settings = with_noted_scale(read_settings(OfflineSettings), dependencies.documents)
    changes = {"weights": settings.weights or noted_weights(dependencies)} | (
        {"algorithm": algorithm} if algorithm else {}
    )
    job = "train-incremental" if incremental else "train"
    log = job_log(dependencies.folder, job)
    options = options_of(settings.model_copy(update=changes), log)
    ranking = with_noted_scale(read_settings(ServingSettings), dependencies.documents).ranking_config()

    def weigh(archive: Archive, options: TrainingOptions, show: Progress) -> SourceWeights | None:
        return learned_weights(archive, ranking, options, show)

    parts = TrainingParts(
        dependencies.reader,
        dependencies.archive,
        dependencies.models,
        dependencies.writer,
        time.time,
        weigh,
        chosen_by_hand(dependencies.documents),
    )
    timestamp = None if now is None else now.timestamp()

    def work(show: Progress) -> Manifest | Skipped:
        began = time.monotonic()
        with trace_in(log):
            trained = train(parts, engine, force, timestamp, show, options, incremental)
        if isinstance(trained, Manifest) and is_full(trained):
            _note_full(dependencies, full_training(trained, time.monotonic() - began))
        return trained

    return publishing(jobs_of(dependencies), dependencies.models, job, reason, work, progress)


def _note_full(dependencies: Dependencies, training: FullTraining) -> None:
    """Remembers a full training for the schedule, which otherwise finds it among the versions until it expires."""
    try:
        note_full(dependencies.documents, training)
    except JobStoreUnavailable as error:
        _log.warning("full_training_not_noted", version=training.version, reason=str(error))


def note_weights(dependencies: Dependencies, weights: str) -> None:
    """Stores the weights of event types beside the data, for later trainings."""
    dependencies.documents.write(_WEIGHTS, weights.encode())


def noted_weights(dependencies: Dependencies) -> str:
    """The weights that an import stored; empty if there are none."""
    return (dependencies.documents.read(_WEIGHTS) or b"").decode()


def receive_in(
    dependencies: Dependencies,
    kind: ExternalModelKind,
    model: ExternalModel,
    progress: Progress = quiet,
    reason: str = BY_HAND,
) -> Manifest:
    """Publish a model of another system, one at a time; raises LeaseTaken, and what ``offline.jobs.publish_external`` raises."""
    receiving = Receiving(dependencies.models, dependencies.writer, options_of(read_settings(OfflineSettings)))
    work = partial(receive, receiving, kind, model, time.time())
    return publishing(jobs_of(dependencies), dependencies.models, "publish", reason, work, progress)


def tell(dependencies: Dependencies, notice: Notice) -> None:
    """Sends a notice to the webhooks. Failed deliveries are counted and logged."""
    jobs_of(dependencies).tell(notice)


def jobs_of(dependencies: Dependencies) -> Jobs:
    """Leases, records and webhooks of a stack; raises ConfigurationInvalid."""
    settings = read_settings(OfflineSettings)
    exports = Exports([ParquetVersions(url) for url in settings.export])
    webhooks = Webhooks(webhook.post, settings.webhooks, settings.webhook_secret.get_secret_value(), time.time)
    return Jobs(dependencies.lease, dependencies.runs, time.time, webhooks.tell, exports)
