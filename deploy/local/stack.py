"""Starts, stops and breaks the real servers on this machine.

Every function acts only on servers that were started in the same folder. It ends a process only if the
process has the recorded pid and start time.
"""

import shutil
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from deploy.local import ports
from deploy.local.config import SERVERS, StackConfig
from deploy.local.errors import (
    NotRunning,
    RunsElsewhere,
    ServerPortInUse,
    StartFailed,
    StartTimeout,
    StillRunning,
    UnsupportedSystem,
)
from deploy.local.jars import Report, locked
from deploy.local.processes import ProcessRecord, spawn
from deploy.local.servers import KNOWN, server_named

__all__ = [
    "SERVERS",
    "ServerStatus",
    "StackConfig",
    "StartedServer",
    "client_port",
    "kill",
    "restart",
    "running",
    "start",
    "status",
    "stop",
    "wipe",
]

_POLL_SECONDS = 0.05

Result = TypeVar("Result")


@dataclass(frozen=True)
class StartedServer:
    """A server that answers, and how long that took; it may have run already."""

    server: str
    seconds: float
    already_running: bool


@dataclass(frozen=True)
class ServerStatus:
    """One server's state: `answering`, `silent` (runs, but does not serve) or `stopped`."""

    server: str
    state: str
    pid: int | None
    port: int
    log: Path


def _say_nothing(_message: str) -> None:
    return


def start(config: StackConfig, servers: Iterable[str] = SERVERS, report: Report = _say_nothing) -> list[StartedServer]:
    """Starts the servers side by side and returns when all of them answer.

    One that runs already is left as it is. When one fails, those that this call started are stopped
    again and its StackError is raised.
    """
    _require_proc()
    servers_by_name = {name: server_named(name) for name in servers}
    with _lock(config):
        running_records = {name: record for name in servers_by_name if (record := _record(config, name))}
        for name, record in running_records.items():
            _require_same_port(config, name, record)
        try:
            launched = _launch_all(config, [name for name in servers_by_name if name not in running_records], report)
            return _wait_for_all(config, {**running_records, **launched}, report, running_records)
        except BaseException:
            _end_all(config, [name for name in servers_by_name if name not in running_records], report)
            raise


def stop(config: StackConfig, servers: Iterable[str] | None = None, report: Report = _say_nothing) -> list[str]:
    """Ends the servers in an orderly way (all of the folder's by default); returns which ran."""
    _require_proc()
    chosen = list(KNOWN) if servers is None else list(servers)
    if not config.folder.exists():
        return []
    with _lock(config):
        return _end_all(config, chosen, report)


def kill(config: StackConfig, server: str) -> None:
    """Ends one server as a crash would (`kill -9`) and returns when it is gone."""
    record = _record(config, _checked_name(server))
    if record is None:
        raise NotRunning(server)
    record.kill()


def wipe(config: StackConfig, server: str) -> None:
    """Removes a stopped server's data; Kafka comes back with a new cluster id."""
    if _record(config, _checked_name(server)) is not None:
        raise StillRunning(server)
    shutil.rmtree(config.data(server), ignore_errors=True)


def restart(config: StackConfig, server: str, report: Report = _say_nothing) -> StartedServer:
    """Stops one server if it runs, and starts it again on the same data."""
    stop(config, [server], report)
    return start(config, [server], report)[0]


def status(config: StackConfig, servers: Iterable[str] | None = None) -> list[ServerStatus]:
    """How the servers are (all that the folder has by default)."""
    chosen = [name for name in KNOWN if config.home(name).exists()] if servers is None else servers
    return [_status_of(config, name) for name in chosen]


@contextmanager
def running(
    config: StackConfig, servers: Iterable[str] = SERVERS, report: Report = _say_nothing
) -> Iterator[dict[str, str]]:
    """A stack for the length of a `with`, as its environment; what ran before is left running."""
    chosen = list(servers)
    started = start(config, chosen, report)
    try:
        yield config.environment(chosen)
    finally:
        stop(config, [server.server for server in started if not server.already_running], report)


