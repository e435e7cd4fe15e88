"""Cassandra: one node, as the whole ring or as one of several."""

from deploy.local import jars, probes, programs
from deploy.local.config import StackConfig
from deploy.local.jars import CONF, Report
from deploy.local.servers.base import Port, render

_JAVA = 17

_OPENED = (
    "java.base/java.io",
    "java.base/java.lang",
    "java.base/java.lang.module",
    "java.base/java.lang.reflect",
    "java.base/java.math",
    "java.base/java.net",
    "java.base/java.nio",
    "java.base/java.util",
    "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic",
    "java.base/jdk.internal.loader",
    "java.base/jdk.internal.math",
    "java.base/jdk.internal.module",
    "java.base/jdk.internal.ref",
    "java.base/jdk.internal.reflect",
    "java.base/jdk.internal.util.jar",
    "java.base/jdk.internal.vm",
    "java.base/sun.nio.ch",
    "java.rmi/sun.rmi.transport.tcp",
    "jdk.management/com.sun.management.internal",
)
_EXPORTED = (
    "java.base/java.lang.ref",
    "java.base/jdk.internal.misc",
    "java.base/jdk.internal.ref",
    "java.base/sun.nio.ch",
    "java.management.rmi/com.sun.jmx.remote.internal.rmi",
    "java.management/com.sun.jmx.remote.security",
    "java.rmi/sun.rmi.registry",
    "java.rmi/sun.rmi.server",
    "java.rmi/sun.rmi.transport.tcp",
    "java.sql/java.sql",
    "jdk.attach/sun.tools.attach",
    "jdk.compiler/com.sun.tools.javac.file",
    "jdk.unsupported/sun.misc",
)


_ALONE = (
    # Nobody else will ever join, so there is nobody to wait for.
    "-Dcassandra.ring_delay_ms=1",
    "-Dcassandra.skip_wait_for_gossip_to_settle=0",
)
_JOINING = ("-Dcassandra.ring_delay_ms=3000", "-Dcassandra.consistent.rangemovement=false")

_SECURED = """
authenticator: PasswordAuthenticator
authorizer: CassandraAuthorizer
role_manager: CassandraRoleManager
# By default a change of a role counts after up to two seconds.
roles_validity: 100ms
permissions_validity: 100ms
credentials_validity: 100ms
client_encryption_options:
  enabled: true
  optional: false
  require_client_auth: false
  ssl_context_factory:
    class_name: org.apache.cassandra.security.PEMBasedSslContextFactory
  keystore: {keystore}
  truststore: {truststore}
"""


class Cassandra:
    """Answers some 8 s after its start."""

    def ports(self, config: StackConfig) -> list[Port]:
        """CQL's, and the one that nodes would use among themselves."""
        return [
            Port(config.cassandra_port, "cassandra_port"),
            Port(config.cassandra_storage_port, "cassandra_storage_port"),
        ]

    def prepare(self, config: StackConfig, report: Report, /) -> list[str]:
        """Needs Java 17: later ones lack what Cassandra 5.0 calls."""
        java = programs.java_of_version("cassandra", _JAVA)
        classpath = jars.classpath("cassandra", config.jars, report)
        settings = config.home("cassandra") / "cassandra.yaml"
        settings.write_text(yaml_text(config))
        heap = f"{config.cassandra_heap_mib}m"
        return [
            java,
            f"-Xms{heap}",
            f"-Xmx{heap}",
            "-XX:+ExitOnOutOfMemoryError",
            *(f"--add-opens={name}=ALL-UNNAMED" for name in _OPENED),
            *(f"--add-exports={name}=ALL-UNNAMED" for name in _EXPORTED),
            "-Djdk.attach.allowAttachSelf=true",
            "-Djava.security.manager=allow",
            "-Dio.netty.tryReflectionSetAccessible=true",
            *(_JOINING if config.cassandra_seeds else _ALONE),
            # By default the first role is made ten seconds after the start.
            "-Dcassandra.superuser_setup_delay_ms=0",
            f"-Dcassandra.config={settings.as_uri()}",
            f"-Dcassandra.storagedir={config.data('cassandra')}",
            f"-Dlogback.configurationFile={CONF / 'cassandra.logback.xml'}",
            "-cp",
            classpath,
            "org.apache.cassandra.service.CassandraDaemon",
        ]

    def answers(self, config: StackConfig, port: int) -> bool:
        """Whether CQL is served."""
        return probes.cassandra_answers(config.host, port, config.probe_context())


def yaml_text(config: StackConfig) -> str:
    """The node's configuration."""
    text = render(
        "cassandra.yaml",
        host=config.host,
        port=config.cassandra_port,
        storage_port=config.cassandra_storage_port,
        seeds=config.cassandra_seeds or f"{config.host}:{config.cassandra_storage_port}",
        data=config.data("cassandra"),
    )
    if config.security is None:
        return text
    return text + _SECURED.format(
        keystore=config.security.bundle(config.home("cassandra")), truststore=config.security.ca
    )
