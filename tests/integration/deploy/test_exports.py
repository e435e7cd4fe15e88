"""A version that is exported as Parquet, and lists that are read from there where the store has none."""

import json
from contextlib import closing

import pytest

from adapters.sqlite.jobs import SqliteRuns
from adapters.sqlite.models import SqliteModelStore


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Two places to export to."""
    found = [tmp_path / "one", tmp_path / "two"]
    monkeypatch.setenv("FRESHET_EXPORT", ", ".join(map(str, found)))
    monkeypatch.setenv("FRESHET_HELD_OUT_USERS", "0")
    monkeypatch.setenv("FRESHET_FACTORS", "4")
    monkeypatch.setenv("FRESHET_MODELS", "")
    monkeypatch.setenv("FRESHET_WEIGH_EVENTS", "0")
    return found


def answering(folder):
    with closing(SqliteModelStore(folder)) as store:
        return store.active()


def test_what_is_trained_is_exported_to_every_place_and_expires_there(shop_copy, places, freshet, monkeypatch):
    monkeypatch.setenv("FRESHET_KEEP_VERSIONS", "1")
    assert freshet("train", "--force", "--data", shop_copy.folder).exit_code == 0
    first = answering(shop_copy.folder)
    for place in places:
        assert [each.parent.name for each in place.rglob("manifest.json")] == [first]
    for _ in range(2):  # the parent of the active one stays
        assert freshet("train", "--force", "--data", shop_copy.folder).exit_code == 0
    assert first not in {each.parent.name for each in places[0].rglob("manifest.json")}
    assert answering(shop_copy.folder) in {each.parent.name for each in places[0].rglob("manifest.json")}


def test_a_version_is_held_ready_and_promoted_and_taken_back_by_the_command(shop_copy, places, freshet):
    first = answering(shop_copy.folder)
    assert freshet("train", "--force", "--data", shop_copy.folder).exit_code == 0
    second = answering(shop_copy.folder)
    assert freshet("models", "hold", first, "--data", shop_copy.folder).exit_code == 0
    listed = freshet("models", "list", "--data", shop_copy.folder).output
    assert f"* {second}" in listed
    assert f"+ {first}" in listed
    assert freshet("models", "promote", first, "--data", shop_copy.folder).exit_code == 0
    audited = json.loads(freshet("audit", "list", "--limit", "1", "--json", "--data", shop_copy.folder).stdout)
    assert (audited["action"], audited["after"]) == ("models promote", first)
    assert answering(shop_copy.folder) == first
    assert freshet("models", "hold", "--data", shop_copy.folder).exit_code == 0
    assert "held ready" not in freshet("models", "list", "--data", shop_copy.folder).output
    refused = freshet("models", "rollback", "--data", shop_copy.folder)
    assert "is the oldest version in the store" in str(refused.exception)


def test_a_place_that_fails_undoes_nothing_and_can_be_exported_to_later(shop_copy, places, freshet, monkeypatch):
    monkeypatch.setattr("offline.publishing.export.TRIES", 1)
    places[0].write_text("in the way")
    before = answering(shop_copy.folder)
    assert freshet("train", "--force", "--data", shop_copy.folder).exit_code == 0
    published = answering(shop_copy.folder)
    assert published != before
    assert list(places[1].rglob("manifest.json")) != []
    with closing(SqliteRuns(shop_copy.folder)) as runs:
        assert (runs.runs()[0].outcome, len(runs.runs()[0].unexported)) == ("done", 1)
    assert f"{published} is not exported to {places[0]}" in freshet("jobs", "list", "--data", shop_copy.folder).output

    places[0].unlink()
    assert freshet("models", "export", "--data", shop_copy.folder).exit_code == 0
    assert [each.parent.name for each in places[0].rglob("manifest.json")] == [published]


def test_lists_are_read_from_an_export_where_the_store_has_none(shop_copy, places, shopper, freshet, monkeypatch):
    assert freshet("models", "export", "--data", shop_copy.folder).exit_code == 0
    asked = ("recommend", shopper, "--count", 8, "--data", shop_copy.folder)

    def rows():
        return [line for line in freshet(*asked).stdout.splitlines() if line.startswith("│")]

    expected = rows()
    assert sum(row[1:3].strip().isdecimal() for row in expected) == 8
    with closing(SqliteModelStore(shop_copy.folder)) as store, store._database.changing() as connection:
        connection.execute("DELETE FROM lists")
    assert rows() != expected
    monkeypatch.setenv("FRESHET_LISTS_FROM", f"store,{places[0]}")
    assert rows() == expected
