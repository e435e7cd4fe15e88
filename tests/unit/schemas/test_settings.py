from __future__ import annotations

import pytest

from ingest.config import IngestSettings
from nearline.config import NearlineConfig
from offline.config import OfflineSettings
from schemas.errors import ConfigurationInvalid
from schemas.settings import read_settings
from serving.config import Settings


@pytest.mark.parametrize("settings", [IngestSettings, NearlineConfig, OfflineSettings, Settings])
def test_a_setting_that_cannot_be_used_is_named_in_one_sentence(monkeypatch, settings):
    monkeypatch.setenv("FRESHET_PARTITIONS", "some")
    with pytest.raises(ConfigurationInvalid, match=r"^FRESHET_PARTITIONS: [^\n]+$"):
        read_settings(settings)


def test_origins_are_separated_by_commas_and_blanks_do_not_count(monkeypatch):
    monkeypatch.setenv("FRESHET_CORS_ORIGINS", "https://a.example, https://b.example,")
    assert read_settings(Settings).cors_origins == ("https://a.example", "https://b.example")
