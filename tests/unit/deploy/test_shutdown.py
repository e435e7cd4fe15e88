"""A process that serves already ends with one sentence when its servers turn out not to fit."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from deploy.wiring.server_wait import Shutdown
from schemas.errors import ConfigurationInvalid

REASON = ConfigurationInvalid("the log may lose events: add copies")


@pytest.fixture(autouse=True)
def _handler_of_the_tests():
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def test_a_reason_that_comes_while_the_process_serves_ends_it():
    shutdown = Shutdown()
    began = time.monotonic()
    threading.Timer(0.5, shutdown, [REASON]).start()
    with pytest.raises(ConfigurationInvalid, match="add copies"), shutdown.ending():
        time.sleep(60)
    assert time.monotonic() - began < 50


def test_a_reason_that_came_before_the_process_serves_keeps_it_from_it():
    shutdown, served = Shutdown(), []
    shutdown(REASON)
    with pytest.raises(ConfigurationInvalid, match="add copies"), shutdown.ending():
        served.append(True)
    assert not served


def test_without_a_reason_the_process_ends_as_it_did():
    with Shutdown().ending():
        pass
    with pytest.raises(KeyboardInterrupt), Shutdown().ending():
        raise KeyboardInterrupt
