"""One event, opened: which answers knew of it, what it left, and how long its way was."""

from datetime import UTC, datetime, timedelta

from schemas.answers import DecidedItem, Decision, Reason, RecommendationRequest
from schemas.events import LoggedEvent
from schemas.log.codec import encode_event
from schemas.log.records import OffsetToken
from serving.console.event_detail import detail_of, rows_of
from serving.console.recent import RecentEvent
from signals.users import EMPTY, fold

AT = datetime(2026, 12, 1, tzinfo=UTC)
TOKEN = OffsetToken(3, 7)


def event(**fields):
    given = {"event_id": "e", "type": "view", "user_id": "ann", "item_id": "x"} | fields
    return LoggedEvent(occurred_at=AT, received_at=AT + timedelta(milliseconds=40), **given)


def recent(**fields):
    logged = event(**fields)
    return RecentEvent(TOKEN, AT.timestamp() + 0.045, encode_event(logged), logged)


def answer(signals_offset, user_id="ann", id_="a"):
    return Decision(
        recommendation_id=id_,
        route="recommendations",
        generated_at=AT + timedelta(milliseconds=145),
        request=RecommendationRequest(now=AT.timestamp(), user_id=user_id),
        items=[DecidedItem("y", 1.0, [Reason("similar", 1.0, "x")]), DecidedItem("z", 0.5, [Reason("popular", 1.0)])],
        signals_offset=signals_offset,
        aggregates_version="-",
        catalogue_version="-",
        config_id="c",
        variant="live",
    )


def entered(*answers, **fields):
    return [each.recommendation_id for each in detail_of(recent(**fields), EMPTY, {}, answers).answers]


def test_an_answer_knew_of_the_event_if_its_signals_had_passed_it():
    assert entered(answer("3:7")) == ["a"]
    assert entered(answer("3:9")) == ["a"]
    assert entered(answer("3:6")) == []
    assert entered(answer("4:9")) == []
    assert entered(answer(None)) == []


def test_the_answers_of_others_did_not_enter():
    assert entered(answer("3:9", user_id="bob")) == []


def test_the_answer_that_the_event_names_is_one_of_them():
    detail = detail_of(recent(recommendation_id="before"), EMPTY, {}, [answer("3:6", id_="before")])
    assert [(each.recommendation_id, each.named) for each in detail.answers] == [("before", True)]
    assert detail.hops[-1].ms is None, "the list was made before the event"


def test_the_items_that_are_there_because_of_the_event_are_named():
    [each] = detail_of(recent(), EMPTY, {}, [answer("3:7")]).answers
    assert each.because == ["y"]
    assert each.after_ms == 100.0


def test_each_hop_has_its_milliseconds():
    hops = detail_of(recent(), EMPTY, {}, [answer("3:7")]).hops
    assert [(hop.name, hop.ms) for hop in hops] == [
        ("client_to_collector", 40.0),
        ("collector_to_log", 5.0),
        ("log_to_answer", 100.0),
    ]


def test_a_signal_has_counted_the_event_once_its_fence_has_passed_it():
    value = fold(EMPTY, event(), TOKEN.offset)
    effects = detail_of(recent(), value, {"users": 7, "aggregates": 6}, []).effects
    assert [(effect.signal, effect.applied) for effect in effects] == [("users", True), ("aggregates", False)]
    assert [entry["item_id"] for entry in effects[0].entries] == ["x"]


def test_events_are_counted_by_type_and_filtered():
    events = [
        recent(),
        recent(type="click"),
        recent(type="click", user_id="bob"),
        RecentEvent(TOKEN, 0.0, b"{", None, "no"),
    ]
    rows = rows_of(events, 10, type_="click", user="bob")
    assert [row.user for row in rows.events] == ["bob"]
    assert rows.types == {"?": 1, "click": 2, "view": 1}
    assert rows.read == 4
    assert len(rows_of(events, 2).events) == 2
