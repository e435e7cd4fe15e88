"""Ids of rows are made of what the rows say, and the ledger remembers them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.import_pipeline.hash_set import HASH, HashSet, contained
from ingest.import_pipeline.ledger import FileLedger, open_ledger
from ingest.import_pipeline.row_ids import RowIds

ROWS = st.lists(
    st.fixed_dictionaries({"user_id": st.sampled_from("ab"), "item_id": st.sampled_from("xyz")}), max_size=30
)


def view(user, item, **more):
    return {"type": "view", "user_id": user, "item_id": item, **more}


def ids_of(*batches):
    ids = RowIds()
    copies = [[dict(row) for row in batch] for batch in batches]
    for batch in copies:
        ids.assign(batch)
    return [row["event_id"] for batch in copies for row in batch]


def test_an_id_depends_neither_on_the_order_of_columns_nor_on_other_rows():
    [one] = ids_of([view("ann", "portal")])
    [_, other] = ids_of([view("bo", "doom"), {"item_id": "portal", "user_id": "ann", "type": "view"}])
    assert one == other


def test_rows_that_say_something_else_have_other_ids():
    rows = [view("ann", "x"), view("ann", "y"), view("bo", "x"), view("ann", "x", value=1.0), view("annx", "")]
    assert len(set(ids_of(rows))) == len(rows)


def test_equal_rows_are_told_apart_by_their_ordinal():
    first, second, third = ids_of([view("ann", "x")] * 3)
    assert (second, third) == (f"{first}-1", f"{first}-2")


@given(ROWS, st.integers(1, 7))
def test_ids_do_not_depend_on_where_batches_end(rows, size):
    batches = [rows[start : start + size] for start in range(0, len(rows), size)]
    assert ids_of(*batches) == ids_of(rows)
    assert len(set(ids_of(rows))) == len(rows)


@given(ROWS, st.randoms(use_true_random=False))
def test_a_file_in_another_order_has_the_same_ids(rows, random):
    shuffled = random.sample(rows, len(rows))
    assert sorted(ids_of(shuffled)) == sorted(ids_of(rows))


def test_an_id_of_the_file_is_kept_and_equal_ids_have_equal_hashes():
    rows = [view("ann", "x", event_id="order-7"), view("bo", "y", event_id="order-7"), view("bo", "y")]
    hashes = RowIds().assign(rows)
    assert [row["event_id"] for row in rows[:2]] == ["order-7", "order-7"]
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.parametrize("odd", [2**70, float("nan"), "\ud800", {1: 2}, ["x"], [[]]])
def test_what_is_no_id_has_an_id_until_it_is_refused(odd):
    [row] = [view(odd, "x" * 128, session_id="y" * 128)]
    RowIds().assign([row])
    assert 0 < len(row["event_id"]) <= 64


@given(st.lists(st.lists(st.integers(0, 2**64 - 1), max_size=20, unique=True), max_size=12))
def test_a_set_of_hashes_holds_what_was_added(batches):
    added, hashes = set(), HashSet()
    for batch in batches:
        fresh = np.array([value for value in batch if value not in added], HASH)
        wanted = np.array(batch, HASH)
        assert hashes.contains(wanted).tolist() == [value in added for value in batch]
        hashes.add(fresh)
        added.update(batch)
    assert (len(hashes), hashes.to_sorted().tolist()) == (len(added), sorted(added))


def test_nothing_is_in_an_empty_file_of_hashes():
    assert contained([np.empty(0, HASH)], np.array([1], HASH)).tolist() == [False]


def hashes(*values):
    return np.array(values, HASH)


def test_a_ledger_remembers_when_it_is_opened_again_and_only_for_its_log(tmp_path):
    with open_ledger(tmp_path, "log", 32) as ledger:
        ledger.add(hashes(3, 1))
    with open_ledger(tmp_path, "log", 32) as ledger:
        assert ledger.contains(hashes(1, 2, 3)).tolist() == [True, False, True]
    with open_ledger(tmp_path, "another log", 32) as ledger:
        assert not ledger.contains(hashes(1, 2, 3)).any()


def test_a_hash_that_a_kill_cut_short_is_forgotten_and_those_before_it_stay(tmp_path):
    with open_ledger(tmp_path, "log", 32) as ledger:
        ledger.add(hashes(1, 2))
    [journal] = tmp_path.rglob("journal")
    journal.write_bytes(journal.read_bytes()[:-3])
    with open_ledger(tmp_path, "log", 32) as ledger:
        assert ledger.contains(hashes(1, 2)).tolist() == [True, False]
        ledger.add(hashes(2))
    with open_ledger(tmp_path, "log", 32) as ledger:
        assert ledger.contains(hashes(1, 2)).all()


def test_a_full_journal_becomes_a_sorted_file_and_beyond_the_limit_the_oldest_is_forgotten(tmp_path):
    for value in range(7):
        with (tmp_path / "journal").open("a+b") as journal:
            FileLedger(tmp_path, journal, max_files=2, run=2).add(hashes(10 - value))
    with (tmp_path / "journal").open("a+b") as journal:
        held = FileLedger(tmp_path, journal, max_files=2, run=2).contains(hashes(*range(4, 11)))
    assert held.tolist() == [True, True, True, True, True, False, False]
    assert [path.name for path in sorted(tmp_path.glob("*.hashes"))] == ["00000002.hashes", "00000003.hashes"]
