"""What the cluster keeps of jobs, in the model store's keyspace; tables in ``schemas/cql/jobs.cql``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

from adapters.cassandra_ring import Ring, place_of
from adapters.registry import Adapter
from schemas.errors import JobStoreUnavailable, LeaseLost, LeaseTaken, ModelStoreUnavailable
from schemas.jobs import Run, decode_run, encode_run
from schemas.ports import Held

LEASE_SECONDS: Final = 120
"""After which a lease that nobody renews is free: as long as a killed job keeps the next one waiting."""

_TAKE: Final = "UPDATE leases USING TTL ? SET holder = ?, since = ? WHERE name = ? IF holder = null"
_NUMBER: Final = "UPDATE leases USING TTL ? SET holder = ?, since = ?, fence = ? WHERE name = ? IF holder = ?"
_RENEW: Final = "UPDATE leases USING TTL ? SET holder = ?, since = ?, fence = ? WHERE name = ? IF fence = ?"
_RELEASE: Final = "DELETE FROM leases WHERE name = ? IF fence = ?"
_HELD: Final = "SELECT holder, since, fence FROM leases WHERE name = ?"
_LAST: Final = "SELECT fence FROM lease_tokens WHERE name = ?"
_NEXT: Final = "UPDATE lease_tokens SET fence = ? WHERE name = ? IF fence = ?"
_MARK: Final = "\x1f"
"""Between a holder's name and what makes its taking of the lease unlike all others."""


class _Rows:
    """Statements on the keyspace; every failure becomes JobStoreUnavailable."""

    def __init__(self, hosts: str, keyspace: str) -> None:
        self._ring = Ring(hosts, keyspace)

    def run(self, query: str, *parameters: Any) -> list[Any]:
        with self._named():
            return self._ring.run(query, *parameters)

    def applied(self, query: str, *parameters: Any) -> bool:
        return bool(self.run(query, *parameters)[0][0])

    def close(self) -> None:
        """Let go of the servers."""
        self._ring.close()

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except ModelStoreUnavailable as error:
            raise JobStoreUnavailable(str(error)) from error


class CassandraLease:
    """A Lease for all machines of a cluster, by light-weight transactions on a row that expires."""

    def __init__(self, hosts: str, keyspace: str, seconds: int = LEASE_SECONDS) -> None:
        self.seconds: float = seconds
        self._ttl, self._rows = seconds, _Rows(hosts, keyspace)
        self._taken: dict[tuple[str, int], Held] = {}

    def acquire(self, name: str, holder: str, now: float) -> int:
        """Take the row, then draw its token: drawn while the row is held, tokens follow the order of holders."""
        mine = f"{holder}{_MARK}{uuid4().hex}"
        if not self._rows.applied(_TAKE, self._ttl, mine, now, name):
            found = self.held(name) or Held("a run that has just ended", now, 0)
            raise LeaseTaken(name, found.holder, datetime.fromtimestamp(found.since, UTC))
        token = self._draw(name)
        if not self._rows.applied(_NUMBER, self._ttl, mine, now, token, name, mine):
            raise _lost(name)
        self._taken[name, token] = Held(mine, now, token)
        return token

    def renew(self, name: str, token: int) -> None:
        """Write the row again, with a new time to live."""
        kept = self._taken.get((name, token))
        if kept is None or not self._rows.applied(_RENEW, self._ttl, kept.holder, kept.since, token, name, token):
            raise _lost(name)

    def release(self, name: str, token: int) -> None:
        """Remove the row."""
        if self._taken.pop((name, token), None) is not None:
            self._rows.applied(_RELEASE, name, token)

    def held(self, name: str) -> Held | None:
        """What the row says."""
        rows = self._rows.run(_HELD, name)
        if not rows or rows[0][0] is None:
            return None
        holder, since, token = rows[0]
        return Held(holder.partition(_MARK)[0], since, token or 0)

    def close(self) -> None:
        """Remove the rows that are held here, and let go of the servers."""
        for name, token in list(self._taken):
            self.release(name, token)
        self._rows.close()

    def _draw(self, name: str) -> int:
        while True:
            rows = self._rows.run(_LAST, name)
            last = rows[0][0] if rows else None
            if self._rows.applied(_NEXT, (last or 0) + 1, name, last):
                return (last or 0) + 1


class CassandraRuns:
    """Implements ``schemas.ports.RunStore``."""

    def __init__(self, hosts: str, keyspace: str) -> None:
        self._rows = _Rows(hosts, keyspace)

    def put(self, run: Run) -> None:
        """Write a run's record."""
        self._rows.run("INSERT INTO runs (shelf, run_id, run) VALUES ('jobs', ?, ?)", run.run_id, encode_run(run))

    def runs(self, limit: int = 50) -> list[Run]:
        """The newest runs."""
        rows = self._rows.run("SELECT run FROM runs WHERE shelf = 'jobs' LIMIT ?", limit)
        return [decode_run(run) for (run,) in rows]

    def expire(self, keep: int) -> int:
        """Remove old records."""
        gone = [run_id for (run_id,) in self._rows.run("SELECT run_id FROM runs WHERE shelf = 'jobs'")][keep:]
        for run_id in gone:
            self._rows.run("DELETE FROM runs WHERE shelf = 'jobs' AND run_id = ?", run_id)
        return len(gone)

    def close(self) -> None:
        """Let go of the servers."""
        self._rows.close()


class CassandraDocuments:
    """Implements ``schemas.ports.Documents``; a document fits into one cell (a few megabytes)."""

    def __init__(self, hosts: str, keyspace: str) -> None:
        self._rows = _Rows(hosts, keyspace)

    def write(self, name: str, value: bytes) -> None:
        """Replace a document."""
        self._rows.run("INSERT INTO documents (name, value) VALUES (?, ?)", name, value)

    def read(self, name: str) -> bytes | None:
        """The document."""
        rows = self._rows.run("SELECT value FROM documents WHERE name = ?", name)
        return rows[0][0] if rows else None

    def close(self) -> None:
        """Let go of the servers."""
        self._rows.close()


def _lost(name: str) -> LeaseLost:
    return LeaseLost(f"'{name}' was not renewed in time and may run elsewhere; this run ends, see `freshet jobs list`")


ADAPTER: Final = Adapter(
    ("cassandra",),
    lease=lambda address: CassandraLease(*place_of(address)),
    runs=lambda address: CassandraRuns(*place_of(address)),
    documents=lambda address: CassandraDocuments(*place_of(address)),
)
"""Leases, records of runs and documents in the model store's keyspace."""
