"""``freshet import items`` as a user runs it: what it writes, hides and says."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from deploy.commands.cli import app
from deploy.config import CommandSettings
from deploy.wiring.dependencies import open_dependencies
from ingest.import_pipeline.catalogue.full_update import current_items

FEED = """<rss xmlns:g="http://base.google.com/ns/1.0"><channel>
<item><g:id>lamp</g:id><title>Lamp</title><g:image_link>https://shop.example/lamp.jpg</g:image_link></item>
<item><g:id>chair</g:id><title>Chair</title><g:price>40 EUR</g:price></item>
</channel></rss>
"""


@pytest.fixture
def imported(tmp_path):
    """Writes a file and imports it into one data folder."""

    def run(name, text, *options):
        (tmp_path / name).write_text(text)
        arguments = ["import", "items", str(tmp_path / name), "--data", str(tmp_path / "data"), *options]
        return CliRunner().invoke(app, arguments)

    return run


@pytest.fixture
def catalogue(tmp_path):
    def read():
        with open_dependencies(CommandSettings(data=tmp_path / "data")) as dependencies:
            return current_items(dependencies.reader)

    return read


def test_a_feed_becomes_the_catalogue_and_a_full_one_hides_what_vanished(imported, catalogue):
    done = imported("feed.xml", FEED)
    assert (done.exit_code, "2 items read: 2 kept" in done.output) == (0, True), done.output
    assert catalogue()["lamp"].image_url == "https://shop.example/lamp.jpg"
    again = imported("items.csv", "sku,name,price\nchair,Chair,45\n", "--full", "--map", "item=sku,title=name")
    assert "1 items read: 1 kept" in again.output
    assert "1 items that the file does not list are hidden now" in again.output
    assert (catalogue()["lamp"].hidden, catalogue()["chair"].price) == (True, 45.0)


def test_a_file_without_one_good_row_ends_with_an_error(imported):
    done = imported("items.csv", "id,title\n")
    assert done.exit_code == 1
    assert "0 rows read" in done.output


def test_refused_rows_are_named_and_nothing_is_hidden_then(imported, catalogue):
    imported("feed.xml", FEED)
    done = imported("items.csv", "id,price\nlamp,1\nchair,forty\n", "--full")
    assert "items.csv line 3: column price: 'forty' is not a number" in done.output
    assert "Nothing was hidden" in done.output
    assert not catalogue()["chair"].hidden
