"""A holder that is gone without a word keeps a cluster's lease only until it expires."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from schemas.errors import LeaseLost, LeaseTaken

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.stack
def test_a_lease_that_nobody_renews_goes_to_the_next_and_the_former_holder_is_told(cassandra_hosts, site):
    from adapters.cassandra.jobs import CassandraLease
    from adapters.cassandra.models import create_keyspace

    create_keyspace(cassandra_hosts, site)
    gone, following = (CassandraLease(cassandra_hosts, site, seconds=2) for _ in range(2))
    old = gone.acquire("train", "gone", 0)
    with pytest.raises(LeaseTaken):
        following.acquire("train", "next", 1)
    deadline = time.monotonic() + 30
    new = None
    while new is None and time.monotonic() < deadline:
        try:
            new = following.acquire("train", "next", 2)
        except LeaseTaken:
            time.sleep(0.2)
    assert new > old
    with pytest.raises(LeaseLost):
        gone.renew("train", old)
    gone.release("train", old)
    following.renew("train", new)
    gone.close()
    following.close()


HOLDER = """
import sys, time
from adapters.cassandra.jobs import CassandraLease
token = CassandraLease(sys.argv[1], sys.argv[2]).acquire("train", "the killed one", 0)
print(token, flush=True)
time.sleep(600)
"""


@pytest.mark.stack
def test_after_kill_9_of_a_holder_of_this_machine_the_next_gets_the_lease_at_once(cassandra_hosts, site):
    from adapters.cassandra.jobs import CassandraLease
    from adapters.cassandra.models import create_keyspace

    create_keyspace(cassandra_hosts, site)
    command = [sys.executable, "-c", HOLDER, cassandra_hosts, site]
    following = CassandraLease(cassandra_hosts, site)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as holder:
        old = int(holder.stdout.readline())
        with pytest.raises(LeaseTaken, match="the killed one"):
            following.acquire("train", "next", 1)
        holder.kill()
    began = time.monotonic()
    new = following.acquire("train", "next", 2)
    assert new > old
    assert time.monotonic() - began < 10
    following.renew("train", new)
    assert following.held("train").holder == "next"
    following.close()
