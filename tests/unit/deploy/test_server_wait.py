"""A process that was started before its servers waits for them, says so, and goes on by itself."""

from __future__ import annotations

import pytest

from deploy.wiring.server_wait import SAY_SECONDS, wait_for_servers
from schemas.errors import ConfigurationInvalid, LogUnavailable, ServerMissing, StoreUnavailable


class Time:
    def __init__(self) -> None:
        self.now = 0.0

    def steady(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def attempts(time: Time, error: Exception, until: float):
    def attempt() -> None:
        if time.now < until:
            raise error

    return attempt


@pytest.mark.parametrize("error", [ServerMissing("Kafka is away"), StoreUnavailable("away"), LogUnavailable("away")])
def test_it_waits_for_hours_and_goes_on_when_the_servers_answer(error):
    time = Time()
    wait_for_servers(attempts(time, error, 7_200), "the worker", time.steady, time.sleep)
    assert 7_200 <= time.now < 7_202


def test_it_says_every_few_seconds_what_it_waits_for(capsys):
    time = Time()
    wait_for_servers(attempts(time, ServerMissing("Kafka is away"), 60), "the worker", time.steady, time.sleep)
    said = capsys.readouterr().out
    assert said.count("waiting_for_servers") == 60 / SAY_SECONDS
    assert said.count("Kafka is away") == 60 / SAY_SECONDS
    assert "servers_answer" in said


def test_where_the_servers_answer_at_once_nothing_is_said(capsys):
    time = Time()
    wait_for_servers(lambda: None, "the worker", time.steady, time.sleep)
    assert capsys.readouterr().out == ""


def test_a_wrong_setting_is_no_reason_to_wait():
    def attempt() -> None:
        raise ConfigurationInvalid("no such thing")

    with pytest.raises(ConfigurationInvalid):
        wait_for_servers(attempt, "the worker", sleep=lambda _: pytest.fail("it waits"))
