"""Interactions as a matrix."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from adapters.parquet.archive import ParquetArchive
from offline.data.dataset import GUEST, ends, from_arrow, is_guest, since
from schemas.errors import NothingToTrain
from schemas.log.records import Record

ROWS = [("u:2", "b", 2.0, 10.0), ("u:10", "a", 1.0, 30.0), ("a:2", "b", 0.5, 20.0), ("u:2", "a", 4.0, 40.0)]


def table(rows):
    users, items, weights, times = map(list, zip(*rows, strict=True)) if rows else ([], [], [], [])
    columns = {"user": users, "item": items, "weight": weights, "first_at": times, "at": times}
    types = [pa.string(), pa.string(), pa.float64(), pa.float64(), pa.float64()]
    return pa.table({name: pa.array(values, kind) for (name, values), kind in zip(columns.items(), types, strict=True)})


def test_rows_and_columns_are_sorted_ids_and_cells_are_weights():
    read = from_arrow(table(ROWS), {})
    assert read.user_ids == (GUEST + "a:2", "10", "2")
    assert read.item_ids == ("a", "b")
    assert read.matrix.toarray().tolist() == [[0.0, 0.5], [1.0, 0.0], [4.0, 2.0]]
    assert read.matrix.dtype == np.float32


def test_the_order_of_the_rows_does_not_matter():
    first, second = from_arrow(table(ROWS), {}), from_arrow(table(ROWS[::-1]), {})
    assert (first.user_ids, first.item_ids) == (second.user_ids, second.item_ids)
    for part in ("data", "indices", "indptr"):
        assert getattr(first.matrix, part).tobytes() == getattr(second.matrix, part).tobytes()


def test_a_guest_never_meets_a_user_of_the_same_name():
    read = from_arrow(table([("u:a:x", "i", 1.0, 1.0), ("a:x", "i", 1.0, 1.0), ("s:x", "i", 1.0, 1.0)]), {})
    assert len(read.user_ids) == 3
    assert [user for user in read.user_ids if not is_guest(user)] == ["a:x"]


def test_what_has_decayed_to_nothing_still_counts_as_having_happened():
    assert from_arrow(table([("u:1", "i", 1e-300, 1.0)]), {}).matrix.data[0] > 0


def test_the_window_says_what_the_matrix_was_made_of():
    window = from_arrow(table(ROWS), {}).window
    assert (window.interactions, window.users, window.items) == (4, 3, 2)
    assert window.first_at == datetime.fromtimestamp(10, UTC)
    assert window.last_at == datetime.fromtimestamp(40, UTC)


def test_no_interactions_are_nothing_to_train_on():
    with pytest.raises(NothingToTrain):
        from_arrow(table([]), {})


def test_only_events_after_a_models_offsets_are_new(tmp_path):
    archive = ParquetArchive(tmp_path)
    records = [Record("events", p, i, 0, b"", b"") for p in (0, 1) for i in range(5, 10)]
    archive.write("log", records[:5])
    seen = ends(archive)
    assert seen == {"log/events/0": 10}
    assert (since(archive, {}), since(archive, seen)) == (5, 0)
    archive.write("log", records[5:])
    archive.write("another log", records[:2])
    archive.write("log", [Record("items", 0, 0, 0, b"", b"")])
    assert since(archive, seen) == 7


def test_records_in_two_files_are_new_once(tmp_path):
    archive = ParquetArchive(tmp_path)
    for begin, end in ((0, 6), (4, 10)):
        archive.write("log", [Record("events", 0, i, 0, b"", b"") for i in range(begin, end)])
    assert since(archive, {}) == 10
    assert since(archive, {"log/events/0": 8}) == 2