def _launch_all(config: StackConfig, names: list[str], report: Report) -> dict[str, ProcessRecord]:
    for name in names:
        _require_free_ports(config, name)
    # Nothing is launched before all can be: a missing program is named at once, not after a slow start.
    commands = _together(lambda name: _prepare(config, name, report), names)
    return {name: _launch(config, name, command) for name, command in zip(names, commands, strict=True)}


def _prepare(config: StackConfig, name: str, report: Report) -> list[str]:
    config.data(name).mkdir(parents=True, exist_ok=True)
    _set_log_aside(config.log(name))
    return server_named(name).prepare(config, report)


def _launch(config: StackConfig, name: str, command: list[str]) -> ProcessRecord:
    record = spawn(command, config.log(name), client_port(config, name))
    record.write(_record_path(config, name))
    return record


def _wait_for_all(
    config: StackConfig, records: Mapping[str, ProcessRecord], report: Report, running_names: Collection[str]
) -> list[StartedServer]:
    began = time.monotonic()
    waiting = list(records)
    started: list[StartedServer] = []
    while waiting:
        waited = time.monotonic() - began
        for name in [name for name in waiting if _answers(config, name, records[name], waited)]:
            waiting.remove(name)
            started.append(StartedServer(name, waited, already_running=name in running_names))
            report(f"{name} runs already" if name in running_names else f"{name} answers after {waited:.1f} s")
        time.sleep(_POLL_SECONDS if waiting else 0)
    return started


def _answers(config: StackConfig, name: str, record: ProcessRecord, waited: float) -> bool:
    if server_named(name).answers(config, record.port):
        return True
    if not record.alive():
        raise StartFailed(name, config.log(name))
    if waited > config.start_timeout:
        raise StartTimeout(name, config.start_timeout, config.log(name))
    return False


def _require_same_port(config: StackConfig, name: str, record: ProcessRecord) -> None:
    port = client_port(config, name)
    if record.port != port:
        raise RunsElsewhere(name, record.port, port)


def _require_free_ports(config: StackConfig, name: str) -> None:
    for port in server_named(name).ports(config):
        if not ports.is_free(config.host, port.number):
            raise ServerPortInUse(name, port.number, ports.holder(port.number), port.setting)


def client_port(config: StackConfig, name: str) -> int:
    """The port that clients of a server use."""
    return server_named(name).ports(config)[0].number


def _end_all(config: StackConfig, names: list[str], report: Report) -> list[str]:
    ended = _together(lambda name: _end_one(config, name, report), names)
    return [name for name, ran in zip(names, ended, strict=True) if ran]


def _end_one(config: StackConfig, name: str, report: Report) -> bool:
    record = _record(config, _checked_name(name))
    if record is not None:
        orderly = record.end(config.stop_timeout)
        report(f"{name} stopped" if orderly else f"{name} did not stop and was killed")
    _record_path(config, name).unlink(missing_ok=True)
    return record is not None


def _status_of(config: StackConfig, name: str) -> ServerStatus:
    record = _record(config, name)
    if record is None:
        return ServerStatus(name, "stopped", None, client_port(config, name), config.log(name))
    state = "answering" if server_named(name).answers(config, record.port) else "silent"
    return ServerStatus(name, state, record.pid, record.port, config.log(name))


def _together(work: Callable[[str], Result], names: list[str]) -> list[Result]:
    with ThreadPoolExecutor(max_workers=max(1, len(names))) as pool:
        return list(pool.map(work, names))


def _record(config: StackConfig, name: str) -> ProcessRecord | None:
    record = ProcessRecord.read(_record_path(config, name))
    return record if record is not None and record.alive() else None


def _record_path(config: StackConfig, name: str) -> Path:
    return config.home(name) / "process.json"


def _checked_name(name: str) -> str:
    server_named(name)
    return name


def _set_log_aside(log: Path) -> None:
    if log.exists():
        log.replace(log.with_name(f"{log.name}.1"))


@contextmanager
def _lock(config: StackConfig) -> Iterator[None]:
    config.folder.mkdir(parents=True, exist_ok=True)
    with locked(config.folder / ".lock"):
        yield


def _require_proc() -> None:
    if not Path("/proc/self/stat").exists():
        raise UnsupportedSystem
