"""A connection to Cassandra. It opens at first use and translates the driver's errors into ours."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from threading import Lock
from typing import Any, Final

import structlog
from cassandra import AuthenticationFailed, ConsistencyLevel, DriverException, Unauthorized
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, NoHostAvailable
from cassandra.connection import ConnectionException
from cassandra.policies import DCAwareRoundRobinPolicy, TokenAwarePolicy
from cassandra.query import tuple_factory

from schemas.configuration import site
from schemas.configuration.addresses import Address
from schemas.configuration.durability import AUTOMATIC, Durability, keyspace_copies, keyspace_fault
from schemas.configuration.server_access import NO_ACCESS, ServerAccess
from schemas.errors import ConfigurationInvalid, ModelStoreUnavailable, ServerMissing

FAILURES: Final = (DriverException, NoHostAvailable, ConnectionException, OSError)
"""The driver's errors when a server fails or refuses."""

_log = structlog.get_logger(__name__)

_TABLE: Final = re.compile(r"CREATE TABLE IF NOT EXISTS (\w+)")
_COLUMN: Final = re.compile(r"ALTER TABLE (\w+) ADD IF NOT EXISTS \((\w+)")
_DEFAULT_PORT: Final = 9042
_REQUEST_SECONDS: Final = 20.0
_CONNECT_SECONDS: Final = 5.0


class Ring:
    """One session of one keyspace. It opens at first use and prepares each statement once. Several threads may use it."""

    def __init__(self, hosts: str, keyspace: str, access: ServerAccess = NO_ACCESS) -> None:
        self._hosts, self._keyspace, self._access = hosts, keyspace, access
        self._lock = Lock()
        self._cluster: Any = None
        self._session: Any = None
        self._prepared: dict[str, Any] = {}

    def session(self) -> Any:
        """The session; connects first if there is none yet. Raises ModelStoreUnavailable."""
        with self._lock, self.translate_errors():
            if self._session is None:
                self._session = self._connect()
            return self._session

    def prepared(self, query: str) -> Any:
        """The prepared statement; the first call prepares it on the server."""
        statement = self._prepared.get(query)
        if statement is None:
            session = self.session()
            with self.translate_errors():
                statement = self._prepared.setdefault(query, session.prepare(query))
        return statement

    def is_prepared(self, query: str) -> bool:
        """True if the statement is prepared, so that it runs without blocking."""
        return query in self._prepared

    def run(self, query: str, *parameters: Any) -> list[Any]:
        """All rows of a statement, as tuples."""
        statement = self.prepared(query)
        with self.translate_errors():
            return list(self._session.execute(statement, parameters))

    @contextmanager
    def translate_errors(self) -> Iterator[None]:
        """Raises the driver's errors as ModelStoreUnavailable."""
        try:
            yield
        except FAILURES as error:
            raise self.unavailable(error) from error

    def unavailable(self, error: BaseException) -> ModelStoreUnavailable:
        """The ModelStoreUnavailable that describes a driver's error."""
        return ModelStoreUnavailable(f"Cassandra at {self._hosts} (keyspace {self._keyspace}) failed: {reason(error)}")

    def close(self) -> None:
        """Closes the connection."""
        with self._lock:
            if self._cluster is not None:
                self._cluster.shutdown()
            self._cluster = self._session = None
            self._prepared.clear()

    def _connect(self) -> Any:
        self._cluster = _cluster(self._hosts, self._access)
        try:
            return self._cluster.connect(self._keyspace)
        except FAILURES:
            self._cluster.shutdown()
            raise


def create_keyspace(
    hosts: str, keyspace: str, durability: Durability = AUTOMATIC, access: ServerAccess = NO_ACCESS
) -> None:
    """Creates the keyspace and its tables if they are missing. A keyspace with too few copies is logged: models can be trained anew.

    Raises ServerMissing if no server replies, and ConfigurationInvalid if there are too few nodes for the copies.
    """
    cluster = _cluster(hosts, access)
    try:
        session, nodes = cluster.connect(), len(cluster.metadata.all_hosts())
        if keyspace in cluster.metadata.keyspaces:
            _check_copies(session, keyspace, durability, nodes, hosts)
        else:
            copies = keyspace_copies(durability, nodes, hosts)
            options = {"class": "NetworkTopologyStrategy", **copies}
            session.execute(f'CREATE KEYSPACE IF NOT EXISTS "{keyspace}" WITH replication = {options}')
        session.set_keyspace(keyspace)
        for statement in _missing(_columns(session, keyspace)):
            session.execute(statement)
    except Unauthorized as error:
        raise ConfigurationInvalid(
            f"Cassandra at {hosts} does not let '{access.user}' make the keyspace or its tables ({error}): "
            "run `freshet cluster init` as a role that may"
        ) from error
    except FAILURES as error:
        raise ServerMissing(
            f"no Cassandra that can be used at {hosts} ({reason(error)}): start one (`make stack`) or set FRESHET_CASSANDRA"
        ) from error
    finally:
        cluster.shutdown()


