"""Filters are evaluated before ranking, in turns with other requests, within what one request may cost."""

from __future__ import annotations

import asyncio
import threading
import tracemalloc

import pytest

from schemas.answers import Boost, RecommendationRequest
from schemas.catalogue import Item
from schemas.http.problems import ProblemError
from serving.filtering import columns
from serving.filtering.expressions import compiled
from serving.filtering.fields import FieldNotReady
from serving.http import parsing
from serving.service import filter_preparation
from serving.service.filter_preparation import MAX_COLUMNS, FilterPreparation
from serving.state.catalogue import Catalogue


@pytest.fixture
def catalogue():
    made = Catalogue()
    for number in range(60):
        made.put(Item(item_id=f"item-{number}", attributes={f"a{n}": number for n in range(40)}))
    return made


@pytest.fixture
def impatient(monkeypatch):
    """Each step is a turn of its own, and reads one item."""
    monkeypatch.setattr(filter_preparation, "_TURN_SECONDS", -1.0)
    monkeypatch.setattr(filter_preparation, "_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(columns, "ITEMS", 1)


@pytest.fixture
def gate(monkeypatch):
    """Columns are read once this event is set."""
    opened, read = threading.Event(), columns.Column.read

    def waiting(column, positions):
        assert opened.wait(10)
        return read(column, positions)

    monkeypatch.setattr(columns.Column, "read", waiting)
    yield opened
    opened.set()


def a_request(filter_="", boosts=()):
    return RecommendationRequest(now=0.0, filter=filter_, boosts=boosts)


async def test_ranking_finds_all_filters_evaluated(catalogue):
    request = a_request("a1 > 30", (Boost(filter="a2 < 9", factor=2.0),))
    await FilterPreparation(catalogue.fields, [Boost(filter="a3 = 4", factor=0.5)]).prepare(request)
    assert all(compiled(text).is_remembered(request, catalogue.fields) for text in ("a1 > 30", "a2 < 9", "a3 = 4"))


@pytest.mark.usefixtures("impatient")
async def test_other_requests_have_their_turn_between_two_steps(catalogue):
    turns = 0

    async def other():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    filters = FilterPreparation(catalogue.fields, [])
    await filters.prepare(a_request("a1 > 30"))
    for number in range(60):
        catalogue.put(Item(item_id=f"item-{number}", attributes={"a1": 0}))
    task = asyncio.create_task(other())
    await filters.prepare(a_request("a1 > 31"))
    task.cancel()
    assert turns >= 60


async def test_columns_are_read_on_another_thread(catalogue, monkeypatch):
    threads, read = set(), columns.Column.read

    def watched(column, positions):
        threads.add(threading.current_thread())
        return read(column, positions)

    monkeypatch.setattr(columns.Column, "read", watched)
    await FilterPreparation(catalogue.fields, []).prepare(a_request("a1 > 30 and a2 > 30"))
    assert threads
    assert threading.main_thread() not in threads


async def test_many_requests_at_once_read_each_item_once(catalogue, monkeypatch):
    reads, rows = [], columns.Column._rows

    def counted(column, positions):
        reads.extend(positions)
        return rows(column, positions)

    monkeypatch.setattr(columns.Column, "_rows", counted)
    filters = FilterPreparation(catalogue.fields, [])
    await asyncio.gather(*(filters.prepare(a_request(f"a1 > {n}")) for n in range(20)))
    assert len(reads) == 60


async def test_a_request_that_is_given_up_leaves_the_column_to_the_next(catalogue, gate):
    filters = FilterPreparation(catalogue.fields, [])
    given_up = asyncio.create_task(filters.prepare(a_request("a1 > 30")))
    await asyncio.sleep(0.01)
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)
    gate.set()
    async with asyncio.timeout(5):
        await filters.prepare(a_request("a1 > 31"))
    assert compiled("a1 > 31").is_remembered(a_request(), catalogue.fields)


async def test_an_item_that_changes_while_a_column_is_read_counts_as_it_is_now(catalogue, gate):
    filters = FilterPreparation(catalogue.fields, [])
    prepared = asyncio.create_task(filters.prepare(a_request("a1 > 1000")))
    await asyncio.sleep(0.01)
    for number in (3, 100):
        catalogue.put(Item(item_id=f"item-{number}", attributes={"a1": 5_000}))
    gate.set()
    await prepared
    matches = compiled("a1 > 1000").holds(a_request(), catalogue.fields)
    assert [catalogue.ids[position] for position in matches.nonzero()[0]] == ["item-3", "item-100"]


