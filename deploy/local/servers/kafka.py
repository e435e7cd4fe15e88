"""Kafka: a node that is broker and controller (KRaft), alone or one of several."""

import base64
import subprocess
import uuid
from pathlib import Path

from deploy.local import jars, probes, programs
from deploy.local.config import StackConfig
from deploy.local.errors import FormatFailed
from deploy.local.jars import CONF, Report
from deploy.local.security import ADMIN
from deploy.local.servers.base import Port, render

_PLAIN = """
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
"""

# Clients log in with a password or show a certificate; brokers and controllers show theirs. Nobody else may do anything
# until the administrator allows it.
_SECURED = """
listeners=SASL_SSL://{host}:{port},SSL://{host}:{tls_port},CONTROLLER://{host}:{controller_port}
advertised.listeners=SASL_SSL://{host}:{port},SSL://{host}:{tls_port}
listener.security.protocol.map=SASL_SSL:SASL_SSL,SSL:SSL,CONTROLLER:SSL
inter.broker.listener.name=SSL
sasl.enabled.mechanisms=SCRAM-SHA-512,SCRAM-SHA-256
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.type=PEM
ssl.keystore.location={keystore}
ssl.truststore.type=PEM
ssl.truststore.location={truststore}
ssl.client.auth=required
ssl.principal.mapping.rules=RULE:^.*CN=([^,]+).*$/$1/,DEFAULT
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=false
super.users=User:{node};User:{admin}
"""


class Kafka:
    """Answers 2 to 3 s after its start."""

    def ports(self, config: StackConfig) -> list[Port]:
        """The broker's and the controller's."""
        ports = [
            Port(config.kafka_port, "kafka_port"),
            Port(config.kafka_controller_port, "kafka_controller_port"),
        ]
        return ports if config.security is None else [*ports, Port(config.kafka_tls_port, "kafka_tls_port")]

    def prepare(self, config: StackConfig, report: Report, /) -> list[str]:
        """Formats a new data folder under a new cluster id: a wiped log is another log."""
        classpath = jars.classpath("kafka", config.jars, report)
        properties = config.home("kafka") / "server.properties"
        properties.write_text(properties_text(config))
        java = [
            programs.java(),
            f"-Dlog4j.configuration={(CONF / 'kafka.log4j.properties').as_uri()}",
            "-cp",
            classpath,
        ]
        if not (config.data("kafka") / "meta.properties").exists():
            _format(java, properties, config)
        return [
            *java[:1],
            f"-Xmx{config.kafka_heap_mib}m",
            *([] if config.kafka_optimised else ["-XX:TieredStopAtLevel=1"]),
            # On a small machine a parallel collector costs more than it gives back.
            "-XX:+UseSerialGC",
            "-XX:+ExitOnOutOfMemoryError",
            *java[1:],
            "kafka.Kafka",
            str(properties),
        ]

    def answers(self, config: StackConfig, port: int) -> bool:
        """Whether the broker is registered and serves."""
        if config.security is None:
            return probes.kafka_answers(config.host, port)
        # Who shows the certificate of the nodes needs no password.
        return probes.kafka_answers(config.host, config.kafka_tls_port, config.security.client_context())


def properties_text(config: StackConfig) -> str:
    """The broker's configuration."""
    nodes = max(1, len(config.kafka_voters.split(",")))
    text = render(
        "kafka.properties",
        node=config.kafka_node,
        voters=config.kafka_voters or f"{config.kafka_node}@{config.host}:{config.kafka_controller_port}",
        copies=min(3, nodes),
        in_sync=min(2, nodes),
        host=config.host,
        port=config.kafka_port,
        controller_port=config.kafka_controller_port,
        data=config.data("kafka"),
    )
    return text + (_PLAIN if config.security is None else _SECURED).format(
        host=config.host,
        port=config.kafka_port,
        tls_port=config.kafka_tls_port,
        controller_port=config.kafka_controller_port,
        **_security_values(config),
    )


def _security_values(config: StackConfig) -> dict[str, object]:
    if config.security is None:
        return {}
    security = config.security
    return {
        "keystore": security.bundle(config.home("kafka")),
        "truststore": security.ca,
        "node": security.node,
        "admin": ADMIN,
    }


def new_cluster_id() -> str:
    """A random id in Kafka's own form."""
    text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    # The formatter would take a leading dash for an option.
    return f"A{text[1:]}" if text.startswith("-") else text


def _format(java: list[str], properties: Path, config: StackConfig) -> None:
    formatter = ["-XX:TieredStopAtLevel=1", "kafka.tools.StorageTool", "format"]
    arguments = ["--cluster-id", config.kafka_cluster_id or new_cluster_id(), "--config", str(properties)]
    if config.security is not None:
        arguments += ["--add-scram", f"SCRAM-SHA-512=[name={ADMIN},password={config.security.password}]"]
    log = config.log("kafka")
    with log.open("a") as output:
        ended = subprocess.run([*java, *formatter, *arguments], stdout=output, stderr=output, check=False)
    if ended.returncode != 0:
        raise FormatFailed("kafka", log)
