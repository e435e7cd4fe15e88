"""``freshet import`` as a user runs it: filters, weights, and what it says of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from deploy.commands.cli import app
from deploy.config import CommandSettings
from deploy.embedded.app import create_app, nearline
from deploy.wiring.dependencies import open_dependencies
from deploy.wiring.online import serving_settings
from deploy.wiring.rating_scale import with_noted_scale
from deploy.wiring.training import noted_weights
from ingest.import_pipeline.catalogue.item_patches import current_items
from schemas.log import topics
from serving.config import Settings as ServingSettings

MAP = "user=user,item=item,type=type,time=at"


@pytest.fixture
def views(tmp_path) -> Path:
    lines = [f"p{user},thing{item},view,{1_700_000_000 + 60 * item}" for user in range(6) for item in range(5)]
    path = tmp_path / "views.csv"
    path.write_text(
        "\n".join(["user,item,type,at", *lines, "loner,rare,view,1700000000", "p0,,view,1700000000"]) + "\n"
    )
    return path


def run(*arguments):
    return CliRunner().invoke(app, ["import", *map(str, arguments)])


def test_a_filter_leaves_out_and_malformed_rows_are_named_by_their_line(views, tmp_path):
    done = run("auto", views, "--map", MAP, "--data", tmp_path / "data", "--filter", "k-core=3")
    assert done.exit_code == 0, done.output
    assert "31 events read" in done.output
    whole = run("auto", views, "--map", MAP, "--data", tmp_path / "whole")
    assert "views.csv line 33: item_id" in whole.output


def test_weights_stay_with_the_data(views, tmp_path):
    data = tmp_path / "data"
    assert run("auto", views, "--map", MAP, "--data", data, "--weights", "view=1,purchase=5").exit_code == 0
    assert run("auto", views, "--map", MAP, "--data", data).exit_code == 0
    with open_dependencies(CommandSettings(stack="embedded", data=data)) as parts:
        assert noted_weights(parts) == "view=1,purchase=5"


def settings_in(data):
    return CommandSettings(stack="embedded", data=data)


def rated(path, *ratings):
    path.write_text(
        "\n".join(["user,item,stars", *(f"p{n},i{n % 4},{stars}" for n, stars in enumerate(ratings))]) + "\n"
    )
    return path


def test_the_first_import_of_ratings_notes_their_scale(tmp_path):
    data, stars = tmp_path / "data", "user=user,item=item,value=stars"
    assert run("auto", rated(tmp_path / "a.csv", 3, 8, 10, 0, 7), "--map", stars, "--data", data).exit_code == 0
    later = run("auto", rated(tmp_path / "b.csv", 1, 2, 11), "--map", stars, "--data", data)
    assert "not on the scale of this site, 0..10" in later.output
    with open_dependencies(settings_in(data)) as parts:
        assert with_noted_scale(settings_in(data), parts.documents).rating_scale == "0..10"
        assert (
            with_noted_scale(
                settings_in(data).model_copy(update={"rating_scale": "1..5"}), parts.documents
            ).rating_scale
            == "1..5"
        )


def test_online_answers_and_training_use_the_noted_scale(tmp_path):
    data = tmp_path / "data"
    run("auto", rated(tmp_path / "a.csv", 3, 8, 10), "--map", "user=user,item=item,value=stars", "--data", data)
    assert serving_settings(settings_in(data)).ranking_config().rating_scale == (0.0, 10.0)
    with nearline(settings_in(data)) as running, TestClient(create_app(running, ServingSettings(data=data))) as client:
        event = {"type": "rating", "user_id": "ann", "item_id": "i1"}
        assert client.post("/v1/events", json={**event, "value": 7}).status_code == 202
        refused = client.post("/v1/events", json={**event, "value": 11})
        assert (refused.status_code, refused.json()["field"]) == (400, "value")


def test_the_counts_of_an_import_add_up_and_are_written_as_json(views, tmp_path):
    out = tmp_path / "counts.json"
    done = run("auto", views, "--map", MAP, "--data", tmp_path / "data", "--json", out)
    assert done.exit_code == 0, done.output
    assert "32 events read: 31 kept, 0 repeated, 1 refused" in done.output
    assert json.loads(out.read_bytes()) == {"read": 32, "kept": 31, "repeated": 0, "refused": {"item_id: missing": 1}}
    run("auto", views, "--map", MAP, "--data", tmp_path / "data", "--json", out)
    assert json.loads(out.read_bytes()) == {"read": 32, "kept": 0, "repeated": 31, "refused": {"item_id: missing": 1}}


def test_exports_of_several_days_count_each_row_once_however_they_are_named_and_grow(tmp_path):
    rows = [f"p{n % 7},thing{n % 5},view,{1_700_000_000 + n}" for n in range(300)]
    exports = {"mon/v.csv": rows[:100], "tue/v.csv": rows[50:200], "all.csv": rows, "again.csv": rows[::-1]}
    counts = []
    for name, lines in exports.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(["user,item,type,at", *lines]) + "\n")
        assert run("auto", path, "--map", MAP, "--data", tmp_path / "data", "--json", tmp_path / "out").exit_code == 0
        counts.append(json.loads((tmp_path / "out").read_bytes()))
    assert [(count["kept"], count["repeated"]) for count in counts] == [(100, 0), (100, 50), (100, 200), (0, 300)]
    assert sum(1 for _ in events_in(tmp_path / "data")) == 300


def test_refused_rows_are_mended_in_their_file_and_imported_from_it(views, tmp_path):
    data = tmp_path / "data"
    with views.open("a") as file:
        file.write("p1,thing1,view,noon\np2,thing2,gaze,1700000001\np3,thing3\n")
    run("auto", views, "--map", MAP, "--data", data)
    [refused] = (data / "refused").iterdir()
    rows = [json.loads(line) for line in refused.read_bytes().splitlines()]
    assert sorted((row["line"], row["reason"]) for row in rows) == [
        *((33, "item_id: missing"), (34, "not-a-time"), (35, "type: unknown-type"), (36, "columns")),
    ]
    for row in rows:
        row["row"] = {"item": "thing9", **row["row"], "type": "view", "at": "1700000009"}
        row["row"]["item"] = row["row"]["item"] or "thing9"
    refused.write_text("".join(json.dumps(row) + "\n" for row in rows))
    mended = run("auto", refused, "--map", MAP, "--data", data)
    assert "4 events read: 4 kept, 0 repeated, 0 refused" in mended.output
    assert sum(1 for _ in events_in(data)) == 31 + 4


def test_an_import_of_which_the_log_holds_nothing_is_an_error(tmp_path):
    path, out = tmp_path / "a.csv", tmp_path / "out.json"
    for text, refused in (("user,item,type,at\n", {}), ("user,item,type,at\na,x,购买,1700000000\n", 1)):
        path.write_text(text)
        done = run("auto", path, "--map", MAP, "--data", tmp_path / "data", "--json", out)
        assert done.exit_code == 1
        counts = json.loads(out.read_bytes())
        assert (counts["kept"], sum(counts["refused"].values())) == (0, refused or 0)


def test_too_many_refused_rows_end_an_import_early(tmp_path):
    path, out = tmp_path / "a.csv", tmp_path / "out.json"
    path.write_text("user,item,type,at\n" + "a,x,view,soon\n" * 9 + "a,x,view,1700000000\n")
    allowed = run("auto", path, "--map", MAP, "--data", tmp_path / "data", "--max-errors", 9)
    assert (allowed.exit_code, "1 kept" in allowed.output) == (0, True)
    ended = run("auto", path, "--map", MAP, "--data", tmp_path / "other", "--max-errors", 8, "--json", out)
    assert ended.exit_code == 1
    assert "more than 8 rows were refused" in str(ended.exception)
    assert json.loads(out.read_bytes()) == {"read": 9, "kept": 0, "repeated": 0, "refused": {"not-a-time": 9}}


def test_a_filter_leaves_rows_whose_ids_are_lists_to_be_refused(tmp_path):
    path = tmp_path / "l.jsonl"
    path.write_text('{"u": "a", "i": [{"x": 1}]}\n{"u": "b", "i": "20"}\n{"u": {"id": 3}, "i": "20"}\n')
    done = run("auto", path, "--map", "user=u,item=i,type=view", "--filter", "k-core=1", "--data", tmp_path / "data")
    assert (done.exit_code, "3 events read: 1 kept, 0 repeated, 2 refused" in done.output) == (0, True), done.output
    assert "l.jsonl line 1: column i" in done.output


def events_in(data):
    with open_dependencies(CommandSettings(stack="embedded", data=data)) as parts:
        for partition in range(8):
            yield from parts.reader.read(topics.EVENTS, partition, 0, 10_000)


def test_a_catalogue_has_the_same_counts_refused_rows_and_exit_codes(tmp_path):
    path, out, data = tmp_path / "shop.csv", tmp_path / "out.json", tmp_path / "data"
    path.write_text("id,title,price\nlamp,Lamp,9.99\nchair,Chair,cheap\nlamp,Lamp,9.99\n")
    assert run("items", path, "--data", data, "--json", out).exit_code == 0
    counts = json.loads(out.read_bytes())
    assert (counts["read"], counts["kept"], counts["repeated"], sum(counts["refused"].values())) == (3, 1, 1, 1)
    [refused] = (data / "refused").iterdir()
    assert json.loads(refused.read_bytes())["row"]["title"] == "Chair"
    refused.write_text(refused.read_text().replace("cheap", "5"))
    assert run("items", refused, "--data", data, "--json", out).exit_code == 0
    assert json.loads(out.read_bytes()) == {"read": 1, "kept": 1, "repeated": 0, "refused": {}}
    ended = run("items", path, "--data", data, "--max-errors", 0, "--json", out)
    assert (ended.exit_code, json.loads(out.read_bytes())["kept"]) == (1, 0)


def test_columns_of_items_fill_the_catalogue_with_the_events(tmp_path):
    orders = tmp_path / "orders.csv"
    orders.write_text(
        "who,sku,at,name,price\nann,lamp,2024-05-01,A lamp,9.99\nbo,lamp,2024-05-02,A lamp,\nbo,desk,2024-05-02,A desk,40\n"
    )
    columns = "user=who,item=sku,type=purchase,time=at,title=name,price=price"
    first = run("auto", orders, "--map", columns, "--data", tmp_path / "data")
    assert "2 items, 3 events read: 5 kept, 0 repeated, 0 refused" in first.output
    again = run("auto", orders, "--map", columns, "--data", tmp_path / "data")
    assert "2 items, 3 events read: 0 kept, 5 repeated, 0 refused" in again.output


def test_a_published_data_set_that_is_imported_again_is_not_read_unless_its_files_have_changed(tmp_path, monkeypatch):
    folder, data, out = tmp_path / "books", tmp_path / "data", tmp_path / "out.json"
    folder.mkdir()
    (folder / "ratings.csv").write_text("user_id,book_id,rating\n1,258,5\n2,258,4\n")
    assert run("auto", folder, "--data", data, "--json", out).exit_code == 0
    with monkeypatch.context() as patch:
        patch.setattr("deploy.commands.importing.run_import", None)
        assert run("auto", folder, "--data", data, "--json", out).exit_code == 0
    assert json.loads(out.read_bytes()) == {"read": 2, "kept": 0, "repeated": 2, "refused": {}}
    (folder / "ratings.csv").write_text("user_id,book_id,rating\n1,258,5\n3,258,4\n")
    run("auto", folder, "--data", data, "--json", out)
    assert json.loads(out.read_bytes()) == {"read": 2, "kept": 1, "repeated": 1, "refused": {}}


ITEM_MAP = "user=user,item=item,time=at,title=name,url=link"


def catalogue_of(data):
    with open_dependencies(settings_in(data)) as parts:
        return current_items(parts.reader)


def written(path, *lines):
    path.write_text("\n".join(lines) + "\n")
    return path


def test_an_import_that_only_repeats_rows_succeeds(views, tmp_path):
    data, out = tmp_path / "data", tmp_path / "counts.json"
    assert run("auto", views, "--map", MAP, "--data", data).exit_code == 0
    again = run("auto", views, "--map", MAP, "--data", data, "--json", out)
    assert again.exit_code == 0
    counts = json.loads(out.read_text())
    assert (counts["kept"], counts["repeated"]) == (0, 31)


def test_columns_of_items_change_a_catalogue_entry_and_never_empty_it(tmp_path):
    data = tmp_path / "data"
    items = [
        {"id": "a", "title": "Alpha", "description": "long", "price": 3, "attributes": {"colour": "red"}},
        {"id": "b", "title": "Beta", "tags": ["x"]},
    ]
    (tmp_path / "items.json").write_text(json.dumps({"products": items}, indent=2))
    assert run("items", tmp_path / "items.json", "--data", data).exit_code == 0
    events = written(tmp_path / "events.csv", "user,item,at,name,link", "u,a,1700000000,New,", "u,b,1700000001,Beta,")
    out = tmp_path / "counts.json"
    assert run("auto", events, "--map", ITEM_MAP, "--data", data, "--json", out).exit_code == 0
    known = catalogue_of(data)
    assert (known["a"].title, known["a"].description, known["a"].price) == ("New", "long", 3)
    assert known["a"].attributes == {"colour": "red"}
    assert known["b"].tags == ("x",)
    counts = json.loads(out.read_text())
    assert (counts["kept"], counts["repeated"]) == (3, 1)


def test_an_item_that_events_describe_wrongly_is_mended_in_the_file_of_refused_rows(tmp_path):
    data = tmp_path / "data"
    events = written(
        tmp_path / "events.csv", "user,item,at,name,link", "u,b,1700000000,Beta,", "v,b,1700000001,Newer,no address"
    )
    assert run("auto", events, "--map", ITEM_MAP, "--data", data).exit_code == 0
    assert "b" not in catalogue_of(data)
    [refused] = (data / "refused").iterdir()
    refused.write_text(refused.read_text().replace("no address", "https://shop.example/b"))
    done = run("auto", refused, "--map", ITEM_MAP, "--data", data)
    assert done.exit_code == 0
    assert "1 kept, 1 repeated, 0 refused" in done.output
    known = catalogue_of(data)["b"]
    assert (known.title, known.url) == ("Newer", "https://shop.example/b")


def test_a_refused_item_of_a_feed_is_mended_but_never_taken_for_the_whole_catalogue(tmp_path):
    data, feed = tmp_path / "data", tmp_path / "feed.xml"
    entries = [("a", "https://x.example/a"), ("b", "no address")]
    items = "".join(f"<item><id>{name}</id><title>{name}</title><link>{link}</link></item>\n" for name, link in entries)
    feed.write_text(f"<rss><channel>\n{items}</channel></rss>")
    assert run("items", feed, "--data", data).exit_code == 0
    [refused] = (data / "refused").iterdir()
    refused.write_text(refused.read_text().replace("no address", "https://x.example/b"))
    full = run("items", refused, "--full", "--data", data)
    assert full.exit_code != 0
    assert "--full would hide" in " ".join(full.output.split())
    assert run("items", refused, "--data", data).exit_code == 0
    known = catalogue_of(data)
    assert known["b"].url == "https://x.example/b"
    assert not known["a"].hidden
