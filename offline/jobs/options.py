"""Reads the options of a training from the settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from offline.config import OfflineSettings
from offline.engines.options import Factorization, SparkOptions, TrainingOptions
from offline.jobs.training_choices import parameters_of
from offline.publishing.thresholds import read_thresholds
from schemas.values.rating_scale import scale_of
from schemas.values.weights import parse_weights


def options_of(settings: OfflineSettings, log: Path | None = None) -> TrainingOptions:
    """Returns the options of a training by these settings."""
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
        kept_days=settings.retention,
        rating_scale=scale_of(settings.rating_scale),
        weights=parse_weights(settings.weights),
        list_length=settings.list_length,
        similar_length=settings.similar_length,
        stored_users=settings.stored_users,
        held_out_users=settings.held_out_users,
        keep_versions=settings.keep_versions,
        gate=read_thresholds(settings.gate),
        single_limit=settings.single_limit,
        threads=settings.threads,
        spark=_spark_options(settings, log),
    )


def _spark_options(settings: OfflineSettings, log: Path | None) -> SparkOptions:
    return SparkOptions(
        master=settings.spark_master,
        memory=settings.spark_memory,
        stack=settings.spark_stack,
        checkpoint=settings.spark_checkpoint,
        checkpoint_interval=settings.spark_checkpoint_interval,
        log=log,
    )


def factorization_of(settings: OfflineSettings) -> Factorization:
    """Returns the algorithm that produces the factors.

    It is the algorithm of the lists if that is a factorization, else the setting ``factorization``.
    """
    if settings.algorithm in TrainingOptions.factorizations:
        return cast("Factorization", settings.algorithm)
    return settings.factorization
