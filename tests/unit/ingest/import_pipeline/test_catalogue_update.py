"""A catalogue file brings the catalogue up to date: what changed is written, what vanished can be hidden."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.import_pipeline.catalogue.full_update import current_items, hide_unlisted
from ingest.import_pipeline.hash_set import HashSet
from ingest.import_pipeline.run import ImportDependencies, run_import
from ingest.importers.catalogue import CatalogueFile
from ingest.validation import validate
from schemas.log import topics
from schemas.log.records import LogEntry
from tests.unit.ingest.conftest import NOON, MemoryLog


class Change(NamedTuple):
    """Numbers of rows and items."""

    kept: int
    repeated: int
    hidden: int


def bring_up_to_date(path, log, *, full: bool) -> Change:
    importer = CatalogueFile(path)
    needs = ImportDependencies(log, NOON.timestamp, lambda _: None, HashSet(), reader=log)
    imported = run_import(importer, needs)
    hidden = hide_unlisted(importer, imported, needs, log) if full else 0
    return Change(imported.total.kept, imported.total.repeated, hidden)


LAMP_AND_CHAIR = "id,title,price\nlamp,Lamp,9.99\nchair,Chair,40\n"


@pytest.fixture
def update(tmp_path, memory_log):
    """Writes a file and updates the catalogue by it."""

    def run(text: str, *, full: bool = False) -> Change:
        path = tmp_path / "items.csv"
        path.write_text(text)
        return bring_up_to_date(path, memory_log, full=full)

    return run


def test_a_file_imported_again_writes_nothing(update, memory_log):
    assert update(LAMP_AND_CHAIR) == Change(kept=2, repeated=0, hidden=0)
    assert update(LAMP_AND_CHAIR) == Change(kept=0, repeated=2, hidden=0)
    assert len(memory_log.all(topics.ITEMS)) == 2


def test_only_what_changed_is_written_and_a_change_back_too(update, memory_log):
    update(LAMP_AND_CHAIR)
    assert update(LAMP_AND_CHAIR.replace("9.99", "12")).kept == 1
    assert update(LAMP_AND_CHAIR).kept == 1
    assert current_items(memory_log)["lamp"].price == 9.99


def test_a_full_file_hides_what_it_no_longer_lists_and_shows_it_again_later(update, memory_log):
    update(LAMP_AND_CHAIR)
    assert update("id,title,price\nlamp,Lamp,9.99\n", full=True) == Change(0, 1, 1)
    hidden = current_items(memory_log)["chair"]
    assert (hidden.hidden, hidden.title) == (True, "Chair")
    assert update("id,title,price\nlamp,Lamp,9.99\n", full=True).hidden == 0
    assert update(LAMP_AND_CHAIR, full=True) == Change(1, 1, 0)
    assert not current_items(memory_log)["chair"].hidden


def test_a_file_that_is_not_full_hides_nothing(update):
    update(LAMP_AND_CHAIR)
    assert update("id,title,price\nlamp,Lamp,9.99\n").hidden == 0


@pytest.mark.parametrize("text", ["id,title,price\nlamp,Lamp,9.99\nchair,Chair,forty\n", "id,title,price\n"])
def test_nothing_is_hidden_where_a_row_was_refused_or_the_file_is_empty(update, text):
    update(LAMP_AND_CHAIR)
    assert update(text, full=True).hidden == 0


def test_an_item_that_was_deleted_is_written_again(update, memory_log):
    update(LAMP_AND_CHAIR)
    entry: LogEntry = validate.delete("lamp", "item_id", NOON).entry
    memory_log.append(topics.ITEMS, [entry])
    assert update(LAMP_AND_CHAIR).kept == 1


def test_the_last_row_of_an_item_counts(update, memory_log):
    update("id,title,price\nlamp,Lamp,1\nlamp,Lamp,2\n")
    assert current_items(memory_log)["lamp"].price == 2


catalogues = st.dictionaries(st.sampled_from("abcde"), st.integers(0, 3), min_size=1)


@given(st.lists(catalogues, min_size=1, max_size=5))
def test_after_full_files_the_visible_catalogue_is_the_last_file(tmp_path_factory, files):
    log, path = MemoryLog(), tmp_path_factory.mktemp("feed") / "items.csv"
    for prices in files:
        path.write_text("id,price\n" + "".join(f"{item},{price}\n" for item, price in prices.items()))
        bring_up_to_date(path, log, full=True)
    visible = {item.item_id: item.price for item in current_items(log).values() if not item.hidden}
    assert visible == files[-1]
