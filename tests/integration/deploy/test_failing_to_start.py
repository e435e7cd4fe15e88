"""What cannot work ends with one sentence that says what to do, and an exit code; nothing is made on the way."""

from __future__ import annotations

import os
import socketserver
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from schemas.errors import FreshetError, ServerMissing

WITHOUT = """
import runpy, sys
for name in sys.argv[2].split(","):
    sys.modules[name] = None
module, sys.argv = sys.argv[1], [sys.argv[1], *sys.argv[3:]]
runpy.run_module(module, run_name="__main__")
"""
DRIVERS = "confluent_kafka,redis,cassandra,faust,aiokafka,pyspark"


@pytest.mark.parametrize("command", [("train",), ("train", "--incremental"), ("archive",), ("statistics",)])
def test_a_job_on_a_folder_that_is_not_there_says_so_and_makes_none(freshet, tmp_path, command):
    done = freshet(*command, "--data", tmp_path / "nowhere")
    assert done.exit_code == 1
    assert isinstance(done.exception, FreshetError)
    assert "there is no Freshet data in" in str(done.exception)
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("ingest.main", ()),
        ("serving.main", ()),
        ("nearline.main", ()),
        ("offline.main", ("train",)),
        ("deploy.commands.cli", ("train", "--stack", "cluster")),
    ],
)
def test_a_process_of_the_cluster_without_its_drivers_says_how_to_install_them(tmp_path, module, arguments):
    environment = {**os.environ, "FRESHET_STACK": "cluster", "FRESHET_COLLECTOR_PORT": "0", "FRESHET_PORT": "18473"}
    command = [sys.executable, "-c", WITHOUT, module, DRIVERS, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1, done.stderr
    assert "the cluster's drivers are not installed" in " ".join(done.stderr.split())
    assert "make dev" in done.stderr
    assert "Traceback" not in done.stderr


class _Nothing(BaseHTTPRequestHandler):
    """A server that is no collector."""

    def do_POST(self):
        self.send_error(404)

    def log_message(self, *_):
        pass


class _Babbler(socketserver.BaseRequestHandler):
    """A server that does not speak HTTP."""

    def handle(self):
        self.request.recv(100)
        self.request.sendall(b"220 mail.example\r\n")


@contextmanager
def serving(server):
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1", "nowhere", "http://", "http://127.0.0.1:port", "ftp://127.0.0.1:1"]
)
def test_simulating_against_nothing_says_so(freshet, url):
    done = freshet("simulate", "--url", url, "--rate", "1000", "--seconds", "1")
    assert done.exit_code == 1
    assert isinstance(done.exception, ServerMissing)
    assert "no collector answers at" in str(done.exception)


def test_simulating_against_another_kind_of_server_says_so(freshet):
    with serving(HTTPServer(("127.0.0.1", 0), _Nothing)) as url:
        done = freshet("simulate", "--url", url, "--rate", "1000", "--seconds", "1")
    assert isinstance(done.exception, ServerMissing)
    assert "answers 404 to events, so it is no collector" in str(done.exception)
    with serving(socketserver.TCPServer(("127.0.0.1", 0), _Babbler)) as url:
        done = freshet("simulate", "--url", url, "--rate", "1000", "--seconds", "1")
    assert isinstance(done.exception, ServerMissing)
