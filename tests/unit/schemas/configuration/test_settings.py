from __future__ import annotations

import pytest

from ingest.config import IngestSettings
from nearline.config import NearlineConfig
from offline.config import OfflineSettings
from offline.training.registry import algorithm, algorithms
from schemas.configuration.plugins import load_plugins
from schemas.configuration.settings import read_settings
from schemas.errors import ConfigurationInvalid
from serving.config import Settings
from serving.ranking.candidates.registry import candidate_sources
from serving.ranking.reasons import sentence_of

SITE_SOURCE = """
from serving.ranking.candidates.source import CandidateSource, Sentence
from serving.ranking.context import NO_CANDIDATES

SOURCE = CandidateSource("house_picks", 0.5, Sentence("picked by us"), lambda context: NO_CANDIDATES)
"""
SITE_ALGORITHM = """
from offline.training.algorithm import Algorithm

ALGORITHM = Algorithm(name="house_rules", about="ours", parameters=object, train=None, kind="neighbours")
"""


@pytest.mark.parametrize("settings", [IngestSettings, NearlineConfig, OfflineSettings, Settings])
def test_a_setting_that_cannot_be_used_is_named_in_one_sentence(monkeypatch, settings):
    monkeypatch.setenv("FRESHET_PARTITIONS", "some")
    with pytest.raises(ConfigurationInvalid, match=r"^FRESHET_PARTITIONS: [^\n]+$"):
        read_settings(settings)


def test_origins_are_separated_by_commas_and_blanks_do_not_count(monkeypatch):
    monkeypatch.setenv("FRESHET_CORS_ORIGINS", "https://a.example, https://b.example,")
    assert read_settings(Settings).cors_origins == ("https://a.example", "https://b.example")


@pytest.fixture
def site_module(tmp_path, monkeypatch):
    """Writes a module of the site and names it in the setting; nothing of it stays loaded after the test."""

    def write(name: str, text: str) -> None:
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setenv("FRESHET_PLUGINS", name)

    yield write
    load_plugins(())


def test_a_module_of_the_site_adds_a_candidate_source(site_module):
    site_module("site_source", SITE_SOURCE)
    settings = read_settings(Settings)
    assert candidate_sources()["house_picks"].weight == 0.5
    assert settings.ranking_config().sources["house_picks"] == 0.5
    assert sentence_of("house_picks").alone == "picked by us"


def test_a_module_of_the_site_adds_an_algorithm(site_module):
    site_module("site_algorithm", SITE_ALGORITHM)
    read_settings(OfflineSettings)
    assert algorithm("house_rules").about == "ours"


def test_without_the_setting_nothing_of_the_site_stays(site_module, monkeypatch):
    site_module("site_source_gone", SITE_SOURCE)
    read_settings(Settings)
    monkeypatch.delenv("FRESHET_PLUGINS")
    read_settings(Settings)
    assert "house_picks" not in candidate_sources()


def test_a_module_that_is_missing_is_named(monkeypatch):
    monkeypatch.setenv("FRESHET_PLUGINS", "no_such_module")
    with pytest.raises(ConfigurationInvalid, match=r"^FRESHET_PLUGINS: .*no_such_module"):
        read_settings(Settings)


@pytest.mark.parametrize(
    ("text", "registry", "name"),
    [
        (SITE_SOURCE.replace("house_picks", "popular"), candidate_sources, "popular"),
        (SITE_ALGORITHM.replace("house_rules", "als"), algorithms, "als"),
    ],
)
def test_a_plugin_cannot_silently_replace_what_is_built_in(site_module, text, registry, name):
    site_module(f"site_{name}", text)
    read_settings(Settings)
    with pytest.raises(ConfigurationInvalid, match=f"named '{name}'"):
        registry()
