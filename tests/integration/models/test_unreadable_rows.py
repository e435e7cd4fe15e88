"""A row that cannot be read hides only itself: versions, runs and documents beside it are served."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.sqlite.jobs import SqliteDocuments, SqliteRuns
from adapters.sqlite.models import SqliteModelStore
from offline.jobs import drift_job, training_state
from schemas.errors import Undecodable, VersionUnknown
from schemas.offline.jobs import Run, decode_run
from schemas.offline.manifest import DataWindow, Manifest, decode_manifest

AT = datetime(2026, 1, 1, tzinfo=UTC)


def a_manifest(version: str) -> Manifest:
    window = DataWindow(interactions=1, users=1, items=1, last_at=AT)
    return Manifest(
        version=version,
        created_at=AT,
        algorithm="als",
        engine="single",
        parameters={},
        window=window,
        offsets={},
        values=(),
        lists={},
    )


def damage(path, statement: str, *parameters) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute(statement, parameters).rowcount == 1


@pytest.mark.parametrize("wrong", [b"\xc1", b"", b"{", b"[]"])
def test_a_version_whose_manifest_cannot_be_read_does_not_exist(tmp_path, wrong):
    with closing(SqliteModelStore(tmp_path)) as store:
        for version in ("v1", "v2"):
            store.write(a_manifest(version), {}, {})
        store.activate("v1", None)
        damage(tmp_path / "models.sqlite", "UPDATE versions SET manifest = ? WHERE version = 'v2'", wrong)
        assert [manifest.version for manifest in store.versions()] == ["v1"]
        assert store.active() == "v1"
        with pytest.raises((Undecodable, VersionUnknown)):
            store.manifest("v2")


def test_a_record_of_a_run_that_cannot_be_read_is_left_out(tmp_path):
    with closing(SqliteRuns(tmp_path)) as runs:
        for number in range(3):
            runs.put(Run(run_id=f"r{number}", job="train", reason="due", started_at=AT, holder="here", token=number))
        damage(tmp_path / "jobs.sqlite", "UPDATE runs SET run = x'c1' WHERE run_id = 'r1'")
        assert [run.run_id for run in runs.runs()] == ["r2", "r0"]


@pytest.mark.parametrize("wrong", [b"\xff\xfe", b"[]", b"{", b'{"at": 1e999}'])
def test_a_document_that_cannot_be_read_is_as_if_it_were_not_there(tmp_path, wrong):
    with closing(SqliteDocuments(tmp_path)) as documents:
        for name in (drift_job.DOCUMENT, training_state.CHOSEN):
            documents.write(name, wrong)
        assert drift_job.last_report(documents) is None
        assert training_state.chosen_by_hand(documents) is None


@given(data=st.binary(max_size=80))
def test_no_bytes_make_anything_but_undecodable(data):
    for decode in (decode_manifest, decode_run):
        with pytest.raises(Undecodable):
            decode(data)
