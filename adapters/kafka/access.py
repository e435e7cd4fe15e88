"""How clients of Kafka connect: addresses, users and certificates, and what a refused connection is called."""

from __future__ import annotations

from typing import Any, Final

from confluent_kafka import KafkaError
from confluent_kafka.admin import AdminClient

from schemas.configuration.server_access import ServerAccess

Setting = str | int | float | bool

# librdkafka writes reconnects to stderr by itself; failures that matter are returned as errors.
_QUIET: Final[dict[str, Setting]] = {
    "log_level": 0,
    "socket.timeout.ms": 10_000,
    "topic.metadata.refresh.interval.ms": 30_000,
}
_REFUSED: Final = {
    KafkaError._AUTHENTICATION: "set FRESHET_KAFKA_USER and FRESHET_KAFKA_PASSWORD",  # noqa: SLF001 - librdkafka's local codes begin so
    KafkaError._SSL: "renew the certificate, or set FRESHET_KAFKA_CA to its authority",  # noqa: SLF001
}
"""What to do about a connection that Kafka, or this process, refuses."""


def connection_settings(servers: str, access: ServerAccess) -> dict[str, Setting]:
    """The settings by which a client of confluent-kafka connects."""
    settings: dict[str, Setting] = {
        **_QUIET,
        "bootstrap.servers": servers,
        "security.protocol": protocol(access),
    }
    files = {
        "ssl.ca.location": access.ca,
        "ssl.certificate.location": access.certificate,
        "ssl.key.location": access.key,
    }
    settings |= {name: str(path) for name, path in files.items() if path is not None}
    if access.mechanism:
        settings |= {
            "sasl.mechanism": access.mechanism,
            "sasl.username": access.user,
            "sasl.password": access.password.get_secret_value(),
        }
    return settings


def spark_options(servers: str, access: ServerAccess) -> dict[str, str]:
    """The options by which Spark's source connects. Executors must find the files of certificates at the same path."""
    options = {"bootstrap.servers": servers, "security.protocol": protocol(access)}
    if access.ca is not None:
        options |= {"ssl.truststore.type": "PEM", "ssl.truststore.location": str(access.ca)}
    if access.certificate is not None and access.key is not None:
        options |= {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.certificate.chain": access.certificate.read_text(),
            "ssl.keystore.key": access.key.read_text(),
        }
    if access.mechanism:
        module = "plain.PlainLoginModule" if access.mechanism == "PLAIN" else "scram.ScramLoginModule"
        user, password = (_quoted(text) for text in (access.user, access.password.get_secret_value()))
        options |= {
            "sasl.mechanism": access.mechanism,
            "sasl.jaas.config": (
                f"org.apache.kafka.common.security.{module} required username={user} password={password};"
            ),
        }
    return {f"kafka.{name}": text for name, text in options.items()}


def _quoted(text: str) -> str:
    """A text in the quotes of a JAAS configuration."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def protocol(access: ServerAccess) -> str:
    """Kafka's name of the way to connect: ``SASL_SSL``."""
    return ("SASL_" if access.mechanism else "") + ("SSL" if access.tls else "PLAINTEXT")


class Connection:
    """An administrator's client, which also knows why a connection is refused."""

    def __init__(self, servers: str, access: ServerAccess) -> None:
        self._servers = servers
        self._refusal: KafkaError | None = None
        settings: dict[str, Any] = {**connection_settings(servers, access), "error_cb": self._noted}
        self.admin = AdminClient(settings)

    def sentence(self, error: KafkaError) -> str:
        """What happened and what to do, for a call that failed."""
        self.admin.poll(0)  # calls _noted
        if self._refusal is None:
            return f"Kafka does not answer at {self._servers} ({error.str()}): start it (make stack), or set FRESHET_KAFKA to where it runs"
        # librdkafka's text begins with the address, and ends with the time that the attempt took.
        reason = self._refusal.str().partition("bootstrap: ")[2].partition(" (after ")[0] or self._refusal.str()
        return f"there is no connection to Kafka at {self._servers} ({reason}): {_REFUSED[self._refusal.code()]}"

    def _noted(self, error: KafkaError) -> None:
        if error.code() in _REFUSED:
            self._refusal = error
