"""One Freshet whose processes and servers a fault can end, freeze and start again: embedded, or on real servers."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import stamina
from prometheus_client.parser import text_string_to_metric_families

from deploy.config import CommandSettings
from deploy.local import stack as servers
from deploy.local.config import SERVERS, StackConfig
from deploy.local.groups import NodeGroup
from deploy.local.processes import ProcessRecord
from deploy.processes import cluster
from deploy.processes.supervisor import Service
from deploy.wiring.dependencies import Dependencies, open_dependencies, prepare
from schemas.errors import FreshetError, ServerMissing
from schemas.keys import Signal
from schemas.log import topics
from schemas.log.codec import decode_event
from tests.e2e.systems import free_port
from tests.faults.oracle import PLAIN, Counts, Expected, LogEvent
from tests.faults.proxy import Proxy

ROOT = Path(__file__).resolve().parents[2]
TERM_SECONDS = 20.0
START_SECONDS = 300.0
"""A process may be the first one that compiles its loops, on a machine with other work."""


class Process:
    """One process of Freshet; its output is in ``<folder>/<name>.out``."""

    def __init__(self, name: str, arguments: list[str], environment: Mapping[str, str], folder: Path) -> None:
        self.name, self.log = name, folder / f"{name}.out"
        self._trigger = folder / f"{name}.misbehave"
        self._plain = self._command = [sys.executable, *arguments]
        self.environment = dict(environment)
        self.root = ROOT
        """The folder of the code that the next start runs."""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} has not been started"
        return self._process.pid

    def shift(self, seconds: float) -> None:
        """Let its clock be off by so many seconds from its next start on."""
        python, *arguments = self._plain
        shifted = ["-m", "tests.faults.shifted", str(seconds), *arguments[1:]]
        self._command = [python, *(shifted if seconds else arguments)]

    def may_misbehave(self) -> None:
        """Let ``misbehave`` have an effect from its next start on."""
        python, *arguments = self._plain
        self._command = [python, "-m", "tests.faults.misbehaving", str(self._trigger), *arguments[1:]]

    def misbehave(self, name: str) -> None:
        """Let the next call of a kind go wrong, once: a name of ``misbehaving``."""
        self._trigger.write_text(name)

    def has_misbehaved(self) -> bool:
        return not self._trigger.exists()

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        assert not self.alive(), f"{self.name} runs already"
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                cwd=self.root,
                env={**os.environ, **self.environment, "PYTHONPATH": str(self.root)},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def kill(self) -> None:
        """End it as a crash would."""
        self.signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait()

    def stop(self) -> None:
        """End it in an orderly way; killed where it does not go."""
        self.signal(signal.SIGTERM)
        try:
            if self._process is not None:
                self._process.wait(TERM_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def freeze(self) -> None:
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.signal(signal.SIGCONT)

    def last_line(self) -> str:
        """The last line of its output."""
        return (self.log.read_text(errors="replace").strip().splitlines() or [""])[-1][:300]

    def signal(self, number: signal.Signals) -> None:
        if self.alive():
            assert self._process is not None
            self._process.send_signal(number)


class World:
    """The processes of one site by name, and its log and stores as the oracle reads them."""

    stack: str
    api: str
    collector: str

    def __init__(self, folder: Path, settings: CommandSettings) -> None:
        self.folder, self.settings = folder, settings
        self.processes: dict[str, Process] = {}
        self.proxies: dict[str, Proxy] = {}
        self.groups: dict[str, NodeGroup] = {}
        self.disk: Any = None

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a command on this site."""
        named = {
            name: str(getattr(self.settings, name))
            for name in ("stack", "kafka", "redis", "cassandra", "prefix", "data")
        }
        return {**os.environ, **{f"FRESHET_{name.upper()}": value for name, value in named.items()}}

    @property
    def collecting(self) -> str:
        """The name of the process that takes events."""
        raise NotImplementedError

    @property
    def folding(self) -> list[str]:
        """The names of the processes that fold events."""
        raise NotImplementedError

    def command(self, *arguments: str) -> list[str]:
        """The command line of ``freshet`` on this site; run it with ``environment``."""
        return [
            sys.executable,
            "-m",
            "deploy.commands.cli",
            *arguments,
            "--data",
            str(self.settings.data),
            "--stack",
            self.stack,
        ]

    def freshet(self, *arguments: str, seconds: float = 300.0) -> subprocess.CompletedProcess[str]:
        """Run ``freshet`` on this site to its end."""
        return subprocess.run(
            self.command(*arguments),
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
        )

    def start_all(self) -> None:
        """Start every process that does not run, and wait until both HTTP ends are alive."""
        for process in self.processes.values():
            if not process.alive():
                process.start()
        self.wait_until(
            lambda: cluster.alive(self.api) and cluster.alive(self.collector), START_SECONDS, "both ends answer"
        )

    def wait_until(self, condition: Callable[[], bool], seconds: float, what: str) -> float:
        """Returns the seconds until the condition held; raises TimeoutError with the end of each log."""
        began = time.monotonic()
        while not condition():
            if time.monotonic() - began > seconds:
                raise TimeoutError(f"{what}: not within {seconds:g} s\n{self.logs()}")
            time.sleep(0.05)
        return time.monotonic() - began

    def logs(self, characters: int = 1_500) -> str:
        """The end of each process's output."""
        return "\n".join(
            f"--- {path.name}\n{path.read_text(errors='replace')[-characters:]}" for path in self.folder.glob("*.out")
        )

    @contextlib.contextmanager
    def opened(self) -> Iterator[Dependencies]:
        """The log and the stores of this site, past every proxy."""
        with open_dependencies(self.settings) as dependencies:
            yield dependencies

    def lag(self, dependencies: Dependencies) -> int:
        """Records on the log that some signal lacks. Raises FreshetError."""
        from nearline.processor import SIGNALS

        lag = 0
        for topic, signals in SIGNALS.items():
            log_id = dependencies.reader.log_id(topic)
            for partition in range(self.settings.partitions):
                _, end = dependencies.reader.bounds(topic, partition)
                for name in signals:
                    fence = dependencies.signals.fence(partition, name)
                    lag += end - (fence.offset + 1 if fence and fence.log_id == log_id else 0)
        return lag

    def wait_until_applied(self, seconds: float = 180.0) -> None:
        """Wait until every signal has every record of the log."""
        with self.opened() as dependencies:

            def applied() -> bool:
                try:
                    return self.lag(dependencies) == 0
                except FreshetError:
                    return False

            self.wait_until(applied, seconds, "all records are applied")

    def close(self) -> None:
        """End every process."""
        for process in self.processes.values():
            process.thaw()
            if process.alive():
                process.kill()


