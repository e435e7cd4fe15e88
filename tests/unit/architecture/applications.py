"""All HTTP applications, with everything switched on, for tests of what they have in common."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fastapi import FastAPI

from deploy.config import CommandSettings
from deploy.embedded.app import create_app as create_embedded
from deploy.embedded.app import nearline
from deploy.wiring.online import open_stores
from ingest.config import IngestSettings
from ingest.main import create_app as create_collector
from offline.main import create_app as create_receiver
from offline.publishing.external_models import ExternalModelOptions
from offline.publishing.upload_api import UploadApi
from serving.config import Settings
from serving.main import create_app as create_online_api


@contextmanager
def applications(folder: Path) -> Iterator[dict[str, FastAPI]]:
    """The application of each process, by a name."""
    settings = Settings(data=folder, page=True, docs=True)
    upload_api = UploadApi("token", None, ExternalModelOptions(user_list=10, item_list=10))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FRESHET_MODELS_TOKEN", "token")
        with nearline(CommandSettings(data=folder)) as running:
            yield {
                "embedded": create_embedded(running, settings),
                "collector": create_collector(IngestSettings(docs=True), None, None),
                "online API": create_online_api(settings, open_stores(settings)),
                "online API without page": create_online_api(Settings(data=folder), open_stores(settings)),
                "receiver of models": create_receiver(upload_api),
            }
