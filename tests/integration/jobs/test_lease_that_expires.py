"""A holder that is gone without a word keeps a cluster's lease only until it expires."""

from __future__ import annotations

import time

import pytest

from schemas.errors import LeaseLost, LeaseTaken


@pytest.mark.stack
def test_a_lease_that_nobody_renews_goes_to_the_next_and_the_former_holder_is_told(cassandra_hosts, site):
    from adapters.cassandra_jobs import CassandraLease
    from adapters.cassandra_models import create_keyspace

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
