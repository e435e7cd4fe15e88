"""Addresses of several Redis servers, and what a failure of them is called."""

from __future__ import annotations

import ssl

import pytest
import redis

from adapters.redis.servers import _parse, redis_servers, unavailable
from schemas.configuration.server_access import NO_ACCESS
from schemas.errors import ConfigurationInvalid, StoreFull


def test_hosts_service_database_and_login_are_read_from_an_address():
    place = _parse("rediss+sentinel://ann:p%40w@a:1, b,[::1]:3/shop/2", 26379)
    assert place.hosts == (("a", 1), ("b", 26379), ("::1", 3))
    assert (place.service, place.database) == ("shop", 2)
    assert place.login == {"username": "ann", "password": "p@w"}


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("redis+sentinel://a:1", "names no service"),
        ("redis+sentinel:///shop", "names no servers"),
        ("redis+cluster://u:geheim@a:port", r"'redis\+cluster://u:\*\*\*@a:port' names no servers"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_without_its_password(url, sentence):
    with pytest.raises(ConfigurationInvalid, match=sentence):
        redis_servers(url, NO_ACCESS, 1.0)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (redis.AuthenticationError("invalid username-password pair or user is disabled."), "FRESHET_REDIS_PASSWORD"),
        (redis.ConnectionError(ssl.SSLCertVerificationError("certificate has expired")), "certificate has expired"),
        (redis.exceptions.NoPermissionError("no permissions to run the 'set' command"), "forbids a command"),
        (redis.ResponseError("The user executing the script can't run this command"), "forbids a command"),
        (redis.ReadOnlyError("You can't write against a read only replica."), "is a replica"),
        (redis.BusyLoadingError("Redis is loading the dataset in memory"), "still loads its data"),
        (redis.ConnectionError("refused"), "set FRESHET_REDIS to where it runs"),
    ],
)
def test_each_failure_says_what_to_do(error, words):
    if isinstance(error.args[0], Exception):
        error.__cause__ = error.args[0]
    assert words in str(unavailable("redis://here", error))


def test_a_full_redis_is_told_from_a_silent_one():
    assert isinstance(unavailable("redis://here", redis.exceptions.OutOfMemoryError("OOM")), StoreFull)
