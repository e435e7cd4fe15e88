"""Users and certificates of the servers: what belongs together, and what is refused in one sentence."""

from __future__ import annotations

import pytest

from schemas.configuration.settings import SharedSettings
from schemas.errors import ConfigurationInvalid


def cluster(**settings) -> SharedSettings:
    return SharedSettings(stack="cluster", **settings)


@pytest.fixture
def pem(tmp_path):
    path = tmp_path / "some.pem"
    path.touch()
    return path


def test_a_server_that_asks_for_nothing_needs_no_setting():
    settings = cluster()
    addresses = (settings.log_address, settings.signals_address, settings.models_address)
    assert [address.access.tls for address in addresses] == [False, False, False]
    assert [address.access.user for address in addresses] == ["", "", ""]


def test_each_server_gets_its_own_user_and_certificates(pem):
    settings = cluster(
        kafka_security_protocol="SASL_SSL",
        kafka_user="k",
        kafka_password="kp",
        kafka_ca=pem,
        redis="rediss://host:1/0",
        redis_user="r",
        redis_password="rp",
        cassandra_tls=True,
        cassandra_user="c",
        cassandra_password="cp",
    )
    addresses = (settings.log_address, settings.signals_address, settings.models_address)
    assert [a.access.user + a.access.password.get_secret_value() for a in addresses] == ["kkp", "rrp", "ccp"]
    assert [a.access.tls for a in addresses] == [True, True, True]
    assert settings.log_address.access.mechanism == "SCRAM-SHA-512"


def test_an_address_never_shows_its_password():
    settings = cluster(redis_password="geheim", redis="redis://u:geheim@host:1/0")
    assert "geheim" not in repr(settings.signals_address.access)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"kafka_security_protocol": "SASL_SSL"}, "needs FRESHET_KAFKA_USER and FRESHET_KAFKA_PASSWORD"),
        ({"kafka_user": "k"}, "has no user: choose SASL_SSL"),
        ({"kafka_ca": "/no/file"}, "FRESHET_KAFKA_CA has an effect only if FRESHET_KAFKA_SECURITY_PROTOCOL"),
        ({"kafka_security_protocol": "SSL", "kafka_ca": "/no/file"}, "FRESHET_KAFKA_CA: there is no file /no/file"),
    ],
)
def test_settings_of_kafka_that_do_not_belong_together_are_refused(settings, sentence):
    with pytest.raises(ConfigurationInvalid, match=sentence):
        _ = cluster(**settings).log_address


def test_a_certificate_without_its_key_is_refused(pem):
    with pytest.raises(ConfigurationInvalid, match="FRESHET_REDIS_CERTIFICATE and FRESHET_REDIS_KEY both, or neither"):
        _ = cluster(redis="rediss://host", redis_certificate=pem).signals_address


def test_an_authority_for_a_redis_without_tls_is_refused(pem):
    with pytest.raises(ConfigurationInvalid, match="FRESHET_REDIS_CA has an effect only if FRESHET_REDIS begins"):
        _ = cluster(redis_ca=pem).signals_address


def test_a_password_of_cassandra_needs_its_role():
    with pytest.raises(ConfigurationInvalid, match="FRESHET_CASSANDRA_PASSWORD needs FRESHET_CASSANDRA_USER"):
        _ = cluster(cassandra_password="x").models_address
