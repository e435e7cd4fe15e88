"""Filters are evaluated before ranking, in turns with other requests, within what one request may cost."""

from __future__ import annotations

import asyncio

import pytest

from schemas.answers import Boost, RecommendationRequest
from schemas.catalogue import Item
from schemas.http.problems import ProblemError
from serving.filtering import columns
from serving.filtering.expressions import compiled
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

    task = asyncio.create_task(other())
    await FilterPreparation(catalogue.fields, []).prepare(a_request("a1 > 30 and a2 > 30"))
    task.cancel()
    assert turns >= 2 * 60


@pytest.mark.usefixtures("impatient")
async def test_many_requests_at_once_read_each_item_once(catalogue, monkeypatch):
    reads, rows = [], columns.Column._rows

    def counted(column, positions):
        reads.extend(positions)
        return rows(column, positions)

    monkeypatch.setattr(columns.Column, "_rows", counted)
    filters = FilterPreparation(catalogue.fields, [])
    await asyncio.gather(*(filters.prepare(a_request(f"a1 > {n}")) for n in range(20)))
    assert len(reads) == 60


@pytest.mark.usefixtures("impatient")
async def test_a_request_that_is_given_up_leaves_the_column_to_the_next(catalogue):
    filters = FilterPreparation(catalogue.fields, [])
    given_up = asyncio.create_task(filters.prepare(a_request("a1 > 30")))
    for _ in range(9):
        await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)
    async with asyncio.timeout(5):
        await filters.prepare(a_request("a1 > 31"))
    assert compiled("a1 > 31").is_remembered(a_request(), catalogue.fields)


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
