"""Kafka: one node that is its own controller (KRaft)."""

import base64
import subprocess
import uuid
from pathlib import Path

from deploy.local import jars, probes, programs
from deploy.local.config import StackConfig
from deploy.local.errors import FormatFailed
from deploy.local.jars import CONF, Report
from deploy.local.servers.base import Port, render


class Kafka:
    """Answers 2 to 3 s after its start."""

    def ports(self, config: StackConfig) -> list[Port]:
        """The broker's and the controller's."""
        return [
            Port(config.kafka_port, "kafka_port"),
            Port(config.kafka_controller_port, "kafka_controller_port"),
        ]

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
            _format(java, properties, config.log("kafka"))
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

    def answers(self, host: str, port: int) -> bool:
        """Whether the broker is registered and serves."""
        return probes.kafka_answers(host, port)


def properties_text(config: StackConfig) -> str:
    """The broker's configuration."""
    return render(
        "kafka.properties",
        host=config.host,
        port=config.kafka_port,
        controller_port=config.kafka_controller_port,
        data=config.data("kafka"),
    )


def new_cluster_id() -> str:
    """A random id in Kafka's own form."""
    text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    # The formatter would take a leading dash for an option.
    return f"A{text[1:]}" if text.startswith("-") else text


def _format(java: list[str], properties: Path, log: Path) -> None:
    formatter = ["-XX:TieredStopAtLevel=1", "kafka.tools.StorageTool", "format"]
    arguments = ["--cluster-id", new_cluster_id(), "--config", str(properties)]
    with log.open("a") as output:
        ended = subprocess.run([*java, *formatter, *arguments], stdout=output, stderr=output, check=False)
    if ended.returncode != 0:
        raise FormatFailed("kafka", log)
