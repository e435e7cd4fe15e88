"""The metrics of a worker or of the schedule follow the rule of every API."""

from __future__ import annotations

import os
import time

import httpx
import pytest

from deploy.access.changes import write_change
from deploy.config import CommandSettings
from deploy.wiring.dependencies import open_dependencies
from deploy.wiring.metrics_server import serving_metrics
from schemas.access import keys
from schemas.access.scopes import Scope
from schemas.errors import ConfigurationInvalid, PortInUse
from tests.e2e.systems import free_port

READER, SENDER = (
    keys.make_key(os.urandom(keys.ENTROPY_BYTES), [scope], 0.0) for scope in (Scope.METRICS_READ, Scope.EVENTS_WRITE)
)


@pytest.fixture
def settings(tmp_path) -> CommandSettings:
    settings = CommandSettings(stack="embedded", data=tmp_path)
    with open_dependencies(settings) as dependencies:
        assert dependencies.writer  # it makes the log
    return settings


def make(settings: CommandSettings, *made: keys.NewKey) -> None:
    with open_dependencies(settings) as dependencies:
        for key in made:
            write_change(dependencies.writer, [keys.key_entry(key.record)], now=0.0, action="keys create", target="key")


def get(port: int, path: str = "/metrics", key: keys.NewKey | None = None) -> httpx.Response:
    headers = {} if key is None else {"Authorization": f"Bearer {key.text}"}
    return httpx.get(f"http://127.0.0.1:{port}{path}", headers=headers, timeout=10)


def status_within(seconds: float, wanted: int, *arguments) -> int:
    deadline = time.monotonic() + seconds
    while (status := get(*arguments).status_code) != wanted and time.monotonic() < deadline:
        time.sleep(0.1)
    return status


def test_on_this_machine_a_site_without_keys_shows_them(settings):
    port = free_port()
    with serving_metrics(settings, "127.0.0.1", port, "choose another"):
        assert status_within(10, 200, port) == 200
        assert "process_cpu_seconds_total" in get(port).text
        assert get(port, "/health/live").status_code == 200
        assert get(port, "/v1/popular").status_code == 404
    with pytest.raises(httpx.ConnectError):
        get(port)


def test_from_the_first_key_on_they_need_one_that_reads_metrics(settings):
    port = free_port()
    with serving_metrics(settings, "127.0.0.1", port, "choose another"):
        assert status_within(10, 200, port) == 200
        make(settings, READER, SENDER)
        assert status_within(10, 401, port) == 401
        assert get(port, "/metrics", SENDER).status_code == 403
        assert get(port, "/metrics", READER).status_code == 200


def test_where_others_reach_them_a_site_without_keys_does_not_start(settings):
    with (
        pytest.raises(ConfigurationInvalid, match=r"others can reach 0\.0\.0\.0, and this site has no key"),
        serving_metrics(settings, "0.0.0.0", free_port(), "choose another"),
    ):
        pytest.fail("it serves")


def test_insecure_says_that_everybody_may_read_them(settings):
    port = free_port()
    make(settings, READER)
    with serving_metrics(settings.model_copy(update={"insecure": True}), "127.0.0.1", port, "choose another"):
        assert get(port).status_code == 200


def test_a_port_that_is_taken_is_named_with_what_to_do(settings):
    port = free_port()
    with (
        serving_metrics(settings, "127.0.0.1", port, "choose another --metrics-port"),
        pytest.raises(PortInUse, match=rf"cannot listen on 127\.0\.0\.1:{port}.*choose another --metrics-port"),
        serving_metrics(settings, "127.0.0.1", port, "choose another --metrics-port"),
    ):
        pytest.fail("it serves")
