"""A cluster's leases, records of runs, and documents, in the model store's keyspace; tables in ``schemas/cql/jobs.cql``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

import structlog

from adapters.cassandra.ring import Ring, hosts_and_keyspace
from adapters.files.process_identity import identity, is_gone
from adapters.registry import Adapter
from schemas.configuration.server_access import NO_ACCESS, ServerAccess
from schemas.errors import JobStoreUnavailable, LeaseLost, LeaseTaken, ModelStoreUnavailable
from schemas.offline.jobs import Run, decode_runs, encode_run
from schemas.ports import LeaseRecord

_log = structlog.get_logger(__name__)

LEASE_SECONDS: Final = 120
"""Seconds after which a lease that is not renewed becomes free. A job killed on another machine blocks the next one this long."""

_TAKE: Final = "UPDATE leases USING TTL ? SET holder = ?, since = ? WHERE name = ? IF holder = null"
_TAKE_OVER: Final = "UPDATE leases USING TTL ? SET holder = ?, since = ?, fence = null WHERE name = ? IF holder = ?"
_NUMBER: Final = "UPDATE leases USING TTL ? SET holder = ?, since = ?, fence = ? WHERE name = ? IF holder = ?"
_RENEW: Final = "UPDATE leases USING TTL ? SET holder = ?, since = ?, fence = ? WHERE name = ? IF fence = ?"
_RELEASE: Final = "DELETE FROM leases WHERE name = ? IF fence = ?"
_HELD: Final = "SELECT holder, since, fence FROM leases WHERE name = ?"
_LAST: Final = "SELECT fence FROM lease_tokens WHERE name = ?"
_NEXT: Final = "UPDATE lease_tokens SET fence = ? WHERE name = ? IF fence = ?"
_MARK: Final = "\x1f"
"""Separates a holder's name, the random id of one acquisition, and the identity of its process."""


class _JobTables:
    """Runs statements on the keyspace; every failure becomes JobStoreUnavailable."""

    def __init__(self, hosts: str, keyspace: str, access: ServerAccess) -> None:
        self._ring = Ring(hosts, keyspace, access)

    def run(self, query: str, *parameters: Any) -> list[Any]:
        with self._translate_errors():
            return self._ring.run(query, *parameters)

    def applied(self, query: str, *parameters: Any) -> bool:
        return bool(self.run(query, *parameters)[0][0])

    def close(self) -> None:
        """Closes the connection."""
        self._ring.close()

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except ModelStoreUnavailable as error:
            raise JobStoreUnavailable(str(error)) from error


class CassandraLease:
    """A Lease for all machines of a cluster, by light-weight transactions on a row that expires."""

    def __init__(
        self, hosts: str, keyspace: str, seconds: int = LEASE_SECONDS, *, access: ServerAccess = NO_ACCESS
    ) -> None:
        self.seconds: float = seconds
        self._ttl, self._tables = seconds, _JobTables(hosts, keyspace, access)
        self._leases: dict[tuple[str, int], LeaseRecord] = {}

    def acquire(self, name: str, holder: str, now: float) -> int:
        """Takes the row, then draws its token. Only the holder draws, so tokens increase in the order of holders.

        A row whose holder was a process of this machine that has ended is taken over at once.
        """
        mine = _MARK.join((holder, uuid4().hex, identity()))
        if not self._tables.applied(_TAKE, self._ttl, mine, now, name) and not self._takes_over(name, mine, now):
            lease = self.held(name) or LeaseRecord("a run that has just ended", now, 0)
            raise LeaseTaken(name, lease.holder, datetime.fromtimestamp(lease.since, UTC))
        token = self._draw(name)
        if not self._tables.applied(_NUMBER, self._ttl, mine, now, token, name, mine):
            raise _lost(name)
        self._leases[name, token] = LeaseRecord(mine, now, token)
        return token

    def _takes_over(self, name: str, mine: str, now: float) -> bool:
        rows = self._tables.run(_HELD, name)
        stored = rows[0][0] if rows else None
        if stored is None or not is_gone(stored.rpartition(_MARK)[2]):
            return False
        taken = self._tables.applied(_TAKE_OVER, self._ttl, mine, now, name, stored)
        if taken:
            _log.warning(
                "lease_taken_over", name=name, former=stored.partition(_MARK)[0], reason="its process has ended"
            )
        return taken

    def renew(self, name: str, token: int) -> None:
        """Writes the row again, with a new time to live."""
        lease = self._leases.get((name, token))
        if lease is None or not self._tables.applied(_RENEW, self._ttl, lease.holder, lease.since, token, name, token):
            raise _lost(name)

    def release(self, name: str, token: int) -> None:
        """Removes the row."""
        if self._leases.pop((name, token), None) is not None:
            self._tables.applied(_RELEASE, name, token)

    def held(self, name: str) -> LeaseRecord | None:
        """The row as a record; None if nobody holds the lease."""
        rows = self._tables.run(_HELD, name)
        if not rows or rows[0][0] is None:
            return None
        holder, since, token = rows[0]
        return LeaseRecord(holder.partition(_MARK)[0], since, token or 0)

    def close(self) -> None:
        """Releases the leases of this process and closes the connection."""
        for name, token in list(self._leases):
            self.release(name, token)
        self._tables.close()

    def _draw(self, name: str) -> int:
        while True:
            rows = self._tables.run(_LAST, name)
            last_token = rows[0][0] if rows else None
            if self._tables.applied(_NEXT, (last_token or 0) + 1, name, last_token):
                return (last_token or 0) + 1


