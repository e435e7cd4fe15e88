"""The declarations of faults are consistent, their results become the table, and the proxy does what it is set to."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import socket
import threading
from pathlib import Path

import pytest

from tests.faults.declared import faults
from tests.faults.proxy import proxied
from tests.faults.results import Row, write

DOCS = Path(__file__).resolve().parents[3] / "docs"


@pytest.fixture(scope="module")
def fault_table():
    spec = importlib.util.spec_from_file_location("fault_table", DOCS / "fault_table.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_names_and_titles_of_faults_are_unique_and_the_short_form_runs_where_the_fault_does():
    declared = list(faults().values())
    assert len({fault.title for fault in declared}) == len(declared) > 20
    assert all(set(fault.short) <= set(fault.stacks) <= {"embedded", "cluster"} for fault in declared)
    assert {stack for fault in declared for stack in fault.short} == {"embedded", "cluster"}


def test_results_of_both_stacks_stand_in_one_row_and_what_was_not_clean_is_bold(fault_table, tmp_path):
    clean = Row("a fault", "it holds", 2, repetitions=3, acknowledged=1_200, longest_stall_s=0.24, recovered_s=6.0)
    write("a", "cluster", [clean], tmp_path)
    write("a", "embedded", [Row("a fault", "it holds", 2, repetitions=1, acknowledged=9, lost=1)], tmp_path)
    [(number, fault, must, cluster, embedded)] = fault_table.rows(tmp_path)
    assert (number, fault, must) == ("2", "a fault", "it holds")
    assert cluster.startswith("3 ×, 1,200 events: 0 / 0 / 0 / 0, stall 0.2 s, whole again in 6.0 s (")
    assert embedded.startswith("1 ×, 9 events: **1 / 0 / 0 / 0** (")


def test_a_result_has_the_fields_that_others_rely_on(tmp_path):
    result = json.loads(write("a", "cluster", [Row("a fault")], tmp_path).read_bytes())
    assert {"commit", "stack", "rows", "load_average"} <= result.keys()
    promised = {"fault", "repetitions", "acknowledged", "lost", "doubled", "wrong", "server_errors"}
    assert promised | {"longest_stall_s", "recovered_s"} <= result["rows"][0].keys()


@pytest.fixture
def echo():
    """A server that answers what it is sent; its port, and what it was sent."""
    sent: list[bytes] = []
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                while piece := connection.recv(100):
                    sent.append(piece)
                    connection.sendall(piece)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield server.getsockname()[1], sent
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join(5)


def test_a_proxy_passes_on_and_a_lost_answer_was_taken_by_the_server(echo):
    port, sent = echo
    with proxied(port) as proxy, socket.create_connection(("127.0.0.1", proxy.port), 5) as client:
        client.sendall(b"one")
        assert client.recv(100) == b"one"
        proxy.lose_answers = 1.0
        client.sendall(b"two")
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(100) == b""
        assert (sent, proxy.lost) == ([b"one", b"two"], 1)
