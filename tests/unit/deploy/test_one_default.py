"""A setting that several tiers share has one default, wherever it is read."""

import pytest

from deploy.config import CommandSettings
from ingest.config import IngestSettings
from nearline.config import NearlineConfig
from offline.config import OfflineSettings
from schemas.configuration.settings import SharedSettings
from serving.config import Settings as ServingSettings

OWN = {"log_level"}
"""A command is quieter than a server: it alone says so."""


@pytest.mark.parametrize("tier", [CommandSettings, IngestSettings, NearlineConfig, OfflineSettings, ServingSettings])
def test_every_tier_has_the_shared_defaults(tier):
    shared = SharedSettings.model_fields.keys() - OWN
    defaults = {name: tier.model_fields[name].default for name in shared}
    assert defaults == {name: SharedSettings.model_fields[name].default for name in shared}


@pytest.mark.parametrize("tier", [CommandSettings, IngestSettings, NearlineConfig, OfflineSettings, ServingSettings])
def test_a_tier_is_embedded_unless_the_environment_says_otherwise(tier, monkeypatch):
    monkeypatch.delenv("FRESHET_STACK", raising=False)
    assert tier().stack == "embedded"
    monkeypatch.setenv("FRESHET_STACK", "cluster")
    assert tier().log_address.scheme == "kafka"
