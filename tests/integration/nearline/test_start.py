"""What a worker says when it cannot start."""

from __future__ import annotations

import socket

import pytest

from schemas.errors import PortInUse

main = pytest.importorskip("nearline.main", reason="needs the extra `cluster`")


def test_a_metrics_port_that_is_taken_is_named_with_the_setting_to_change(tmp_path):
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = taken.getsockname()[1]
        config = main.NearlineConfig(data=tmp_path, metrics_port=port)
        with (
            pytest.raises(PortInUse, match=f"cannot listen on 127.0.0.1:{port}.*set FRESHET_METRICS_PORT"),
            main._metrics_of(config),
        ):
            pytest.fail("it serves")
