"""What a worker says when it cannot start."""

from __future__ import annotations

import socket

import pytest

from schemas.errors import PortInUse

main = pytest.importorskip("nearline.main", reason="needs the extra `cluster`")


def test_a_metrics_port_that_is_taken_is_named_with_the_setting_to_change():
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortInUse, match=f"port {port} is taken: set FRESHET_METRICS_PORT"):
            main._serve_metrics("127.0.0.1", port)
