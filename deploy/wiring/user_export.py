"""The route of exports of what is held on a user, for the process that reaches log, signals and models: the online API."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

from fastapi import APIRouter

from deploy.config import settings_of_tier
from deploy.wiring.dependencies import open_dependencies
from ingest.config import IngestSettings
from ingest.http.export import ExportDependencies, build_export_router
from ingest.privacy.export.stores import ExportStores
from schemas.configuration.settings import SharedSettings
from schemas.http.access.guard import Access

_MINUTE: Final = 60.0


def user_export_router(settings: SharedSettings, access: Access | None) -> APIRouter:
    """The route of exports; each export opens its own connections. Raises ConfigurationInvalid."""
    seconds = settings_of_tier(IngestSettings, settings).user_export_minutes * _MINUTE
    audit = access.audit if access else None
    return build_export_router(ExportDependencies(partial(_open_stores, settings), audit, time.time, seconds))


@contextmanager
def _open_stores(settings: SharedSettings) -> Iterator[ExportStores]:
    with open_dependencies(settings) as opened:
        yield ExportStores(opened.reader, opened.archive, opened.signals, opened.models, opened.answers)
