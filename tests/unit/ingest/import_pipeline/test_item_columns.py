"""A column map may name columns that describe the item of a row: rows then give items as well as events."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.import_pipeline.base import RowFaults, SourceLine
from ingest.import_pipeline.files import TableRow
from ingest.importers.item_columns import DescribedItem, newest_items
from ingest.importers.mapped import parse_map
from ingest.importers.recognise import recognise
from schemas.errors import ConfigurationInvalid

MAP = "user=who,item=sku,type=view,time=at,title=name,categories=kind,price=price,url=link,image_url=image"
HEADER = "who,sku,at,name,kind,price,link,image"
LAMP = "https://shop.example/lamp"


@pytest.fixture
def faults():
    return RowFaults()


@pytest.fixture
def read(tmp_path, faults):
    """Reads rows below HEADER: the items by id, and the number of events."""

    def read(*rows: str, mapping: str = MAP, header: str = HEADER) -> tuple[dict[str, dict[str, object]], int]:
        path = tmp_path / "orders.csv"
        path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
        importer = recognise(path, parse_map(mapping))
        items = {item["item_id"]: dict(item) for item in importer.items(faults)}
        return items, sum(1 for _ in importer.events(faults))

    return read


def test_a_row_gives_an_item_as_well_as_an_event(read, faults):
    items, n_events = read(f"ann,lamp,2024-05-01,A lamp,Home|Light,9.99 EUR,{LAMP},{LAMP}.jpg")
    assert items == {
        "lamp": {
            "item_id": "lamp",
            "title": "A lamp",
            "categories": ["Home", "Light"],
            "price": 9.99,
            "url": LAMP,
            "image_url": f"{LAMP}.jpg",
            "attributes": {"currency": "EUR"},
        }
    }
    assert (n_events, faults.count) == (1, 0)


def test_the_newest_values_win_whatever_the_order_of_rows_and_empty_ones_say_nothing(read):
    items, n_events = read(
        "ann,lamp,2024-05-03,New lamp,,,,",
        "bo,lamp,2024-05-01,Old lamp,Home,9.99,,",
        "cy,lamp,2024-05-04, ,,,,",
    )
    assert items == {"lamp": {"item_id": "lamp", "title": "New lamp", "categories": ["Home"], "price": 9.99}}
    assert n_events == 3


def test_later_rows_are_newer_in_a_file_without_times(read):
    mapping = "user=who,item=sku,type=view,title=name"
    items, _ = read("ann,lamp,,Old lamp,,,,", "bo,lamp,,New lamp,,,,", mapping=mapping)
    assert items["lamp"]["title"] == "New lamp"


def test_an_item_of_which_no_row_says_anything_is_none(read):
    assert read("ann,lamp,2024-05-01,,,,,", "bo,,2024-05-01,Nothing,,,,") == ({}, 2)


def test_a_cell_that_cannot_be_read_is_refused_and_its_event_stays(read, faults):
    items, n_events = read("ann,lamp,2024-05-01,A lamp,,cheap,,", "bo,desk,2024-05-01,A desk,,5,,")
    assert (set(items), n_events) == ({"desk"}, 2)
    assert faults.examples == ["orders.csv line 2: column price: 'cheap' is not a number"]


def test_a_row_that_is_no_event_is_refused_once(read, faults):
    items, n_events = read("ann,lamp,noon,A lamp,,,,", "bo,desk,2024-05-01,A desk,,5,,")
    assert (set(items), n_events, faults.count) == ({"desk"}, 1, 1)


def test_prices_with_a_decimal_comma_are_recognised_by_their_column(read, faults):
    mapping, header = "user=who,item=sku,type=view,price=price", "who;sku;price"
    items, _ = read("ann;lamp;9,99", "bo;desk;1.250,5", mapping=mapping, header=header)
    assert ({name: item["price"] for name, item in items.items()}, faults.count) == ({"lamp": 9.99, "desk": 1250.5}, 0)


def test_a_time_of_publication_is_a_time(read):
    items, _ = read("ann,lamp,2024-01-02", mapping="user=who,item=sku,published_at=out", header="who,sku,out")
    assert items["lamp"]["published_at"] == datetime(2024, 1, 2, tzinfo=UTC)


def test_a_map_without_columns_of_items_gives_no_items(read):
    assert read("ann,lamp,2024-05-01,A lamp,,,,", mapping="user=who,item=sku,type=view") == ({}, 1)


def test_a_column_of_items_needs_the_column_of_their_ids(read):
    with pytest.raises(ConfigurationInvalid, match="title= describes an item, but the column map names no item="):
        read(mapping="user=who,query=sku,type=search,title=name")


DESCRIPTIONS = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.dictionaries(st.sampled_from(["title", "price"]), st.integers(), min_size=1),
        st.integers(0, 5),
    )
)


@given(DESCRIPTIONS)
def test_each_field_is_that_of_the_newest_row_that_has_it(descriptions):
    rows = [(TableRow(SourceLine("a.csv", n), {}), DescribedItem(*row, {})) for n, row in enumerate(descriptions)]
    expected: dict[str, dict[str, int]] = {}
    for item_id, fields, _ in sorted(descriptions, key=lambda row: row[2]):
        expected.setdefault(item_id, {"item_id": item_id}).update(fields)
    assert {item["item_id"]: dict(item) for item in newest_items(rows)} == expected