class EmbeddedWorld(World):
    """``freshet up`` on one folder."""

    stack = "embedded"
    collecting = "freshet"
    folding = ["freshet"]  # noqa: RUF012 - never changed

    def __init__(self, folder: Path, data: Path | None = None, environment: Mapping[str, str] | None = None) -> None:
        super().__init__(folder, CommandSettings(stack="embedded", data=data or folder / "data"))
        self.settings.data.mkdir(parents=True, exist_ok=True)
        port = free_port()
        self.api = self.collector = f"http://127.0.0.1:{port}"
        arguments = ["-m", "deploy.commands.cli", "up", "--data", str(self.settings.data), "--port", str(port)]
        self.processes["freshet"] = Process(
            "freshet", arguments, {"FRESHET_STACK": "embedded", **(environment or {})}, folder
        )


class ClusterWorld(World):
    """Collector, workers and online API as processes of their own, over the servers of a stack that this world may break."""

    stack = "cluster"
    collecting = "collector"

    def __init__(
        self,
        stack: StackConfig,
        folder: Path,
        *,
        addresses: Mapping[str, str] | None = None,
        workers: int = 2,
        through: Mapping[str, Mapping[str, str]] | None = None,
        api: bool = True,
    ) -> None:
        """``addresses``: those of servers that are not of this stack. ``through``: variables of one process, by the beginning
        of its name; to send it through a proxy, say.
        """
        self.servers = stack
        addresses = {**stack.environment(), **(addresses or {})}
        settings = CommandSettings(prefix=f"f{uuid.uuid4().hex[:10]}").with_servers(addresses)
        super().__init__(folder, settings.model_copy(update={"data": folder}))
        _prepare(self.settings)
        ports = cluster.Ports(free_port(), free_port(), free_port())
        self.api, self.collector = f"http://127.0.0.1:{ports.api}", f"http://127.0.0.1:{ports.collector}"
        self._through = through or {}
        for service in cluster.services(self.settings, ports, workers, folder):
            if api or service.name != "api":
                self._add(service)
        self._joined = workers

    @property
    def folding(self) -> list[str]:
        return [name for name, process in self.processes.items() if name.startswith("worker") and process.alive()]

    def add_worker(self) -> str:
        """Start one more worker, and return its name."""
        self._joined += 1
        ports = cluster.Ports(workers_from=free_port() - self._joined)
        service = cluster.services(self.settings, ports, self._joined, self.folder)[self._joined]
        self._add(service)
        self.processes[service.name].start()
        return service.name

    def _add(self, service: Service) -> None:
        environment = dict(service.environment)
        for name, variables in self._through.items():
            if service.name.startswith(name):
                environment |= variables
        self.processes[service.name] = Process(service.name, ["-m", service.module], environment, self.folder)

    def server_signal(self, server: str, number: signal.Signals) -> None:
        """Send a signal to a server of this stack."""
        record = ProcessRecord.read(self.servers.home(server) / "process.json")
        assert record is not None
        assert record.alive()
        os.kill(record.pid, number)

    def kill_server(self, server: str) -> None:
        servers.kill(self.servers, server)

    def start_servers(self, *names: str) -> None:
        servers.start(self.servers, names)


