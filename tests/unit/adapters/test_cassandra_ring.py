"""What is made of the keyspace, and what a failure of Cassandra is called."""

from __future__ import annotations

import ssl

import pytest

ring = pytest.importorskip("adapters.cassandra.ring")


def test_whoever_may_only_read_makes_nothing_where_everything_is_there():
    everything = [ring._TABLE.match(statement) for statement in ring._missing(set())]
    tables = {made[1] for made in everything if made}
    columns = {(table, "some") for table in tables} | {("versions", "challenger")}
    assert "versions" in tables
    assert ring._missing(columns) == []


def test_a_column_that_a_newer_version_added_is_made():
    columns = {(made[1], "some") for statement in ring._missing(set()) if (made := ring._TABLE.match(statement))}
    [statement] = ring._missing(columns)
    assert statement.startswith("ALTER TABLE versions ADD IF NOT EXISTS (challenger")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ring.AuthenticationFailed("Bad credentials"), "set FRESHET_CASSANDRA_USER and FRESHET_CASSANDRA_PASSWORD"),
        (ssl.SSLCertVerificationError("certificate has expired"), "renew it, or set FRESHET_CASSANDRA_CA"),
        (ring.Unauthorized("User api has no MODIFY permission"), r"docs/security.md"),
    ],
)
def test_each_failure_of_a_node_says_what_to_do(error, words):
    assert words in ring.reason(ring.NoHostAvailable("none", {"10.0.0.1:9042": error}))
