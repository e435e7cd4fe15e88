"""Kafka, Redis and Cassandra that encrypt and ask for a user, each user with the rights of one process."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from deploy.config import CommandSettings
from deploy.local import stack as servers
from deploy.local.config import SERVERS, StackConfig
from deploy.local.errors import DownloadFailed, ProgramMissing, UnsupportedSystem, WrongJava
from deploy.local.security import ADMIN, StackSecurity
from deploy.wiring.dependencies import prepare
from tests.integration.secured import rights
from tests.integration.secured.certificates import Authority

SITE = "shop"
PASSWORD = "pass word/@:1"
"""Of every user: with signs that URLs and configurations must escape."""


@dataclass(frozen=True)
class Secured:
    """The running servers."""

    config: StackConfig
    authority: Authority
    folder: Path

    def settings(self, user: str, **changed: object) -> CommandSettings:
        """The settings of a process, or those of an administrator."""
        admin = user == ADMIN
        password = "adminpw" if admin else PASSWORD
        settings = {
            "prefix": SITE,
            "partitions": 2,
            "archive": self.folder / "archive",
            "kafka_security_protocol": "SASL_SSL",
            "kafka_user": user,
            "kafka_password": password,
            "kafka_ca": self.authority.ca,
            "redis_user": user,
            "redis_password": password,
            "redis_ca": self.authority.ca,
            "cassandra_tls": True,
            "cassandra_user": "cassandra" if admin else user,
            "cassandra_password": "cassandra" if admin else PASSWORD,
            "cassandra_ca": self.authority.ca,
        }
        return CommandSettings(**settings | changed).with_servers(self.config.environment())


@pytest.fixture(scope="session")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """Secured servers with the topics, the keyspace and the users of one site."""
    folder = tmp_path_factory.mktemp("secured")
    authority = Authority(folder / "certificates")
    node = authority.sign("node")
    security = StackSecurity(authority.ca, node.certificate, node.key, "adminpw")
    config = replace(
        StackConfig.with_free_ports(folder / "stack"),
        security=security,
        cassandra_heap_mib=512,
        kafka_heap_mib=256,
        start_timeout=300,
    )
    try:
        servers.start(config, SERVERS)
    except (ProgramMissing, WrongJava, UnsupportedSystem, DownloadFailed) as error:
        if os.environ.get("FRESHET_REQUIRE_STACK") == "1":
            pytest.fail(f"FRESHET_REQUIRE_STACK=1, but {error}")
        pytest.skip(str(error))
    try:
        opened = Secured(config, authority, folder)
        admin = opened.settings(ADMIN)
        prepare(admin)
        _add_users_of_kafka(admin)
        _add_users_of_redis(admin)
        _add_roles_of_cassandra(admin)
        yield opened
    finally:
        servers.stop(config)
        for server in SERVERS:
            servers.wipe(config, server)


def _add_users_of_kafka(admin: CommandSettings) -> None:
    from confluent_kafka.admin import (
        AclBinding,
        AclOperation,
        AclPermissionType,
        AdminClient,
        ResourcePatternType,
        ResourceType,
        ScramCredentialInfo,
        ScramMechanism,
        UserScramCredentialUpsertion,
    )

    from adapters.kafka.access import connection_settings

    client = AdminClient(connection_settings(admin.kafka, admin.kafka_access()))
    scram = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
    users = [UserScramCredentialUpsertion(name, scram, PASSWORD.encode()) for name in rights.KAFKA]

    def allowed(kind, name, user, operation):
        rule = (ResourcePatternType.LITERAL, f"User:{user}", "*", AclOperation[operation], AclPermissionType.ALLOW)
        return AclBinding(kind, name, *rule)

    bindings = [
        allowed(ResourceType.TOPIC, f"{SITE}.{topic}", user, operation)
        for user, by_topic in rights.KAFKA.items()
        for topic, operations in by_topic.items()
        for operation in operations
    ]
    bindings.append(allowed(ResourceType.GROUP, f"{SITE}-nearline", "worker", "READ"))
    for future in (*client.alter_user_scram_credentials(users).values(), *client.create_acls(bindings).values()):
        future.result(timeout=30)


def _add_users_of_redis(admin: CommandSettings) -> None:
    import redis

    access = admin.signals_address.access
    files = {"ssl_ca_certs": str(access.ca)}
    with redis.Redis.from_url(admin.redis, username=ADMIN, password="adminpw", **files) as client:
        for user, rules in rights.REDIS.items():
            # A selector in brackets is one rule.
            each_rule = re.findall(r"\([^)]*\)|\S+", rules.format(site=SITE))
            client.execute_command("ACL", "SETUSER", user, "on", f">{PASSWORD}", *each_rule)


def _add_roles_of_cassandra(admin: CommandSettings) -> None:
    from adapters.cassandra.ring import Ring

    ring = Ring(admin.cassandra, "system", admin.cassandra_access())
    session = ring.session()
    for role, permissions in rights.CASSANDRA.items():
        session.execute(f"CREATE ROLE {role} WITH PASSWORD = '{PASSWORD}' AND LOGIN = true")
        for permission in permissions:
            session.execute(f"GRANT {permission} ON KEYSPACE {SITE} TO {role}")
    ring.close()


@pytest.fixture(scope="session")
def settings_of(secured: Secured) -> Callable[..., CommandSettings]:
    """The settings of a process by the name of its user."""
    return secured.settings