def metric(process: Process, name: str) -> float:
    """Returns the sum over all labels of a metric that a process serves; 0 if it does not answer."""
    url = f"http://127.0.0.1:{process.environment['FRESHET_METRICS_PORT']}/metrics"
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            text = response.read().decode()
    except OSError:
        return 0.0
    families = text_string_to_metric_families(text)
    return sum(sample.value for family in families for sample in family.samples if sample.name == name)


@stamina.retry(on=ServerMissing, attempts=10, timeout=START_SECONDS)
def _prepare(settings: CommandSettings) -> None:
    prepare(settings)


@contextlib.contextmanager
def own_stack(
    folder: Path, names: tuple[str, ...] = SERVERS, data: Mapping[str, Path] | None = None
) -> Iterator[StackConfig]:
    """Servers of this run's own, wiped at its end. ``data``: folders elsewhere for the data of some."""
    config = replace(StackConfig.with_free_ports(folder / "stack"), start_timeout=300.0)
    for server, elsewhere in (data or {}).items():
        elsewhere.mkdir()
        config.home(server).mkdir(parents=True)
        config.data(server).symlink_to(elsewhere)
    servers.start(config, names)
    try:
        yield config
    finally:
        servers.stop(config)
        shutil.rmtree(config.folder, ignore_errors=True)


def logged_events(dependencies: Dependencies, partitions: int) -> list[LogEvent]:
    """Every event of the log and, where retention removed some, of the archive, that can be decoded."""
    return [
        LogEvent(event.event_id, event.partition_key, event.item_id or "", event.type)
        for event in map(_decoded, _records(dependencies, topics.EVENTS, partitions))
        if event is not None
    ]


def logged_titles(dependencies: Dependencies, partitions: int) -> set[str]:
    """The titles of all upserts of items on the log."""
    from schemas.catalogue import decode_upsert

    records = _records(dependencies, topics.ITEMS, partitions)
    return {str((decode_upsert(record.value).fields or {}).get("title")) for record in records if record.value}


def stored_counts(dependencies: Dependencies, partitions: int) -> Expected:
    """What the signals have counted of the plain users and items."""
    from signals import user_codec
    from signals.kinds import popularity

    by_user, by_item = Counts(), Counts()
    for partition in range(partitions):
        for key, value in dict(dependencies.signals.scan(partition, Signal.USERS)).items():
            if (user := key.removeprefix("u:")).startswith(PLAIN):
                by_user.update({(user, kind): count for kind, count in user_codec.decode(value).counters.items()})
        for key, value in dict(dependencies.signals.scan(partition, Signal.AGGREGATES)).items():
            if (item := key.removeprefix("pop:")).startswith(PLAIN):
                counters = popularity.KIND.decode(value)
                by_item.update({(item, kind): counted.count for kind, counted in counters.types.items()})
    return Expected(by_user, by_item)


def _records(dependencies: Dependencies, topic: str, partitions: int) -> Iterator[Any]:
    log_id = dependencies.reader.log_id(topic)
    for partition in range(partitions):
        begin, end = dependencies.reader.bounds(topic, partition)
        if begin:
            yield from dependencies.archive.read(topic, log_id, partition, 0, begin)
        while begin < end and (records := dependencies.reader.read(topic, partition, begin, 2_000)):
            yield from records
            begin = records[-1].offset + 1


def _decoded(record: Any) -> Any:
    from schemas.errors import Undecodable

    try:
        return decode_event(record.value or b"", record.timestamp_ms)
    except Undecodable:
        return None
