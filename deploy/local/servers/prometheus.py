"""Prometheus, as the distribution packages it; a stack runs it only when asked to."""

from pathlib import Path

from deploy.local import probes, programs
from deploy.local.config import StackConfig
from deploy.local.jars import Report
from deploy.local.servers.base import Port, render


class Prometheus:
    """Scrapes this machine's Freshet processes, or what the given configuration says."""

    def ports(self, config: StackConfig) -> list[Port]:
        """Its only one."""
        return [Port(config.prometheus_port, "prometheus_port")]

    def prepare(self, config: StackConfig, _report: Report, /) -> list[str]:
        """Needs the `prometheus` program."""
        program = programs.find("prometheus", "prometheus")
        return [
            program,
            f"--config.file={config.prometheus_config or _default_config(config)}",
            f"--storage.tsdb.path={config.data('prometheus')}",
            f"--web.listen-address={config.host}:{config.prometheus_port}",
        ]

    def answers(self, config: StackConfig, port: int) -> bool:
        """Whether it says that it is ready."""
        return probes.prometheus_answers(config.host, port)


def _default_config(config: StackConfig) -> Path:
    path = config.home("prometheus") / "prometheus.yml"
    path.write_text(render("prometheus.yml", host=config.host))
    return path
