"""Connections to one Redis, to the master behind sentinels, or to a Redis Cluster, as the address says."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import unquote

import redis
from redis import asyncio as aioredis
from redis.backoff import NoBackoff
from redis.retry import Retry

from adapters.redis.cluster import ClusterConnection, PipelinedClusterConnection
from adapters.redis.pipeline import BlockingConnection, PipelinedConnection
from schemas.configuration.secrets import masked
from schemas.configuration.server_access import ServerAccess
from schemas.errors import ConfigurationInvalid, StoreFull, StoreUnavailable

SINGLE: Final = ("redis", "rediss", "unix")
SENTINEL: Final = ("redis+sentinel", "rediss+sentinel")
CLUSTER: Final = ("redis+cluster", "rediss+cluster")
_PORTS: Final = {"sentinel": 26_379, "cluster": 6_379}

# A restart of Redis leaves dead connections in the pool: one retry uses a fresh one. The caller decides about waiting.
_RETRY: Final = Retry(NoBackoff(), 1)
_ASYNC_RETRY: Final = aioredis.retry.Retry(NoBackoff(), 1)


class BlockingCommands(Protocol):
    """Runs commands that name a key, and blocks until the reply. Any thread may use it."""

    def execute(self, *command: str | int | bytes) -> Any:
        """The reply; raises redis.RedisError."""
        ...

    def on_primaries(self, *command: str) -> list[Any]:
        """The reply of every server that takes writes; raises redis.RedisError."""
        ...

    def close(self) -> None:
        """Closes the connections."""
        ...


class PipelinedCommands(Protocol):
    """Runs commands that name a key, many at a time, on one event loop."""

    def execute(self, *command: str | int | bytes) -> Awaitable[Any]:
        """The reply; raises redis.RedisError."""
        ...

    async def close(self) -> None:
        """Closes the connections. Commands without a reply are cancelled."""
        ...


class RedisServers(NamedTuple):
    """Opens connections to the servers of one address."""

    shown: str
    """The address without its password."""
    blocking: Callable[[], BlockingCommands]
    pipelined: Callable[[], PipelinedCommands]
    """Opens connections for the running event loop."""


def redis_servers(url: str, access: ServerAccess, answer_seconds: float) -> RedisServers:
    """The servers at ``url``; raises ConfigurationInvalid. A reply takes at most ``answer_seconds``."""
    options = _options(access, answer_seconds)
    scheme = url.partition("://")[0]
    shown = masked(url)
    if scheme in SINGLE:
        return RedisServers(
            shown,
            lambda: BlockingConnection(
                redis.Redis.from_url(url, **options, retry=_RETRY).connection_pool.make_connection
            ),
            lambda: PipelinedConnection(
                aioredis.Redis.from_url(url, **options, retry=_ASYNC_RETRY).connection_pool.make_connection
            ),
        )
    if scheme not in SENTINEL + CLUSTER:
        raise ConfigurationInvalid(f"'{shown}' is no address of Redis: write redis://host:port/0")
    place = _parse(url, _PORTS["sentinel" if scheme in SENTINEL else "cluster"])
    options |= {"ssl": access.tls} | place.login
    if scheme in SENTINEL:
        return _behind_sentinels(shown, place, access, options)
    nodes = place.hosts
    return RedisServers(
        shown, lambda: ClusterConnection(nodes, options), lambda: PipelinedClusterConnection(nodes, options)
    )


def unavailable(shown: str, error: Exception) -> StoreUnavailable:
    """The sentence for an error of Redis."""
    if isinstance(error, redis.exceptions.OutOfMemoryError):  # type: ignore[attr-defined]  # the stubs are older than the driver
        return StoreFull(f"Redis at {shown} has no memory left ({error}): raise its maxmemory")
    for known, sentence in _SENTENCES:
        if known(error):
            return StoreUnavailable(sentence.format(shown=shown, error=error))
    return StoreUnavailable(
        f"Redis at {shown} does not answer ({error}): start it, or set FRESHET_REDIS to where it runs"
    )


class _Place(NamedTuple):
    """The parts of the URL of several servers."""

    hosts: tuple[tuple[str, int], ...]
    service: str
    database: int
    login: dict[str, str]


def _parse(url: str, default_port: int) -> _Place:
    """The parts of ``scheme://user:password@host:port,host:port/service/database``; raises ConfigurationInvalid."""
    rest = url.partition("://")[2]
    login_text, _, place = rest.rpartition("@")
    user, _, password = login_text.partition(":")
    login = {name: unquote(text) for name, text in (("username", user), ("password", password)) if text}
    hosts, *path = place.split("/")
    digits = [part for part in path if part.isdigit()]
    names = [part for part in path if part and not part.isdigit()]
    try:
        addresses = tuple(_host(host.strip(), default_port) for host in hosts.split(",") if host.strip())
    except ValueError:
        addresses = ()
    if not addresses:
        raise ConfigurationInvalid(f"'{masked(url)}' names no servers: write scheme://host:port,host:port")
    return _Place(addresses, names[0] if names else "", int(digits[0]) if digits else 0, login)


