import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local import errors, ports, programs, stack
from deploy.local.config import StackConfig
from deploy.local.processes import ProcessRecord
from deploy.local.servers import KNOWN
from deploy.local.servers.base import Port

TALKER = """
import socket, sys
with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as server:
    while True:
        server.accept()[0].close()
"""


class Toy:
    """A server that only listens, in place of the real ones."""

    def __init__(self, program: str = TALKER) -> None:
        self.program = program

    def ports(self, config: StackConfig) -> list[Port]:
        return [Port(config.redis_port, "redis_port")]

    def prepare(self, config: StackConfig, _report: object, /) -> list[str]:
        return [sys.executable, "-c", self.program, str(config.redis_port)]

    def answers(self, config: StackConfig, port: int) -> bool:
        try:
            socket.create_connection((config.host, port), 1).close()
        except OSError:
            return False
        return True


@pytest.fixture
def config(tmp_path: Path):
    config = StackConfig.with_free_ports(tmp_path)
    yield config
    stack.stop(config)


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KNOWN, "redis", Toy())


@pytest.mark.usefixtures("toy")
def test_starting_a_running_stack_leaves_it_alone_and_says_so(config: StackConfig) -> None:
    said: list[str] = []
    stack.start(config, ["redis"])
    before = stack.status(config)
    assert stack.start(config, ["redis"], said.append)[0].already_running
    assert stack.status(config) == before
    assert said == ["redis runs already"]


@pytest.mark.usefixtures("toy")
def test_a_stopped_server_has_its_data_and_a_wiped_one_has_none(config: StackConfig) -> None:
    stack.start(config, ["redis"])
    (config.data("redis") / "kept").touch()
    assert stack.stop(config) == ["redis"]
    assert (config.data("redis") / "kept").exists()
    stack.wipe(config, "redis")
    assert not config.data("redis").exists()


@pytest.mark.usefixtures("toy")
def test_a_running_servers_data_is_not_wiped(config: StackConfig) -> None:
    stack.start(config, ["redis"])
    with pytest.raises(errors.StillRunning, match="stop it before"):
        stack.wipe(config, "redis")


@pytest.mark.usefixtures("toy")
def test_a_killed_server_is_stopped_and_starts_again(config: StackConfig) -> None:
    stack.start(config, ["redis"])
    stack.kill(config, "redis")
    assert stack.status(config)[0].state == "stopped"
    assert not stack.start(config, ["redis"])[0].already_running
    assert stack.status(config)[0].state == "answering"


@pytest.mark.usefixtures("toy")
def test_a_stack_in_a_with_block_ends_with_it_but_not_what_ran_before(config: StackConfig) -> None:
    with stack.running(config, ["redis"]):
        with stack.running(config, ["redis"]) as environment:
            assert environment["FRESHET_REDIS"] == f"redis://127.0.0.1:{config.redis_port}/0"
        assert stack.status(config)[0].state == "answering"
    assert stack.status(config)[0].state == "stopped"


@pytest.mark.usefixtures("toy")
def test_a_port_in_use_is_named_with_who_uses_it(config: StackConfig) -> None:
    with socket.create_server((config.host, config.redis_port)), pytest.raises(errors.ServerPortInUse) as raised:
        stack.start(config, ["redis"])
    assert f"port {config.redis_port} is used by" in str(raised.value)
    assert f"(pid {os.getpid()})" in str(raised.value)
    assert "--redis-port" in str(raised.value)


def test_a_server_that_ends_while_starting_is_told_with_its_log(
    config: StackConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(KNOWN, "redis", Toy("raise SystemExit('no disk')"))
    with pytest.raises(errors.StartFailed) as raised:
        stack.start(config, ["redis"])
    assert str(config.log("redis")) in str(raised.value)
    assert "no disk" in config.log("redis").read_text()


def test_a_server_that_never_answers_is_stopped_again(config: StackConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KNOWN, "redis", Toy("import time; time.sleep(60)"))
    object.__setattr__(config, "start_timeout", 0.2)
    with pytest.raises(errors.StartTimeout, match="did not answer within"):
        stack.start(config, ["redis"])
    assert stack.status(config)[0].state == "stopped"


def test_nothing_is_launched_when_one_server_lacks_its_program(
    config: StackConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(KNOWN, "kafka", Toy())
    monkeypatch.setenv("PATH", str(config.folder))
    monkeypatch.setattr(Toy, "ports", lambda _self, config: [Port(config.kafka_port, "kafka_port")])
    with pytest.raises(errors.ProgramMissing, match="apt-get install redis-server"):
        stack.start(config, ["kafka", "redis"])
    assert not config.log("kafka").exists()


def test_stop_never_ends_a_process_that_merely_has_a_recorded_pid(config: StackConfig) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        config.home("redis").mkdir()
        ProcessRecord(stranger.pid, "another boot:1", 1).write(config.home("redis") / "process.json")
        assert stack.stop(config) == []
        assert stranger.poll() is None
        stranger.communicate(b"\n")


def test_an_unknown_server_is_answered_with_the_known_ones(config: StackConfig) -> None:
    with pytest.raises(errors.UnknownServer, match="choose from cassandra, kafka, prometheus, redis"):
        stack.start(config, ["kafak"])


@pytest.mark.parametrize(
    ("text", "major"),
    [
        ('openjdk version "17.0.15" 2025-04-15', "17"),
        ('openjdk version "21" 2023-09-19', "21"),
        ('java version "1.8.0_392"', "8"),
        ("", "of an unknown version"),
    ],
)
def test_the_major_version_is_read_from_what_java_says(text: str, major: str) -> None:
    assert programs.major_version(text) == major


def test_only_listening_sockets_hold_a_port() -> None:
    table = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:4A94 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1 0
   1: 0100007F:4A94 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 222 1 0
"""
    assert ports.listening_inodes(table, 19092) == {"111"}
