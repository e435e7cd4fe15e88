"""Secrets come from the environment or from files, and are never shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.config import CommandSettings
from ingest.config import IngestSettings
from nearline.config import NearlineConfig
from offline.config import OfflineSettings
from schemas.configuration.secrets import is_secret, masked
from schemas.configuration.settings import read_settings
from schemas.errors import ConfigurationInvalid
from serving.config import Settings

TIERS = [CommandSettings, IngestSettings, NearlineConfig, OfflineSettings, Settings]
WORDS = ("password", "secret", "token", "pepper", "signing")


@pytest.mark.parametrize("settings", TIERS)
def test_a_secret_may_come_from_a_file(settings, monkeypatch, tmp_path):
    (tmp_path / "kafka").write_text("pa ss\n")
    monkeypatch.setenv("FRESHET_KAFKA_PASSWORD_FILE", str(tmp_path / "kafka"))
    assert read_settings(settings).kafka_password.get_secret_value() == "pa ss"


def test_an_address_with_a_password_may_come_from_a_file(monkeypatch, tmp_path):
    (tmp_path / "redis").write_text("redis://ann:pw@host:1/0\n")
    monkeypatch.setenv("FRESHET_REDIS_FILE", str(tmp_path / "redis"))
    assert read_settings(CommandSettings).redis == "redis://ann:pw@host:1/0"


def test_a_secret_that_is_set_twice_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("FRESHET_KAFKA_PASSWORD", "one")
    monkeypatch.setenv("FRESHET_KAFKA_PASSWORD_FILE", str(tmp_path / "other"))
    with pytest.raises(ConfigurationInvalid, match="KAFKA_PASSWORD and FRESHET_KAFKA_PASSWORD_FILE are both set"):
        read_settings(CommandSettings)


def test_a_file_of_a_secret_that_cannot_be_read_is_named(monkeypatch):
    monkeypatch.setenv("FRESHET_REDIS_PASSWORD_FILE", "/no/such/file")
    with pytest.raises(ConfigurationInvalid, match=r"FRESHET_REDIS_PASSWORD_FILE: /no/such/file"):
        read_settings(CommandSettings)


@pytest.mark.parametrize("settings", TIERS)
def test_every_setting_with_the_name_of_a_secret_is_treated_as_one(settings):
    named = {name for name in settings.model_fields if any(word in name.split("_") for word in WORDS)}
    assert named == {name for name in named if is_secret(settings.model_fields[name])}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("redis://ann:pw@host:1/0", "redis://ann:***@host:1/0"),
        ("rediss://:p@w/x@host", "rediss://:***@host"),
        ("redis+sentinel://pw@a:1,b:2/s", "redis+sentinel://***@a:1,b:2/s"),
        ("redis://host/0?password=pw&db=1", "redis://host/0?password=***&db=1"),
        ("Redis at redis://a:pw@h and redis://b:pw@h", "Redis at redis://a:***@h and redis://b:***@h"),
        ("sqlite://data/a@b", "sqlite://data/a@b"),
    ],
)
def test_an_address_is_shown_without_its_password(text, shown):
    assert masked(text) == shown


@given(st.text(st.characters(exclude_characters="@ \t\n\r/?#&", categories=["L", "N", "P", "S"]), min_size=6))
def test_no_password_is_left_in_an_address(password):
    assert password not in masked(f"redis://ann:{password}@host:1/0").removeprefix("redis://ann:").removesuffix(
        "@host:1/0"
    )


ADDRESS = "redis://ann:pa-ss@host:6379/0"


@pytest.mark.parametrize("settings", TIERS)
def test_settings_and_addresses_that_end_up_in_a_log_show_no_password(settings, monkeypatch):
    secrets = ("KAFKA_PASSWORD", "REDIS_PASSWORD", "CASSANDRA_PASSWORD")
    for variable in ("REDIS", "LOG", "SIGNALS", "MODEL_STORE"):
        monkeypatch.setenv(f"FRESHET_{variable}", ADDRESS)
    for number, variable in enumerate(secrets):
        monkeypatch.setenv(f"FRESHET_{variable}", f"pa-ss-{number}")
    read = read_settings(settings)
    assert read.redis == ADDRESS
    shown = [repr(read), str(read), *(repr(getattr(read, f"{part}_address")) for part in ("log", "signals", "models"))]
    for text in (*shown, f"{read!r:>9}", str([read.signals_address])):
        assert "pa-ss" not in text
    assert "redis://ann:***@host:6379/0" in repr(read)
    assert "redis://ann:***@host:6379/0" in repr(read.signals_address)
