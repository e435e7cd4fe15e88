"""The scale of a site's ratings: its setting, or what an import has noted beside the data."""

from __future__ import annotations

from typing import TypeVar

from ingest.import_pipeline.base import Importer
from schemas.configuration.settings import SharedSettings
from schemas.ports import Documents
from schemas.values.rating_scale import NOTED, RatingScale, scale_of

S = TypeVar("S", bound=SharedSettings)


def with_noted_scale(settings: S, documents: Documents) -> S:
    """The settings with the noted scale, unless they name one; raises JobStoreUnavailable."""
    if settings.rating_scale:
        return settings
    noted = (documents.read(NOTED) or b"").decode()
    return settings.model_copy(update={"rating_scale": noted})


def scale_of_data(settings: SharedSettings, importer: Importer) -> RatingScale:
    """The scale of an evaluation: the setting, or that of the data set's first ratings."""
    return scale_of(settings.rating_scale) if settings.rating_scale else RatingScale.of(importer.ratings())


def scale_for_import(settings: SharedSettings, importer: Importer | None, documents: Documents) -> RatingScale:
    """The scale of an import: the site's, or that of the first ratings, which is then noted. Raises JobStoreUnavailable."""
    known = with_noted_scale(settings, documents).rating_scale
    ratings = [] if known or importer is None else list(importer.ratings())
    if not ratings:
        return scale_of(known)
    scale = RatingScale.of(ratings)
    documents.write(NOTED, str(scale).encode())
    return scale
