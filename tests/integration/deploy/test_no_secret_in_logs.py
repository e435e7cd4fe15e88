"""Real processes with passwords everywhere, whose servers are away: nothing that they write holds one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.systems import free_port

pytest.importorskip("faust", reason="needs the extra `cluster`")
SECRETS = {
    name: f"pa-ss-{name.lower()}-0123456789abcdef0123456789"
    for name in (
        *("KAFKA_PASSWORD", "REDIS_PASSWORD", "REDIS_SENTINEL_PASSWORD", "CASSANDRA_PASSWORD"),
        *("ACCESS_SECRET", "RECEIPT_SECRET", "MODELS_TOKEN", "API_KEY", "OIDC_CLIENT_SECRET"),
    )
}
PROCESSES = {
    "collector": ("ingest.main",),
    "api": ("serving.main",),
    "worker": ("nearline.main",),
    "receiver": ("offline.main", "receive"),
    "training": ("offline.main", "train"),
    "schedule": ("deploy.commands.cli", "schedule", "--every", "0.2"),
    "doctor": ("deploy.commands.cli", "doctor"),
    "keys": ("deploy.commands.cli", "keys", "list"),
}
SECONDS = 150.0
"""Time for all processes to fail at their servers, and to say so."""


def start(folder: Path, name: str) -> subprocess.Popen:
    kafka, cassandra = free_port(), free_port()
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("FRESHET_")},
        **{f"FRESHET_{key}": value for key, value in SECRETS.items()},
        "FRESHET_STACK": "cluster",
        "FRESHET_LOG_LEVEL": "DEBUG",
        "FRESHET_DATA": str(folder / "data"),
        "FRESHET_WORKER_DIR": str(folder / "worker"),
        "FRESHET_KAFKA": f"127.0.0.1:{kafka}",
        "FRESHET_KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "FRESHET_KAFKA_USER": "ann",
        "FRESHET_REDIS": f"redis://ann:pa-ss-in-the-address@127.0.0.1:{free_port()}/0",
        "FRESHET_REDIS_USER": "ann",
        "FRESHET_CASSANDRA": f"127.0.0.1:{cassandra}",
        "FRESHET_CASSANDRA_USER": "ann",
        "FRESHET_OIDC_ISSUER": "http://127.0.0.1:1",
        **{f"FRESHET_{port}": str(free_port()) for port in ("PORT", "COLLECTOR_PORT", "MODELS_PORT", "METRICS_PORT")},
    }
    with (folder / f"{name}.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", *PROCESSES[name]], env=environment, stdout=log, stderr=subprocess.STDOUT
        )


@pytest.mark.slow
def test_no_process_writes_a_secret(tmp_path):
    started = {name: start(tmp_path, name) for name in PROCESSES}
    written: dict[str, str] = {}
    try:
        deadline = time.monotonic() + SECONDS
        while not all("127.0.0.1" in text for text in written.values()) or not written:
            assert time.monotonic() < deadline, f"a process said nothing of its servers: {written}"
            time.sleep(0.5)
            written = read(tmp_path)
        time.sleep(3)
    finally:
        for process in started.values():
            process.terminate()
        for process in started.values():
            end(process)
    for name, text in read(tmp_path).items():
        assert "pa-ss" not in text, f"{name} wrote a secret"


def read(folder: Path) -> dict[str, str]:
    return {name: (folder / f"{name}.log").read_text(errors="replace") for name in PROCESSES}


def end(process: subprocess.Popen) -> None:
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
