"""Every example does what its README says."""

from __future__ import annotations

import re

from examples.own_event_type import listen
from examples.own_source import visit
from serving.ranking.candidates.registry import candidate_sources

NOT_BORROWED_BY_ADA = {"The Moonstone", "The Hound of the Baskervilles", "The Woman in White"}


def recommended(output: str) -> list[str]:
    return [row.split("│")[2].strip() for row in output.splitlines() if re.match(r"│ +\d", row)]


def test_own_csv_gives_a_reader_of_crime_novels_more_of_them(run_readme):
    imported, trained, listed = run_readme("own_csv")
    assert "288 events" in imported
    assert "is active" in trained
    books = recommended(listed)
    assert len(books) == 5
    assert books[0] in NOT_BORROWED_BY_ADA
    assert len(NOT_BORROWED_BY_ADA.intersection(books)) >= 2


def test_own_event_type_moves_the_popular_list(running):
    with running("own_event_type") as url:
        before, after = listen.main(url)
    assert before[:2] == ["Winter Wonderland", "Autumn Leaves"]
    assert after == ["Summertime", "Winter Wonderland", "Autumn Leaves"]


def test_own_source_proposes_a_story_that_nobody_has_viewed(running):
    with running("own_source") as url:
        stories = visit.main(url)
    assert "derby-preview" in stories
    assert not {"budget-debate", "new-telescope"}.intersection(stories)


def test_own_source_is_unknown_without_its_setting():
    assert "trending_tags" not in candidate_sources()


def test_own_algorithm_finds_the_crime_novels_that_a_reader_has_not_borrowed(settings, run_readme):
    settings("own_algorithm")
    _, trained, listed = run_readme("own_algorithm")
    assert "close-in-time by single" in trained
    assert set(recommended(listed)) == NOT_BORROWED_BY_ADA
