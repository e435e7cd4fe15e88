"""Our own HTTP servers speak HTTPS with the site's certificate, and take a renewed one without a restart."""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.systems import eventually, free_port
from tests.integration.secured.certificates import Authority


@pytest.fixture
def authority(tmp_path) -> Authority:
    return Authority(tmp_path / "certificates")


Collector = tuple[int, "subprocess.Popen[bytes]"]


@pytest.fixture
def collector(authority, tmp_path) -> Iterator[Collector]:
    """A collector over SQLite with a certificate: its port and its process."""
    signed, port = authority.sign("collector"), free_port()
    environment = {
        "FRESHET_DATA": str(tmp_path / "data"),
        "FRESHET_COLLECTOR_PORT": str(port),
        "FRESHET_TLS_CERTIFICATE": str(signed.certificate),
        "FRESHET_TLS_KEY": str(signed.key),
    }
    with (tmp_path / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "ingest.main"], env={**os.environ, **environment}, stdout=log, stderr=log
        )
    yield port, process
    process.terminate()
    process.wait(30)


def status_of(port: int, ca: Path) -> int | None:
    """The status of an encrypted call; None while nobody answers or the certificate is not of this authority."""
    context = ssl.create_default_context(cafile=str(ca))
    try:
        with urllib.request.urlopen(f"https://127.0.0.1:{port}/health/live", timeout=5, context=context) as response:
            return response.status
    except (urllib.error.URLError, OSError):
        return None


def answers(port: int, ca: Path) -> Callable[[], bool]:
    return lambda: status_of(port, ca) == 200


def test_a_renewed_certificate_counts_from_the_next_connection_on(collector, authority, tmp_path):
    port, process = collector
    eventually(answers(port, authority.ca), 60, "the collector answers")
    renewed = Authority(tmp_path / "renewed")
    assert status_of(port, renewed.ca) is None
    fresh = renewed.sign("collector")
    for old, new in (("collector.pem", fresh.certificate), ("collector.key", fresh.key)):
        (tmp_path / "certificates" / old).write_bytes(new.read_bytes())
    process.send_signal(signal.SIGHUP)
    eventually(answers(port, renewed.ca), 10, "the renewed certificate is shown")
    assert process.poll() is None


def test_a_key_of_another_certificate_is_one_sentence(authority, tmp_path):
    one, other = authority.sign("one"), authority.sign("other")
    environment = {
        "FRESHET_DATA": str(tmp_path / "data"),
        "FRESHET_COLLECTOR_PORT": str(free_port()),
        "FRESHET_TLS_CERTIFICATE": str(one.certificate),
        "FRESHET_TLS_KEY": str(other.key),
    }
    ended = subprocess.run(
        [sys.executable, "-m", "ingest.main"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 1
    assert "cannot be used together" in ended.stderr
    assert "FRESHET_TLS_KEY" in ended.stderr
