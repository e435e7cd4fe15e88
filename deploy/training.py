"""Runs the training job on the parts of a stack."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from deploy.parts import Parts
from offline.config import OfflineSettings
from offline.engines import EngineName
from offline.jobs.train import Skipped, TrainingParts, train
from offline.main import options_of
from schemas.manifest import Manifest


def train_in(
    parts: Parts,
    engine: EngineName,
    *,
    force: bool,
    progress: Callable[[str, int, int], None],
    now: datetime | None = None,
) -> Manifest | Skipped:
    """Train and publish; raises what ``offline.jobs.train.train`` raises."""
    working = TrainingParts(parts.reader, parts.archive, parts.models, parts.writer, time.time)
    at = None if now is None else now.timestamp()
    return train(working, engine, force, at, progress, options_of(OfflineSettings()))
