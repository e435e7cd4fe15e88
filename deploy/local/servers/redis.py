"""Redis, as the distribution packages it, and its sentinels."""

import json

from deploy.local import probes, programs
from deploy.local.config import StackConfig
from deploy.local.jars import Report
from deploy.local.security import ADMIN
from deploy.local.servers.base import Port, render

WATCHED = "freshet"
"""The name under which sentinels know the master."""


class Redis:
    """Answers at once, or when it has read its append-only file."""

    def ports(self, config: StackConfig) -> list[Port]:
        """Its only one."""
        return [Port(config.redis_port, "redis_port")]

    def prepare(self, config: StackConfig, _report: Report, /) -> list[str]:
        """Needs the `redis-server` program."""
        program = programs.find("redis-server", "redis-server")
        home = config.home("redis")
        if config.security is not None and not (home / "users.acl").exists():
            # Other users are made by the administrator, and `ACL SAVE` writes them here.
            (home / "users.acl").write_text(
                f"user default off\nuser {ADMIN} on >{config.security.password} ~* &* +@all\n"
            )
        conf = home / "redis.conf"
        conf.write_text(conf_text(config))
        return [program, str(conf)]

    def answers(self, config: StackConfig, port: int) -> bool:
        """Whether it has loaded its data and serves."""
        return probes.redis_answers(config.host, port, config.probe_context())


class Sentinel:
    """Watches one Redis master and its replicas, and makes a replica the master if the master is gone."""

    def ports(self, config: StackConfig) -> list[Port]:
        """Its only one."""
        return [Port(config.sentinel_port, "sentinel_port")]

    def prepare(self, config: StackConfig, _report: Report, /) -> list[str]:
        """Needs the `redis-server` program. A sentinel writes what it learns into its configuration."""
        program = programs.find("redis-server", "redis-server")
        conf = config.home("sentinel") / "sentinel.conf"
        if not conf.exists():
            conf.write_text(
                render(
                    "sentinel.conf",
                    host=config.host,
                    port=config.sentinel_port,
                    watched=WATCHED,
                    master=config.sentinel_watches,
                    data=json.dumps(str(config.data("sentinel"))),
                )
            )
        return [program, str(conf), "--sentinel"]

    def answers(self, config: StackConfig, port: int) -> bool:
        """Whether it answers."""
        return probes.redis_answers(config.host, port)


def conf_text(config: StackConfig) -> str:
    """The server's configuration."""
    data = json.dumps(str(config.data("redis")))
    text = render("redis.conf", host=config.host, port=0 if config.security else config.redis_port, data=data)
    if config.security is not None:
        security = config.security
        text += _TLS.format(
            port=config.redis_port,
            certificate=json.dumps(str(security.certificate)),
            key=json.dumps(str(security.key)),
            ca=json.dumps(str(security.ca)),
            users=json.dumps(str(config.home("redis") / "users.acl")),
        )
    return text + "".join(f"{line}\n" for line in config.redis_options)


_TLS = """
tls-port {port}
tls-cert-file {certificate}
tls-key-file {key}
tls-ca-cert-file {ca}
tls-auth-clients optional
tls-replication yes
tls-cluster yes
aclfile {users}
"""
