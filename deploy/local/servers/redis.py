"""Redis, as the distribution packages it."""

import json

from deploy.local import probes, programs
from deploy.local.config import StackConfig
from deploy.local.jars import Report
from deploy.local.servers.base import Port, render


class Redis:
    """Answers at once, or when it has read its append-only file."""

    def ports(self, config: StackConfig) -> list[Port]:
        """Its only one."""
        return [Port(config.redis_port, "redis_port")]

    def prepare(self, config: StackConfig, _report: Report, /) -> list[str]:
        """Needs the `redis-server` program."""
        program = programs.find("redis-server", "redis-server")
        conf = config.home("redis") / "redis.conf"
        conf.write_text(conf_text(config))
        return [program, str(conf)]

    def answers(self, host: str, port: int) -> bool:
        """Whether it has loaded its data and serves."""
        return probes.redis_answers(host, port)


def conf_text(config: StackConfig) -> str:
    """The server's configuration."""
    data = json.dumps(str(config.data("redis")))
    return render("redis.conf", host=config.host, port=config.redis_port, data=data)
