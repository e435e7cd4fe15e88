"""Builds offline's parts from the settings, and runs a job: ``python -m offline.main train [--force] [--engine …]``.

This tier alone trains by the settings alone: it cannot replay what serving would have said, so that sources keep their
configured weights, and it does not read what an import noted of types of events. ``freshet train`` does both.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

from fastapi import FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from adapters import http_server, webhook
from adapters.parquet_models import ParquetVersions
from deploy.wiring.dependencies import open_dependencies
from offline.config import OfflineSettings
from offline.engines.options import Factorization, TrainingOptions
from offline.jobs.publish_external import Receiving, receive
from offline.jobs.runs import Jobs, publishing
from offline.jobs.train import Skipped, TrainingParts, train
from offline.jobs.training_choices import parameters_of
from offline.publishing.export import Exports
from offline.publishing.external_models import ExternalModel, ExternalModelOptions, Kind
from offline.publishing.thresholds import read_thresholds
from offline.publishing.upload_api import Receive, UploadApi, build_router
from offline.publishing.webhooks import Webhooks
from schemas.errors import ConfigurationInvalid, FreshetError
from schemas.manifest import Manifest
from schemas.settings import read_settings
from schemas.weights import parse_weights

_PUBLISHED = "published, with the configured weights of sources (`freshet train` learns them)"


@contextmanager
def open_parts(settings: OfflineSettings) -> Iterator[tuple[TrainingParts, Jobs]]:
    """What jobs work on at the addresses of the settings, closed at the end; raises ConfigurationInvalid."""
    with open_dependencies(settings) as opened:
        writer = opened.writer  # first, because it makes an embedded log
        parts = TrainingParts(opened.reader, opened.archive, opened.models, writer, time.time)
        sender = Webhooks(webhook.post, settings.webhooks, settings.webhook_secret.get_secret_value(), time.time)
        yield parts, Jobs(opened.lease, opened.runs, time.time, sender.tell, exports_of(settings))


def exports_of(settings: OfflineSettings) -> Exports:
    """What copies versions to where the settings say; raises ConfigurationInvalid."""
    return Exports([ParquetVersions(url) for url in settings.export])


def options_of(settings: OfflineSettings) -> TrainingOptions:
    """What the settings say of a run."""
    factors: dict[str, Any] = {"factors": settings.factors}
    given = {name: factors | settings.parameters.get(name, {}) for name in TrainingOptions.factorizations}
    return TrainingOptions(
        algorithm=settings.algorithm,
        models=settings.models,
        models_limit=settings.models_limit,
        weigh_events=settings.weigh_events,
        parameters=settings.parameters,
        factorization=factorization_of(settings),
        ials=parameters_of("ials", given),
        als=parameters_of("als", given),
        sql_memory=settings.sql_memory,
        half_life_days=settings.half_life_days,
        weights=parse_weights(settings.weights),
        list_length=settings.list_length,
        similar_length=settings.similar_length,
        stored_users=settings.stored_users,
        held_out_users=settings.held_out_users,
        keep_versions=settings.keep_versions,
        gate=read_thresholds(settings.gate),
        single_limit=settings.single_limit,
        threads=settings.threads,
        spark_master=settings.spark_master,
        spark_memory=settings.spark_memory,
    )


def factorization_of(settings: OfflineSettings) -> Factorization:
    """What makes the factors: the chosen algorithm where it is a factorization itself."""
    if settings.algorithm in TrainingOptions.factorizations:
        return cast("Factorization", settings.algorithm)
    return settings.factorization


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a job; 1 where it fails, with one sentence that says why."""
    asked = _parser().parse_args(arguments)
    try:
        settings = read_settings(OfflineSettings)
        if asked.job == "receive":
            _listen(settings)
            return 0
        with open_parts(settings) as (parts, jobs):
            work = partial(
                train, parts, asked.engine or settings.engine, asked.force, None, options=options_of(settings)
            )
            done = publishing(jobs, parts.store, "train", "asked for by hand", work)
    except FreshetError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{done.reason if isinstance(done, Skipped) else _PUBLISHED}: {done.version}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m offline.main", description="Freshet's offline jobs.")
    jobs = parser.add_subparsers(required=True, dest="job")
    job = jobs.add_parser("train", help="train on what the log holds by the settings alone, and publish")
    job.add_argument("--engine", choices=("auto", "single", "spark"))
    job.add_argument("--force", action="store_true", help="train even where nothing has happened since")
    jobs.add_parser("receive", help="take models made elsewhere, by HTTP, until told to stop")
    return parser


def upload_api_of(settings: OfflineSettings, receive: Receive) -> UploadApi | None:
    """The door for models made elsewhere; None where no token opens it."""
    token = settings.models_token.get_secret_value()
    making = ExternalModelOptions(user_list=settings.list_length, item_list=settings.similar_length)
    return UploadApi(token, receive, making) if token else None


def _listen(settings: OfflineSettings) -> None:
    """Serve the door alone; raises ConfigurationInvalid without a token, PortInUse."""
    with open_parts(settings) as (parts, jobs):

        def received(kind: Kind, made: ExternalModel) -> Manifest:
            work = partial(
                receive, Receiving(parts.store, parts.hints, options_of(settings)), kind, made, parts.clock()
            )
            return publishing(jobs, parts.store, "publish", "sent by HTTP", work)

        upload_api = upload_api_of(settings, received)
        if upload_api is None:
            raise ConfigurationInvalid("FRESHET_MODELS_TOKEN is empty: set it, so that nobody else can publish")
        listening = http_server.listen(settings.models_host, settings.models_port, "set FRESHET_MODELS_PORT")
        app = FastAPI(title="Freshet models", version="1")
        app.include_router(build_router(upload_api))
        app.add_api_route("/metrics", lambda: Response(generate_latest(), media_type=CONTENT_TYPE_LATEST))
        app.add_api_route("/health/live", lambda: {"status": "live"})
        http_server.serve(app, listening, "INFO")


if __name__ == "__main__":
    sys.exit(main())