def _host(text: str, default_port: int) -> tuple[str, int]:
    name, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        return text.strip("[]"), default_port
    return name.strip("[]"), int(port)


def _behind_sentinels(shown: str, place: _Place, access: ServerAccess, options: dict[str, Any]) -> RedisServers:
    """Connections that ask the sentinels for the master each time they connect."""
    if not place.service:
        raise ConfigurationInvalid(f"'{shown}' names no service: write redis+sentinel://host:port,host:port/service")
    of_sentinels = {name: value for name, value in options.items() if name not in ("username", "password")}
    if access.sentinel_user:
        of_sentinels["username"] = access.sentinel_user
    if password := access.sentinel_password.get_secret_value():
        of_sentinels["password"] = password
    hosts = list(place.hosts)

    def blocking() -> BlockingCommands:
        guide: Any = redis.sentinel.Sentinel(hosts, sentinel_kwargs=of_sentinels)
        master = guide.master_for(place.service, **options, db=place.database, retry=_RETRY)
        return BlockingConnection(master.connection_pool.make_connection)

    def pipelined() -> PipelinedCommands:
        guide: Any = aioredis.sentinel.Sentinel(hosts, sentinel_kwargs=of_sentinels)
        master = guide.master_for(place.service, **options, db=place.database, retry=_ASYNC_RETRY)
        return PipelinedConnection(master.connection_pool.make_connection)

    return RedisServers(shown, blocking, pipelined)


def _options(access: ServerAccess, seconds: float) -> dict[str, Any]:
    """The driver's options of a connection. A user and a password in the URL go before these."""
    options: dict[str, Any] = {
        "socket_timeout": seconds,
        "socket_connect_timeout": min(seconds, 2.0),
        "socket_keepalive": True,
    }
    if access.user:
        options["username"] = access.user
    if password := access.password.get_secret_value():
        options["password"] = password
    files = {"ssl_ca_certs": access.ca, "ssl_certfile": access.certificate, "ssl_keyfile": access.key}
    return options | {name: str(path) for name, path in files.items() if path is not None}


def _causes(error: BaseException | None) -> list[BaseException]:
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or error.__context__
    return chain


def _is_untrusted(error: Exception) -> bool:
    return any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error)) or (
        "CERTIFICATE_VERIFY_FAILED" in str(error)
    )


def _is_tls(error: Exception) -> bool:
    return any(isinstance(cause, ssl.SSLError) for cause in _causes(error)) or "SSL" in str(error)


def _refuses_login(error: Exception) -> bool:
    words = ("WRONGPASS", "NOAUTH", "invalid username-password", "Authentication required", "AUTH")
    return isinstance(error, redis.AuthenticationError) or any(word in str(error) for word in words)


_SENTENCES: Final[tuple[tuple[Callable[[Exception], bool], str], ...]] = (
    (
        _is_untrusted,
        "the certificate of Redis at {shown} is not accepted ({error}): renew it, or set FRESHET_REDIS_CA to its authority",
    ),
    (_refuses_login, "Redis at {shown} refuses the login ({error}): set FRESHET_REDIS_USER and FRESHET_REDIS_PASSWORD"),
    (
        lambda error: (
            isinstance(error, redis.exceptions.NoPermissionError) or "executing the script can't" in str(error)
        ),
        "Redis at {shown} forbids a command ({error}): give the user of FRESHET_REDIS_USER the rights in docs/security.md",
    ),
    (
        lambda error: isinstance(error, redis.ReadOnlyError) or "READONLY" in str(error),
        "Redis at {shown} is a replica that takes no writes ({error}): set FRESHET_REDIS to its master or its sentinels",
    ),
    (
        lambda error: "TTL exhausted" in str(error) or isinstance(error, redis.exceptions.TryAgainError),
        "Redis at {shown} moves this slot to another node: wait a moment",
    ),
    (lambda error: isinstance(error, redis.BusyLoadingError), "Redis at {shown} still loads its data: wait a moment"),
    (
        _is_tls,
        "there is no TLS connection to Redis at {shown} ({error}): use rediss:// only where Redis has a tls-port",
    ),
)
