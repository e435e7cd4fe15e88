"""How clients of Kafka connect, and how Spark does."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from schemas.configuration.server_access import NO_ACCESS, ServerAccess

kafka_access = pytest.importorskip("adapters.kafka.access")

SCRAM = ServerAccess("ann", SecretStr('p"w\\'), tls=True, ca=Path("/ca.pem"), mechanism="SCRAM-SHA-512")


@pytest.mark.parametrize(
    ("access", "protocol"),
    [
        (NO_ACCESS, "PLAINTEXT"),
        (ServerAccess(tls=True), "SSL"),
        (ServerAccess("ann", mechanism="PLAIN"), "SASL_PLAINTEXT"),
        (SCRAM, "SASL_SSL"),
    ],
)
def test_the_protocol_follows_from_the_user_and_the_encryption(access, protocol):
    assert kafka_access.protocol(access) == protocol
    assert kafka_access.connection_settings("k:9092", access)["security.protocol"] == protocol


def test_a_client_gets_user_password_and_authority():
    settings = kafka_access.connection_settings("k:9092", SCRAM)
    assert settings["sasl.username"] == "ann"
    assert settings["sasl.password"] == 'p"w\\'
    assert settings["ssl.ca.location"] == "/ca.pem"
    assert "ssl.key.location" not in settings


def test_spark_gets_the_same_with_its_signs_escaped():
    options = kafka_access.spark_options("k:9092", SCRAM)
    assert options["kafka.ssl.truststore.location"] == "/ca.pem"
    assert options["kafka.sasl.jaas.config"].endswith(
        'scram.ScramLoginModule required username="ann" password="p\\"w\\\\";'
    )
    assert kafka_access.spark_options("k:9092", NO_ACCESS) == {
        "kafka.bootstrap.servers": "k:9092",
        "kafka.security.protocol": "PLAINTEXT",
    }
