"""Items and users after their newest upserts."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from schemas.catalogue import Upsert
from signals.catalogue import fold_item, fold_profile, merge_patch

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
LATER = datetime(2026, 2, 1, tzinfo=UTC)


def upsert(op: str, at: datetime = FIRST, key: str = "i", **fields) -> Upsert:
    return Upsert(id=key, op=op, fields=fields, received_at=at)


# RFC 7396, appendix A
@pytest.mark.parametrize(
    ("target", "patch", "merged"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_a_patch_merges_as_rfc_7396_says(target, patch, merged):
    before = msgspec.json.encode(target)
    assert merge_patch(target, patch) == merged
    assert msgspec.json.encode(target) == before


def test_a_put_replaces_and_a_patch_keeps_what_it_does_not_name():
    item = fold_item(None, upsert("put", title="Ico", tags=["castle"], attributes={"year": 2001}), 0)
    patched = fold_item(item, upsert("patch", LATER, tags=["hand"], attributes={"pads": 1}), 1)
    assert (patched.title, patched.tags, patched.attributes) == ("Ico", ("hand",), {"year": 2001, "pads": 1})
    replaced = fold_item(patched, upsert("put", LATER, title="Ico HD"), 2)
    assert (replaced.title, replaced.tags, replaced.attributes, replaced.version) == ("Ico HD", (), {}, 2)


def test_an_items_first_time_stays_until_it_is_deleted():
    item = fold_item(None, upsert("put", title="Ico"), 0)
    assert fold_item(item, upsert("put", LATER, title="Ico"), 1).first_at == FIRST
    deleted = fold_item(item, upsert("delete", LATER), 1)
    assert (deleted.deleted, deleted.title) == (True, None)
    assert fold_item(deleted, upsert("put", LATER, title="Ico"), 2).first_at == LATER


def test_a_patch_of_nothing_makes_it():
    assert fold_item(None, upsert("patch", title="Ico"), 3).title == "Ico"
    assert fold_profile(None, upsert("patch", attributes={"tongue": "de"}), 3).attributes == {"tongue": "de"}


def test_what_is_applied_already_changes_nothing():
    item = fold_item(None, upsert("put", title="Ico"), 5)
    assert fold_item(item, upsert("put", title="older"), 4) is item
    assert fold_item(item, upsert("put", title="same"), 5) is item


def test_a_field_of_the_wrong_kind_is_a_validation_error():
    with pytest.raises(msgspec.ValidationError):
        fold_item(None, upsert("put", title=3), 0)