def _check_copies(session: Any, keyspace: str, durability: Durability, nodes: int, hosts: str) -> None:
    query = "SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = %s"
    rows = list(session.execute(query, (keyspace,)))
    fault = keyspace_fault(durability, dict(rows[0][0]), nodes, hosts) if rows else None
    if fault is not None:
        _log.warning("keyspace_may_lose_models", fault=fault, advice="see what `freshet doctor` says of Cassandra")


def _columns(session: Any, keyspace: str) -> set[tuple[str, str]]:
    query = "SELECT table_name, column_name FROM system_schema.columns WHERE keyspace_name = %s"
    return {(table, column) for table, column in session.execute(query, (keyspace,))}


def _missing(columns: set[tuple[str, str]]) -> list[str]:
    """The statements for tables and columns that are missing. Whoever may only read must not be refused because of the others."""
    tables = {table for table, _ in columns}
    statements = (*_statements("cql/models.cql"), *_statements("cql/jobs.cql"))
    return [statement for statement in statements if not _is_done(statement, tables, columns)]


def _is_done(statement: str, tables: set[str], columns: set[tuple[str, str]]) -> bool:
    if made := _TABLE.match(statement):
        return made[1] in tables
    added = _COLUMN.match(statement)
    return added is not None and (added[1], added[2]) in columns


def _statements(path: str) -> list[str]:
    lines = resources.files("schemas").joinpath(path).read_text().splitlines()
    text = "\n".join(line for line in lines if not line.startswith("--"))
    return [statement for chunk in text.split(";") if (statement := chunk.strip())]


def reason(error: BaseException) -> str:
    """A driver's error in words. A refused login or certificate says what to do."""
    errors = error.args[1].values() if isinstance(error, NoHostAvailable) and len(error.args) > 1 else [error]
    texts = {type(each): f"{each}" for each in errors}
    for kind, text in texts.items():
        if issubclass(kind, AuthenticationFailed) or "Bad credentials" in text or "requires authentication" in text:
            return f"it refuses the login: set FRESHET_CASSANDRA_USER and FRESHET_CASSANDRA_PASSWORD ({text})"
        if issubclass(kind, ssl.SSLError) or "certificate" in text.lower():
            return f"its certificate is not accepted: renew it, or set FRESHET_CASSANDRA_CA to its authority ({text})"
        if issubclass(kind, Unauthorized):
            return f"the role of FRESHET_CASSANDRA_USER lacks a right that docs/security.md names ({text})"
    return str(error)


def _cluster(hosts: str, access: ServerAccess) -> Any:
    profile = ExecutionProfile(
        load_balancing_policy=TokenAwarePolicy(DCAwareRoundRobinPolicy(local_dc=access.datacenter)),
        consistency_level=ConsistencyLevel.LOCAL_QUORUM,
        serial_consistency_level=ConsistencyLevel.SERIAL,
        request_timeout=_REQUEST_SECONDS,
        row_factory=tuple_factory,
    )
    login = PlainTextAuthProvider(access.user, access.password.get_secret_value()) if access.user else None
    return Cluster(
        [_address(host) for host in hosts.split(",")],
        connect_timeout=_CONNECT_SECONDS,
        # The driver's own two seconds are too short for a node that has just started.
        control_connection_timeout=_REQUEST_SECONDS,
        execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        auth_provider=login,
        ssl_context=access.tls_context(),
    )


def _address(host: str) -> tuple[str, int]:
    name, colon, port = host.strip().rpartition(":")
    if not colon:
        return port, _DEFAULT_PORT
    if not (name and port.isdigit()):
        raise ConfigurationInvalid(f"'{host}' is not an address of Cassandra; it looks like 127.0.0.1:9042")
    return name, int(port)


def hosts_and_keyspace(address: Address) -> tuple[str, str]:
    """The hosts and the keyspace of ``cassandra://hosts`` (the site's keyspace) or ``cassandra://hosts/keyspace``."""
    hosts, _, keyspace = address.location.partition("/")
    return hosts, keyspace or site.keyspace(address.site)
