"""The settings of a cluster's servers: where they are, who we are to them, and how many copies they keep."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from schemas.configuration.durability import EVENTS_DAYS, USERS_DAYS, Durability, Mode
from schemas.configuration.secrets import MayHoldPassword
from schemas.configuration.server_access import NO_SECRET, ServerAccess
from schemas.errors import ConfigurationInvalid

KafkaProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
KafkaMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
SECURE_REDIS: Final = "rediss"
"""Schemes of Redis that begin with this are encrypted."""


class ServerSettings(BaseModel):
    """The addresses of Kafka, Redis and Cassandra, with users, passwords and certificates."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    kafka: str = "127.0.0.1:19092"
    """Kafka's bootstrap servers: host:port, comma-separated."""
    kafka_security_protocol: KafkaProtocol = "PLAINTEXT"
    """How to connect to Kafka: `PLAINTEXT`, `SSL` (encrypted), `SASL_PLAINTEXT` (with a user) or `SASL_SSL` (both)."""
    kafka_sasl_mechanism: KafkaMechanism = "SCRAM-SHA-512"
    """How the user proves its password to Kafka: `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`."""
    kafka_user: str = ""
    """User of this process at Kafka."""
    kafka_password: SecretStr = NO_SECRET
    """Password of that user."""
    kafka_ca: Path | None = None
    """PEM file of the authority that signed the brokers' certificates. By default the authorities of this machine."""
    kafka_certificate: Path | None = None
    """PEM file of this process's certificate, for brokers that ask for one."""
    kafka_key: Path | None = None
    """PEM file of that certificate's key, without a password."""
    redis: Annotated[str, MayHoldPassword()] = "redis://127.0.0.1:16379/0"
    """Redis, the signal store, as a URL: `redis://host:port/0`, `redis+sentinel://host:port,host:port/service`, `redis+cluster://host:port,host:port`; with TLS `rediss…`."""
    redis_user: str = ""
    """User (ACL) of this process at Redis; a user in the URL goes before."""
    redis_password: SecretStr = NO_SECRET
    """Password at Redis; one in the URL goes before."""
    redis_ca: Path | None = None
    """PEM file of the authority that signed Redis's certificate. By default the authorities of this machine."""
    redis_certificate: Path | None = None
    """PEM file of this process's certificate, for a Redis that asks for one."""
    redis_key: Path | None = None
    """PEM file of that certificate's key, without a password."""
    redis_sentinel_user: str = ""
    """User of this process at the sentinels."""
    redis_sentinel_password: SecretStr = NO_SECRET
    """Password at the sentinels."""
    cassandra: str = "127.0.0.1:19042"
    """Cassandra, the model store: host:port, comma-separated."""
    cassandra_user: str = ""
    """Role of this process at Cassandra."""
    cassandra_password: SecretStr = NO_SECRET
    """Password of that role."""
    cassandra_tls: bool = False
    """Whether the connection to Cassandra is encrypted."""
    cassandra_ca: Path | None = None
    """PEM file of the authority that signed Cassandra's certificates. By default the authorities of this machine."""
    cassandra_certificate: Path | None = None
    """PEM file of this process's certificate, for a Cassandra that asks for one."""
    cassandra_key: Path | None = None
    """PEM file of that certificate's key, without a password."""
    cassandra_datacenter: Annotated[str, Field(max_length=128)] = ""
    """Data center of this process, whose nodes it asks. By default that of the first node that replies."""
    durability: Mode = "auto"
    """`replicated`: three copies of everything, two of them before an event is accepted. `single`: one copy, lost with its disk. `auto`: `single` on fewer than three servers of this machine, else `replicated`."""
    topic_replication: Annotated[int, Field(ge=0, le=99)] = 0
    """Copies of each topic, when it is made; 0 is 3, or 1 where `FRESHET_DURABILITY` says so."""
    min_insync_replicas: Annotated[int, Field(ge=0, le=99)] = 0
    """Copies that must have an event before it is accepted; 0 is one fewer than there are, at least 2, or 1 where `FRESHET_DURABILITY` says so."""
    keyspace_replication: str = ""
    """Copies of Cassandra's keyspace, when it is made: a number, or `dc1:3,dc2:3`. By default 3, or 1 where `FRESHET_DURABILITY` says so."""
    events_days: Annotated[int, Field(ge=1, le=36_500)] = EVENTS_DAYS
    """Days that Kafka keeps events, when the topic is made. Archive within this time, or what Kafka dropped is in no archive."""
    users_days: Annotated[int, Field(ge=0, le=36_500)] = USERS_DAYS
    """Days that Kafka keeps changes of users' attributes, when the topic is made; 0: for ever, and then no erasure has a date. Archive within this time, or a rebuild lacks what Kafka dropped."""
    allow_eviction: bool = False
    """Whether a Redis may be used that throws values away when its memory is full. What it throws away is lost until the signals are rebuilt."""

    def copies(self) -> Durability:
        """How many copies the servers keep."""
        return Durability(
            self.durability,
            self.topic_replication,
            self.min_insync_replicas,
            self.keyspace_replication,
            self.events_days,
            self.allow_eviction,
            self.users_days,
        )

    def server_environment(self) -> dict[str, str]:
        """The variables by which another process gets these settings. They contain passwords."""
        return {
            f"FRESHET_{name.upper()}": str(value.get_secret_value() if isinstance(value, SecretStr) else value)
            for name, field in ServerSettings.model_fields.items()
            if (value := getattr(self, name)) != field.default or name in ("kafka", "redis", "cassandra")
        }

    def kafka_access(self) -> ServerAccess:
        """How to connect to Kafka; raises ConfigurationInvalid."""
        protocol = self.kafka_security_protocol
        tls, sasl = protocol.endswith("SSL"), protocol.startswith("SASL")
        access = ServerAccess(
            self.kafka_user,
            self.kafka_password,
            tls,
            self.kafka_ca,
            self.kafka_certificate,
            self.kafka_key,
            self.kafka_sasl_mechanism if sasl else "",
        )
        _check("KAFKA", access, "FRESHET_KAFKA_SECURITY_PROTOCOL is SSL or SASL_SSL")
        if bool(self.kafka_user) != sasl:
            raise ConfigurationInvalid(
                f"FRESHET_KAFKA_SECURITY_PROTOCOL={protocol} "
                + (
                    "needs FRESHET_KAFKA_USER and FRESHET_KAFKA_PASSWORD"
                    if sasl
                    else "has no user: choose SASL_SSL, or unset FRESHET_KAFKA_USER"
                )
            )
        return access

    def redis_access(self, url: str) -> ServerAccess:
        """How to connect to the Redis of this URL; raises ConfigurationInvalid."""
        access = ServerAccess(
            self.redis_user,
            self.redis_password,
            url.startswith(SECURE_REDIS),
            self.redis_ca,
            self.redis_certificate,
            self.redis_key,
            sentinel_user=self.redis_sentinel_user,
            sentinel_password=self.redis_sentinel_password,
        )
        _check("REDIS", access, "FRESHET_REDIS begins with rediss")
        return access

    def cassandra_access(self) -> ServerAccess:
        """How to connect to Cassandra; raises ConfigurationInvalid."""
        access = ServerAccess(
            self.cassandra_user,
            self.cassandra_password,
            self.cassandra_tls,
            self.cassandra_ca,
            self.cassandra_certificate,
            self.cassandra_key,
            datacenter=self.cassandra_datacenter,
        )
        _check("CASSANDRA", access, "FRESHET_CASSANDRA_TLS is true")
        return access


def _check(server: str, access: ServerAccess, encrypted_if: str) -> None:
    """Raises ConfigurationInvalid if settings have no effect together, or if a file is missing."""
    files = {"CA": access.ca, "CERTIFICATE": access.certificate, "KEY": access.key}
    for name, path in files.items():
        if path is not None and not access.tls:
            raise ConfigurationInvalid(f"FRESHET_{server}_{name} has an effect only if {encrypted_if}")
        if path is not None and not path.is_file():
            raise ConfigurationInvalid(f"FRESHET_{server}_{name}: there is no file {path}")
    if (access.certificate is None) != (access.key is None):
        raise ConfigurationInvalid(f"set FRESHET_{server}_CERTIFICATE and FRESHET_{server}_KEY both, or neither")
    if access.password.get_secret_value() and not access.user and server != "REDIS":
        raise ConfigurationInvalid(f"FRESHET_{server}_PASSWORD needs FRESHET_{server}_USER")
