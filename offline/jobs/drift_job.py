"""The drift job: compares new data with the training data of the active version, by ``offline.data.drift``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Final

import duckdb
import msgspec
import numpy as np

from models.als import Als
from models.structures.lists import USERS, ScoredList
from offline.data import drift
from offline.data.drift import DriftFigures, DriftThresholds
from offline.evaluation.metric_names import LEARNED
from offline.jobs.runs import Running
from offline.publishing import gate
from schemas.errors import UNREADABLE, Undecodable, VersionUnknown
from schemas.log import topics
from schemas.offline.manifest import Manifest
from schemas.ports import Archive, Documents, ModelStore

DOCUMENT: Final = "drift"
"""Document name of the newest report."""
SAMPLE: Final = 200_000
"""Maximum number of newest events compared from each side."""
FEWEST: Final = 500
"""Minimum number of new events for a comparison."""
_VALIDATED: Final = "NDCG@10"
LISTS: Final = 200
"""Number of users whose lists are compared between two versions."""

_COUNTED: Final = """
    SELECT json_extract_string(value, '$.{field}') AS name, COUNT(*) AS events
    FROM {side} GROUP BY name HAVING name IS NOT NULL
"""
_PERSON: Final = "COALESCE(value->>'$.user_id', value->>'$.anonymous_id', value->>'$.session_id')"


class DriftReport(msgspec.Struct, frozen=True, kw_only=True):
    """Result of the last drift check."""

    version: str
    """The version whose training data are compared with newer data."""
    at: datetime
    reasons: list[str]
    """Reasons to train again. Empty without drift."""
    observed: dict[str, float]
    """All computed figures, by their names in ``DriftFigures``."""


def watch(
    archive: Archive,
    store: ModelStore,
    documents: Documents,
    running: Running,
    at: datetime,
    thresholds: DriftThresholds | None = None,
) -> DriftReport | None:
    """Measures drift, compares it with thresholds, and stores the report. None if no version is active.

    Raises errors of the stores, duckdb.Error.
    """
    active = store.active()
    if active is None:
        return None
    running.progress("comparing inputs", 0, 2)
    observed = _inputs(archive, store.manifest(active))
    running.progress("comparing lists", 1, 2)
    observed |= _against_parent(archive, store, store.manifest(active)) | _gaps(store, active)
    reasons = drift.drift(DriftFigures(**observed), thresholds)
    report = DriftReport(version=active, at=at, reasons=reasons, observed=observed)
    documents.write(DOCUMENT, msgspec.json.encode(report))
    return report


def last_report(documents: Documents) -> DriftReport | None:
    """Returns the newest report, or None if there is none that can be decoded."""
    stored = documents.read(DOCUMENT)
    try:
        return None if stored is None else msgspec.json.decode(stored, type=DriftReport)
    except UNREADABLE:
        return None


def _inputs(archive: Archive, manifest: Manifest) -> dict[str, float]:
    """Returns stability indexes of the events since the version against those before. Empty if too few are new."""
    with duckdb.connect() as connection:
        # One thread, because serving may run on the same machine.
        connection.execute("SET autoinstall_known_extensions = false")
        connection.execute("SET threads = 1")
        if not _sides(connection, archive.files(topics.EVENTS), manifest.offsets):
            return {}
        types, items = (_pair(connection, field) for field in ("type", "item_id"))
        activity = [
            [row[0] for row in connection.execute(f"SELECT COUNT(*) FROM {side} GROUP BY {_PERSON}").fetchall()]  # noqa: S608 - both are named here
            for side in ("earlier", "later")
        ]
    return {
        "types": drift.psi_of_kinds(*types),
        "items": drift.psi_of_items(*items),
        "activity": drift.psi_of_activity(*activity),
    }


def _sides(connection: duckdb.DuckDBPyConnection, files: Sequence[str], offsets: Mapping[str, int]) -> bool:
    """Creates tables ``earlier`` and ``later`` of the newest events of each side. Returns False if there are too few."""
    if not files:
        return False
    ends = [(key.rsplit("/", 2)[0], int(key.rsplit("/", 1)[1]), end) for key, end in _of_events(offsets)]
    connection.execute("CREATE TEMP TABLE ends (log_id TEXT, part INTEGER, reached BIGINT)")
    if ends:
        connection.executemany("INSERT INTO ends VALUES (?, ?, ?)", ends)
    connection.read_parquet(list(files), hive_partitioning=False).create_view("stored")
    connection.execute("""
        CREATE TEMP VIEW events AS
        SELECT
            TRY_CAST(TRY(decode(stored.value)) AS JSON) AS value,
            stored.timestamp_ms,
            stored."offset" < COALESCE(ends.reached, 0) AS known
        FROM stored LEFT JOIN ends ON ends.log_id = stored.log_id AND ends.part = stored."partition"
    """)
    new = _keep(connection, "later", "NOT known", SAMPLE)
    return new >= FEWEST and _keep(connection, "earlier", "known", new) >= FEWEST


def _keep(connection: duckdb.DuckDBPyConnection, table: str, which: str, count: int) -> int:
    connection.execute(
        f"CREATE TEMP TABLE {table} AS SELECT value FROM events WHERE {which} ORDER BY timestamp_ms DESC LIMIT {count}"  # noqa: S608 - all three are ours
    )
    [(count_kept,)] = connection.execute(f"SELECT COUNT(*) FROM {table}").fetchall()  # noqa: S608
    return int(count_kept)


def _pair(connection: duckdb.DuckDBPyConnection, field: str) -> tuple[dict[str, float], dict[str, float]]:
    earlier, later = (
        {name: float(events) for name, events in connection.execute(_COUNTED.format(field=field, side=side)).fetchall()}
        for side in ("earlier", "later")
    )
    return earlier, later


def _of_events(offsets: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    return ((key, end) for key, end in offsets.items() if key.rsplit("/", 2)[1] == topics.EVENTS)


def _gaps(store: ModelStore, active: str) -> dict[str, float]:
    """Returns the train–validation gaps of the newest evaluated version and of the evaluated version before it."""
    metric, gaps = f"{LEARNED}{_VALIDATED}", {}
    version: str | None = active
    for name in ("gap", "gap_before"):
        manifest = gate.nearest_evaluated(store, version, metric)
        if manifest is None:
            break
        gaps[name] = drift.gap(manifest.metrics[metric], manifest.metrics.get(_VALIDATED, 0.0))
        version = manifest.parent
    return gaps


def _against_parent(archive: Archive, store: ModelStore, manifest: Manifest) -> dict[str, float]:
    """Compares lists and scores with those of the parent version, over the newest users."""
    if manifest.parent is None:
        return {}
    people, pair = _newest_users(archive), (manifest.version, manifest.parent)
    return _lists(store, pair, people) | _scores(store, pair, people)


def _scores(store: ModelStore, pair: tuple[str, str], people: Sequence[str]) -> dict[str, float]:
    """Returns the mean change of scores over common items and users. Empty if the versions share no user."""
    new, old = (_factors(store, version) for version in pair)
    if new is None or old is None:
        return {}
    items = [item_id for item_id in new.item_ids if old.index_of(item_id) is not None]
    vectors = [
        (a, b)
        for user_id in people
        if (a := old.vector(user_id)) is not None and (b := new.vector(user_id)) is not None
    ]
    if not items or not vectors:
        return {}
    before, after = zip(*vectors, strict=True)
    scored = [
        np.array([als.score_items(vector, items) for vector in side]) for als, side in ((old, before), (new, after))
    ]
    return {"scores": drift.score_change(*scored)}


def _factors(store: ModelStore, version: str) -> Als | None:
    try:
        return Als.load(store.value(version, "als"))
    except (VersionUnknown, Undecodable):
        return None


def _lists(store: ModelStore, versions: tuple[str, str], people: Sequence[str]) -> dict[str, float]:
    overlaps = []
    for user_id in people:
        pair = [_list(store, version, user_id) for version in versions]
        if pair[0] and pair[1]:
            overlaps.append(drift.overlap(pair[0], pair[1]))
    return {"overlap": sum(overlaps) / len(overlaps)} if overlaps else {}


def _newest_users(archive: Archive) -> list[str]:
    files = archive.files(topics.EVENTS)
    if not files:
        return []
    with duckdb.connect() as connection:
        connection.execute("SET threads = 1")
        connection.read_parquet(list(files), hive_partitioning=False).create_view("stored")
        rows = connection.execute(
            "SELECT decode(key) AS name FROM stored GROUP BY key ORDER BY MAX(timestamp_ms) DESC, name LIMIT ?", [LISTS]
        ).fetchall()
    return [name for (name,) in islice(rows, LISTS)]


def _list(store: ModelStore, version: str, user_id: str) -> tuple[str, ...]:
    try:
        stored = store.entry(version, USERS, user_id)
        return () if stored is None else tuple(ScoredList.load(stored).item_ids)
    except (VersionUnknown, Undecodable):
        return ()