class CassandraRuns:
    """Implements ``schemas.ports.RunStore``."""

    def __init__(self, hosts: str, keyspace: str, *, access: ServerAccess = NO_ACCESS) -> None:
        self._tables = _JobTables(hosts, keyspace, access)

    def put(self, run: Run) -> None:
        """Writes a run's record."""
        self._tables.run("INSERT INTO runs (shelf, run_id, run) VALUES ('jobs', ?, ?)", run.run_id, encode_run(run))

    def runs(self, limit: int = 50) -> list[Run]:
        """The newest runs."""
        rows = self._tables.run("SELECT run FROM runs WHERE shelf = 'jobs' LIMIT ?", limit)
        return decode_runs(run for (run,) in rows)

    def expire(self, keep: int) -> int:
        """Removes old records."""
        expired_ids = [run_id for (run_id,) in self._tables.run("SELECT run_id FROM runs WHERE shelf = 'jobs'")][keep:]
        for run_id in expired_ids:
            self._tables.run("DELETE FROM runs WHERE shelf = 'jobs' AND run_id = ?", run_id)
        return len(expired_ids)

    def close(self) -> None:
        """Closes the connection."""
        self._tables.close()


class CassandraDocuments:
    """Implements ``schemas.ports.Documents``. A document must fit into one cell (a few megabytes)."""

    def __init__(self, hosts: str, keyspace: str, *, access: ServerAccess = NO_ACCESS) -> None:
        self._tables = _JobTables(hosts, keyspace, access)

    def write(self, name: str, value: bytes) -> None:
        """Replaces a document."""
        self._tables.run("INSERT INTO documents (name, value) VALUES (?, ?)", name, value)

    def read(self, name: str) -> bytes | None:
        """The document."""
        rows = self._tables.run("SELECT value FROM documents WHERE name = ?", name)
        return rows[0][0] if rows else None

    def names(self) -> list[str]:
        """All names."""
        return sorted(name for (name,) in self._tables.run("SELECT name FROM documents"))

    def close(self) -> None:
        """Closes the connection."""
        self._tables.close()


def _lost(name: str) -> LeaseLost:
    return LeaseLost(f"'{name}' was not renewed in time and may run elsewhere; this run ends, see `freshet jobs list`")


ADAPTER: Final = Adapter(
    ("cassandra",),
    lease=lambda address: CassandraLease(*hosts_and_keyspace(address), access=address.access),
    runs=lambda address: CassandraRuns(*hosts_and_keyspace(address), access=address.access),
    documents=lambda address: CassandraDocuments(*hosts_and_keyspace(address), access=address.access),
)
"""Leases, records of runs and documents in the model store's keyspace."""
