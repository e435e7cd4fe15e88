"""Answers in plain words."""

from datetime import UTC, datetime

import pytest

from deploy.commands.explaining import words
from replay.explain import Comparison, Explanation
from schemas.answers import Boost, Decision, Reason, RecommendationRequest, SourceOutcome
from serving.ranking.business_rules import BOOST, PIN
from serving.ranking.candidates.registry import candidate_sources
from serving.ranking.exploration import EXPLORE
from serving.ranking.reasons import sentences
from signals.users import Entry, Term, UserValue

TITLES = {"doom": "Doom"}


def named(item_id: str) -> str:
    return TITLES.get(item_id, item_id)


def decision(route: str, **request) -> Decision:
    return Decision(
        recommendation_id="r",
        route=route,
        generated_at=datetime(2026, 1, 1, tzinfo=UTC),
        request=RecommendationRequest(now=0.0, **request),
        items=[],
        aggregates_version="-",
        catalogue_version="-",
        config_id="c",
        variant="default",
    )


def test_a_reason_names_the_item_that_led_there_by_its_title():
    assert (
        words.why([Reason("similar", 0.6, "doom"), Reason("trending", 0.4)], named)
        == "like Doom (60%), trending now (40%)"
    )


@pytest.mark.parametrize("source", [*candidate_sources(), BOOST, PIN, EXPLORE])
def test_every_source_has_words_of_its_own(source):
    assert source in sentences()


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (SourceOutcome("ok", 1200), "1,200 candidates"),
        (SourceOutcome("ok"), "had nothing to offer"),
        (SourceOutcome("skipped"), "was not needed"),
        (SourceOutcome("timeout"), "failed: timeout"),
    ],
)
def test_what_a_source_did(found, said):
    assert words.outcome(found) == said


def test_what_was_asked_and_for_whom():
    request = decision("similar", item_id="doom", context={"device": "tv"}, random_seed=3)
    assert words.question(request, named) == "what is like Doom"
    assert words.asker(request) == "device tv, seed 3"
    assert words.asker(decision("popular")) == "nobody in particular"
    ruled = {"filter": "price < 3", "pins": {"doom": 1}, "boosts": (Boost(filter="new = true", factor=2.0),)}
    assert (
        words.asker(decision("rank", user_id="ann", include=("doom", "quake"), **ruled))
        == "user ann, of 2 named items, filter price < 3, pinned doom to 1, boosted new = true by 2"
    )


def test_what_a_person_did_comes_newest_first():
    recent = (Entry(0, "view", "doom", 0.0, None, b""), Entry(1, "rating", "quake", 3_000.0, 4.5, b""))
    value = UserValue(1, recent, terms=(Term(2, "space", 3_540.0),))
    assert words.events(value, 3_600.0, named) == ["10 min before: rating (4.5) quake", "1 h before: view Doom"]
    assert words.searches(value, 3_600.0) == ["1 min before: searched for 'space'"]


def test_a_verdict_never_says_the_same_of_what_differs():
    same = Comparison(same_items=True, same_order=True, largest=1e-7, only_ties=True, lost=(), gained=())
    assert words.verdict(Explanation([], same, ())).startswith("the same items in the same order")
    other = same._replace(same_items=False, largest=0.2, only_ties=False, lost=("doom",))
    said = words.verdict(Explanation([], other, ("the catalogue has changed",)))
    assert said.startswith("not the same: 1 items are no longer in it (such as doom), scores differ by up to 0.2")
    assert said.endswith("no longer as it was")
    assert words.verdict(Explanation([], None, ("gone",))) == "not possible"
