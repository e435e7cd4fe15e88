"""A file of items is read into the fields of items, whatever its format."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime

import pytest

from ingest.import_pipeline.base import RowFaults
from ingest.import_pipeline.feed import feed_items
from ingest.import_pipeline.formats.dialect import FileOptions
from ingest.importers.catalogue import MAPPED, CatalogueFile
from ingest.importers.mapped import parse_map
from schemas.errors import ConfigurationInvalid, DatasetUnknown

RSS = """<?xml version="1.0"?>
<rss version="2.0" xmlns:g="http://base.google.com/ns/1.0"><channel><title>The shop</title>
<item><g:id>lamp</g:id><g:title>Desk lamp &amp; bulb</g:title><g:link>https://shop.example/lamp</g:link>
<g:image_link>https://shop.example/lamp.jpg</g:image_link><g:price>15.00 EUR</g:price>
<g:availability>in_stock</g:availability><g:product_type>Home &gt; Light</g:product_type>
<g:shipping><g:country>DE</g:country><g:price>4.99 EUR</g:price></g:shipping></item>
<item><g:id>chair</g:id><title>Chair</title><g:availability>out of stock</g:availability>
<g:product_type>Home</g:product_type><g:product_type>Office</g:product_type><g:brand>Sit</g:brand></item>
</channel></rss>
"""
ATOM = """<feed xmlns="http://www.w3.org/2005/Atom" xmlns:g="http://base.google.com/ns/1.0">
<entry><g:id>lamp</g:id><title>Lamp</title><link href="https://shop.example/lamp"/></entry></feed>
"""


@pytest.fixture
def faults() -> RowFaults:
    return RowFaults()


@pytest.fixture
def items_of(tmp_path, faults):
    """Writes a file and returns the items that are read from it."""

    def read(name, content, mapping=None):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return list(CatalogueFile(path, mapping).items(faults))

    return read


def test_a_merchant_feed_gives_titles_prices_addresses_and_availability(items_of):
    lamp, chair = items_of("feed.xml", RSS)
    assert lamp == {
        "item_id": "lamp",
        "title": "Desk lamp & bulb",
        "categories": ["Home > Light"],
        "price": 15.0,
        "url": "https://shop.example/lamp",
        "image_url": "https://shop.example/lamp.jpg",
        "hidden": False,
        "attributes": {"currency": "EUR"},
    }
    assert (chair["hidden"], chair["categories"], chair["attributes"]) == (True, ["Home", "Office"], {"brand": "Sit"})
    assert lamp.source_line.line == 3


def test_an_atom_feed_names_its_link_in_an_attribute(items_of):
    [item] = items_of("feed.xml", ATOM)
    assert (item["title"], item["url"]) == ("Lamp", "https://shop.example/lamp")


def test_a_packed_feed_is_unpacked(items_of):
    assert len(items_of("feed.xml.gz", gzip.compress(RSS.encode()))) == 2


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("<rss><channel><item><id>a</id>", "line 1 is not well-formed XML"),
        ('<!DOCTYPE r [<!ENTITY e "x">]><rss><item><id>&e;</id></item></rss>', "declares an entity"),
    ],
)
def test_a_feed_that_is_no_plain_xml_is_refused_in_a_sentence(tmp_path, faults, text, problem):
    path = tmp_path / "feed.xml"
    path.write_text(text)
    with pytest.raises(DatasetUnknown, match=problem):
        list(feed_items(path, faults))


def test_a_table_is_read_by_the_usual_names_and_the_rest_becomes_attributes(items_of):
    table = "id,title,category,price,image_link,brand\nlamp,Lamp,Home|Light,9.99,https://s.example/l.jpg,Glow\n"
    assert items_of("items.csv", table) == [
        {
            "item_id": "lamp",
            "title": "Lamp",
            "categories": ["Home", "Light"],
            "price": 9.99,
            "image_url": "https://s.example/l.jpg",
            "attributes": {"brand": "Glow"},
        }
    ]


def test_a_column_map_names_other_columns(items_of):
    mapping = {"item": "Code", "title": "Bezeichnung"}
    [item] = items_of("artikel.tsv", "Code\tBezeichnung\n17\tLampe\n", mapping)
    assert item == {"item_id": "17", "title": "Lampe"}


def test_json_lines_keep_lists_and_objects(items_of):
    row = {"item_id": 17, "tags": ["a", "b"], "price": 3, "attributes": {"size": {"cm": 4}}, "colour": "red"}
    [item] = items_of("items.jsonl", json.dumps(row))
    assert item == {
        "item_id": "17",
        "tags": ["a", "b"],
        "price": 3.0,
        "attributes": {"colour": "red", "size": {"cm": 4}},
    }


def test_a_date_of_publication_is_a_time(items_of):
    [item] = items_of("items.csv", "id,published_at\nlamp,2026-01-02\n")
    assert item["published_at"] == datetime(2026, 1, 2, tzinfo=UTC)


def test_rows_that_cannot_be_an_item_are_named_and_the_others_kept(items_of, faults):
    table = 'id,price,availability\n,1,in_stock\na,"12,50",in_stock\nb,1,perhaps\nc,2.5,in_stock\n'
    assert [item["item_id"] for item in items_of("items.csv", table)] == ["c"]
    assert faults.count == 3
    assert "has no id" in faults.examples[0]
    assert "'12,50' is not a number" in faults.examples[1]
    assert "'perhaps' is not one of in_stock" in faults.examples[2]


@pytest.mark.parametrize(
    ("cell", "price", "currency"), [("1.299,00 EUR", 1299.0, "EUR"), ("EUR 7,5", 7.5, "EUR"), ("8,25", 8.25, None)]
)
def test_a_price_with_a_decimal_comma_is_read_where_that_is_said(tmp_path, faults, cell, price, currency):
    (tmp_path / "items.csv").write_text(f"id;price\nlamp;{cell}\n")
    [item] = CatalogueFile(tmp_path / "items.csv", None, FileOptions(decimal_comma=True)).items(faults)
    assert (item["price"], item.get("attributes", {}).get("currency")) == (price, currency)


def test_a_file_without_a_header_is_mapped_by_number(tmp_path, faults):
    (tmp_path / "items.csv").write_text("17;Lamp\n18;Chair\n")
    mapping = {"item": "1", "title": "2"}
    items = list(CatalogueFile(tmp_path / "items.csv", mapping, FileOptions(header=False)).items(faults))
    assert items == [{"item_id": "17", "title": "Lamp"}, {"item_id": "18", "title": "Chair"}]


def test_a_field_that_items_do_not_have_cannot_be_mapped():
    with pytest.raises(ConfigurationInvalid, match="'colour=b' is no part of a column map"):
        parse_map("item=a,colour=b", MAPPED)


def test_another_ending_is_refused_with_those_that_are_read(tmp_path):
    (tmp_path / "items.xlsx").write_bytes(b"PK")
    with pytest.raises(DatasetUnknown, match=r"ends in \.csv"):
        CatalogueFile(tmp_path / "items.xlsx")
