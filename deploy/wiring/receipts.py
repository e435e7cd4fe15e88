"""The route of receipts for the online API, which reads where the collector writes."""

from __future__ import annotations

import time

from fastapi import APIRouter

from adapters.registry import adapter
from deploy.config import settings_of_tier
from ingest.config import IngestSettings
from ingest.http.privacy import PrivacyDependencies, build_erasures_router
from ingest.privacy.secret import site_secret
from schemas.configuration.settings import SharedSettings


def receipts_router(settings: SharedSettings) -> APIRouter:
    """The route that reads receipts of erasures; its store connects at the first request. Raises ConfigurationInvalid."""
    ingest = settings_of_tier(IngestSettings, settings)
    secret = site_secret(ingest.receipt_secret.get_secret_value(), settings.data)
    documents = adapter(settings.models_address).documents(settings.models_address)
    return build_erasures_router(PrivacyDependencies(documents, secret, time.time))
