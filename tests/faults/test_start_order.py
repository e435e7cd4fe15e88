"""Processes that were started before their servers come up by themselves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from deploy.local import stack as servers
from deploy.local.config import StackConfig, free_ports
from deploy.local.errors import DownloadFailed, ProgramMissing, UnsupportedSystem, WrongJava

pytestmark = [pytest.mark.stack, pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[2]
SERVERS = ("kafka", "redis")
PROCESSES = {"collector": "ingest.main", "worker": "nearline.main", "api": "serving.main"}


@pytest.fixture
def config(tmp_path):
    config = StackConfig.with_free_ports(tmp_path / "stack")
    yield config
    servers.stop(config)


@pytest.fixture
def processes(config, tmp_path, site):
    """A collector, a worker and an API whose servers do not run."""
    api, collector = free_ports(2)
    settings = {
        "FRESHET_STACK": "cluster",
        "FRESHET_PREFIX": site,
        "FRESHET_PORT": str(api),
        "FRESHET_COLLECTOR_PORT": str(collector),
        "FRESHET_WORKER_DIR": str(tmp_path / "worker"),
        "FRESHET_DATA": str(tmp_path / "data"),
    }
    # A site whose keys nobody has read yet refuses every request; this test is about what an open one answers.
    environment = {**os.environ, **config.environment((*SERVERS, "cassandra")), **settings, "FRESHET_INSECURE": "true"}
    started = []
    for name, module in PROCESSES.items():
        with (tmp_path / f"{name}.log").open("wb") as out:
            started.append(
                subprocess.Popen([sys.executable, "-m", module], cwd=ROOT, env=environment, stdout=out, stderr=out)
            )
    yield started, f"http://127.0.0.1:{collector}", f"http://127.0.0.1:{api}"
    for process in started:
        process.send_signal(signal.SIGKILL)
        process.wait()


def call(url: str, body: object = None) -> tuple[int, dict]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=15) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        return error.code, {}
    except OSError:
        return 0, {}


def until(holds, seconds: float, log: Path) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, log.read_text(errors="replace")[-3_000:]
        time.sleep(0.5)


@pytest.mark.timeout(900)
def test_processes_that_were_started_first_come_up_once_the_servers_do(config, processes, tmp_path):
    started, collector, api = processes
    event = {"type": "like", "user_id": "ann", "item_id": "one"}
    logs = {name: tmp_path / f"{name}.log" for name in PROCESSES}
    for name, said in (("collector", "waiting_for_servers"), ("worker", "waiting_for_servers"), ("api", "api_waits")):
        until(lambda name=name, said=said: said in logs[name].read_text(errors="replace"), 240, logs[name])
    assert call(f"{collector}/v1/events", event)[0] == 503
    status, answer = call(f"{api}/v1/users/ann/recommendations")
    assert (status, {"signals", "catalogue", "aggregates", "models"} <= {*answer["degraded"]}) == (200, True)
    time.sleep(25)  # longer than any process used to wait
    assert [process.poll() for process in started] == [None, None, None]
    try:
        servers.start(config, SERVERS)
    except (ProgramMissing, WrongJava, UnsupportedSystem, DownloadFailed) as error:
        pytest.skip(str(error))
    until(lambda: call(f"{collector}/v1/events", event)[0] == 202, 240, logs["collector"])

    def counts() -> bool:
        status, answer = call(f"{api}/v1/users/ann")
        return status == 200 and answer["counters"].get("like", 0) >= 1 and not answer["degraded"]

    until(counts, 240, logs["worker"])
    assert [process.poll() for process in started] == [None, None, None]
    assert call(f"{api}/v1/users/ann/recommendations")[1]["degraded"] == ["models"]
