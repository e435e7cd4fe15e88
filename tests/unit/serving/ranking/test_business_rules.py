"""What a request or the site says over the ranking: allow-lists, what was seen, boosts, pins."""

import msgspec
import pytest

from schemas.answers import Boost
from serving.config import Settings
from serving.ranking.defaults import default_config

NOW = 1_795_428_000.0  # 2026-11-23T10:00Z, as in conftest
DAY = 86_400.0


def ids(ranked):
    return [item.item_id for item in ranked.items]


def test_only_what_is_on_the_allow_list_is_ranked(trained, remember, say):
    value = remember(say("like", 1))
    shown = ids(trained.ask(value, user_id="ann", include=("item-2", "item-7", "item-1", "unknown")))
    assert shown == ["item-7", "item-2"]


def test_what_was_seen_comes_back_by_type_and_age(trained, remember, say):
    value = remember(
        say("view", 1, NOW - 3 * DAY),
        say("view", 2, NOW - 3_600),
        say("rating", 3, NOW - 300 * DAY, value=5.0),
        say("view", 3, NOW - 300 * DAY),
        say("share", 4, NOW - 300 * DAY),
        say("click", 5, NOW),
    )
    trained.config = default_config(seen_for={"view": DAY, "rating": None, "click": 0.0})
    assert {"item-1", "item-2", "item-3", "item-4", "item-5"} - {*ids(trained.ask(value, count=60))} == {
        "item-2",
        "item-3",
        "item-4",
    }


def test_what_was_seen_too_long_ago_to_know_its_type_has_a_limit_of_its_own(trained, remember, say):
    later = [say("view", 20 + n % 40, NOW - DAY, event_id=str(n)) for n in range(130)]
    value = remember(say("rating", 1, NOW - 30 * DAY, value=5.0), *later)
    assert "item-1" not in {entry.item for entry in value.recent}
    for limit, back in ((10 * DAY, True), (40 * DAY, False), (None, False)):
        trained.config = default_config(seen_for={"*": limit})
        assert ("item-1" in ids(trained.ask(value, count=60))) == back


def test_a_boost_moves_up_what_fulfils_its_filter_and_is_a_reason(trained, remember, say, category):
    value = remember(say("like", 1), say("like", 2))
    plain = {item.item_id: item for item in trained.ask(value, user_id="ann", count=40).items}
    rule = Boost(filter='categories has "strategy"', factor=1.5)
    for way in ({"boosts": (rule,)}, {}):
        trained.config = default_config() if way else default_config(boosts=(rule,))
        for item in trained.ask(value, user_id="ann", count=40, **way).items[:20]:
            before = plain[item.item_id]
            reasons = {reason.source: reason.share for reason in item.reasons}
            if category(item.item_id) == "strategy":
                assert item.score == pytest.approx(before.score * 1.5, rel=1e-5)
                assert reasons["boost"] == pytest.approx(1 / 3, abs=1e-3)
            else:
                assert item.score == pytest.approx(before.score)
                assert item.reasons == before.reasons
            assert sum(reasons.values()) == pytest.approx(1, abs=0.02)


def test_a_factor_below_one_moves_down_and_tells_nothing(trained, remember, say):
    value = remember(say("like", 1))
    first = trained.ask(value, user_id="ann").items[0]
    lowered = trained.ask(
        value, user_id="ann", count=60, boosts=(Boost(filter=f"item_id = '{first.item_id}'", factor=0.1),)
    )
    found = next(item for item in lowered.items if item.item_id == first.item_id)
    assert found.score == pytest.approx(first.score * 0.1, rel=1e-5)
    assert [reason.source for reason in found.reasons] == [reason.source for reason in first.reasons]


def test_a_pinned_item_is_always_at_its_rank(trained, describe, remember, say):
    value = remember(say("like", 1), say("view", 40))
    plain = ids(trained.ask(value, user_id="ann", count=6))
    trained.config = default_config(pins={"item-50": 2, "item-51": 4})
    trained.catalogue.put(describe(52, hidden=True))
    ranked = trained.ask(value, user_id="ann", count=6, pins={"item-40": 2, "item-50": 5, "item-52": 1, "none": 1})
    assert ids(ranked) == [plain[0], "item-40", plain[1], "item-51", "item-50", plain[2]]
    assert [reason.source for reason in ranked.items[1].reasons] == ["pin"]
    assert ids(ranked) == [trained.catalogue.ids[at] for at in ranked.positions]
    scores = [item.score for item in ranked.items]
    assert scores == sorted(scores, reverse=True)


def test_ranks_count_over_pages_and_no_pin_is_shown_twice(trained, remember, say):
    value = remember(say("like", 1))
    request = {"user_id": "ann", "count": 5, "pins": {"item-50": 1, "item-51": 7}}
    first = trained.ask(value, **request)
    shown = trained.catalogue.column("hash")[first.positions].astype("<u4").tobytes()
    second = trained.ask(value, **request, shown_hashes=shown)
    assert ids(first)[0] == "item-50"
    assert ids(second)[1] == "item-51"
    assert not {*ids(first)} & {*ids(second)}


def test_the_sites_boosts_are_checked_when_it_starts():
    with pytest.raises(msgspec.ValidationError, match=r"boosts\[0\]: column 8: the filter ends too early"):
        Settings(ranking={"boosts": [{"filter": "price <", "factor": 2}]}).ranking_config()
    with pytest.raises(msgspec.ValidationError, match="greater than 0"):
        Settings(ranking={"boosts": [{"filter": "price < 3", "factor": 0}]}).ranking_config()
    kept = Settings(
        ranking={"boosts": [{"filter": "price < 3", "factor": 2}], "seen_for": {"view": DAY}}
    ).ranking_config()
    assert kept.boosts == (Boost(filter="price < 3", factor=2.0),)
    assert kept.seen_for == {"view": DAY}
    assert kept.config_id != default_config().config_id