async def test_a_request_waits_for_columns_within_its_deadline(catalogue, gate):
    filters = FilterPreparation(catalogue.fields, [], seconds=0.02)
    with pytest.raises(ProblemError, match="send the request again") as late:
        await filters.prepare(a_request("a1 > 30"))
    assert (late.value.status, late.value.headers) == (503, {"Retry-After": "1"})
    gate.set()
    for _ in range(100):
        await asyncio.sleep(0.01)
        if catalogue.fields.is_ready(("a1",)):
            break
    await filters.prepare(a_request("a1 > 30"))


async def test_columns_take_bounded_memory(catalogue):
    catalogue.fields.limit = 20_000
    filters = FilterPreparation(catalogue.fields, [])
    for number in range(40):
        await filters.prepare(a_request(f"a{number} > 30"))
        assert catalogue.fields.size <= 20_000
    assert 1 < len(catalogue.fields._columns) < 10


async def test_a_field_that_is_larger_than_the_memory_of_filters_is_refused(catalogue, monkeypatch):
    catalogue.fields.limit = 8_000
    filters = FilterPreparation(catalogue.fields, [])
    for number in range(60):
        catalogue.put(Item(item_id=f"item-{number}", title=f"{number} " * 100, attributes={"a1": 1}))
    for _ in range(2):
        with pytest.raises(ProblemError, match="FRESHET_FILTER_COLUMNS_MIB") as refused:
            await filters.prepare(a_request("title contains '3 3 3'"))
        assert (refused.value.status, refused.value.field) == (400, "filter")
        monkeypatch.setattr(columns.Column, "read", lambda *_: pytest.fail("it was tried again at once"))
    assert catalogue.fields.size <= 8_000


async def test_ranking_never_reads_a_column_that_was_let_go(catalogue):
    FilterPreparation(catalogue.fields, [])
    with pytest.raises(FieldNotReady):
        compiled("a1 > 30").holds(a_request(), catalogue.fields)


@pytest.mark.parametrize(
    "value",
    [7, 1.5, "a title {}", "Ünï 漢字 {0}" * 9, ["games", "indie"]],
    ids=["int", "float", "text", "wide", "list"],
)
def test_the_size_of_a_column_is_about_its_memory(value):
    raw = [value.format(number) if isinstance(value, str) else value for number in range(20_000)]
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    column = columns.Column(raw.__getitem__, len(raw))
    column.refresh()
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert 0.75 < column.size / taken < 2


async def test_one_request_has_a_bounded_number_of_columns_made(catalogue):
    filters = FilterPreparation(catalogue.fields, [])
    many = " or ".join(f"a{n} = 1" for n in range(MAX_COLUMNS + 1))
    with pytest.raises(ProblemError, match="more than 32 fields") as refused:
        await filters.prepare(a_request(many))
    assert (refused.value.status, refused.value.field) == (400, "filter")
    await filters.prepare(a_request("a1 = 1"))
    await filters.prepare(a_request(many))


async def test_invented_fields_need_no_columns(catalogue):
    await FilterPreparation(catalogue.fields, []).prepare(a_request(" or ".join(f"a1.x{n} = 1" for n in range(64))))


@pytest.mark.parametrize(
    "texts", [["2:" + "a = 1 or " * 20 + "a = 1"] * 4, ["2:a in [" + ", ".join(["'a long word'"] * 60) + "]"] * 3]
)
def test_boosts_do_not_multiply_what_one_filter_may_cost(texts):
    with pytest.raises(ProblemError, match="all boosts of a request") as refused:
        parsing.boosts(texts)
    assert (refused.value.status, refused.value.field) == (400, "boost")


def test_ten_usual_boosts_are_taken():
    assert len(parsing.boosts([f"1.5:genres has 'RPG' and price < {n}" for n in range(10)])) == 10


def test_an_event_of_a_session_with_thousands_of_unknown_fields_is_refused_by_the_first():
    with pytest.raises(ProblemError, match="f0 is not a field") as refused:
        parsing.session_events([{"type": "view", "item_id": "a", **{f"f{n}": 0 for n in range(50_000)}}])
    assert (refused.value.field, refused.value.index) == ("events.f0", 0)
