"""Clicks and conversions by route and by source."""

from datetime import UTC, datetime

from schemas.answers import DecidedItem, Decision, Reason, RecommendationRequest
from schemas.events import LoggedEvent
from serving.console.outcomes import active_visitors, outcomes_of

NOW = datetime(2026, 12, 1, tzinfo=UTC)


def answer(id_, sources, *, route="recommendations", same_as=None):
    items = [
        DecidedItem(item, 1.0, [Reason("popular", 0.1), Reason(source, 0.9)] if same_as is None else [])
        for item, source in sources.items()
    ]
    return Decision(
        recommendation_id=id_,
        route=route,
        generated_at=NOW,
        request=RecommendationRequest(now=NOW.timestamp(), user_id="ann"),
        items=items,
        aggregates_version="-",
        catalogue_version="-",
        config_id="c",
        variant="live",
        same_as=same_as,
    )


def event(type_, id_=None, item=None, user="ann", at=NOW):
    return LoggedEvent(
        event_id=f"{type_}{id_}{item}{user}",
        type=type_,
        user_id=user,
        item_id=item,
        recommendation_id=id_,
        occurred_at=at,
        received_at=at,
    )


def test_an_answer_counts_once_however_often_it_was_clicked():
    counted = outcomes_of(
        [answer("a", {"x": "ease", "y": "ease"}), answer("b", {"x": "ease"})],
        [event("click", "a", "x"), event("view", "a", "x"), event("click", "a", "y")],
    )
    [route] = counted.routes
    assert (route.shown, route.clicked, route.ctr) == (2, 1, 0.5)


def test_an_item_counts_for_the_source_that_gave_most_of_its_score():
    counted = outcomes_of([answer("a", {"x": "ease", "y": "trending_day"})], [event("purchase", "a", "y")])
    by_source = {row.name: (row.shown, row.clicked, row.converted) for row in counted.sources}
    assert by_source == {"ease": (1, 0, 0), "trending_day": (1, 1, 1)}


def test_events_without_the_answer_or_of_other_types_do_not_count():
    counted = outcomes_of([answer("a", {"x": "ease"})], [event("click", None, "x"), event("dismiss", "a", "x")])
    assert counted.routes[0].clicked == 0


def test_a_list_that_was_given_again_has_the_sources_of_its_first_answer():
    counted = outcomes_of([answer("a", {"x": "ease"}), answer("b", {"x": "ease"}, same_as="a")], [])
    assert [(row.name, row.shown) for row in counted.sources] == [("ease", 2)]


def test_visitors_are_active_for_five_minutes_and_counted_once():
    early = datetime.fromtimestamp(NOW.timestamp() - 301, UTC)
    events = [
        event("click", user="ann"),
        event("view", user="ann"),
        event("view", user="bob"),
        event("view", user="cid", at=early),
    ]
    assert active_visitors(events, NOW.timestamp()) == 2
