"""Why an item is there, and what a history says, in words."""

from __future__ import annotations

from datetime import datetime

import pytest

from schemas.answers import Reason
from schemas.catalogue import Item
from serving.web.cards import HUES, MOTIFS, TYPEFACES, card_of, face_of, facts_of
from serving.web.live import visitor_of
from serving.web.names import invented
from serving.web.words import calmly, why
from signals.event_weights import INTEREST_WEIGHTS
from signals.users import Entry

TITLES = {"hades": "Hades"}


def entry(offset: int, kind: str, item: str, value: float | None = None) -> Entry:
    return Entry(offset, kind, item, float(offset), value, offset.to_bytes(8, "big"))


@pytest.mark.parametrize(
    ("reasons", "verbs", "words"),
    [
        ([Reason("similar", 0.9, "hades")], {"hades": "liked"}, "because you liked Hades"),
        ([Reason("fold_in", 0.9, "hades")], {"hades": "looked at"}, "because you looked at Hades"),
        ([Reason("precomputed", 0.9, "hades")], {}, "because of Hades"),
        ([Reason("covisitation", 0.9, "hades")], {"hades": "liked"}, "because you liked Hades: others went on to this"),
        ([Reason("covisitation", 0.9, "hades")], {}, "others went on to this from Hades"),
        (
            [Reason("bought_together", 0.9, "hades")],
            {"hades": "bought"},
            "because you bought Hades: others put this with it",
        ),
        ([Reason("content", 0.9, "hades")], {}, "reads much like Hades"),
        ([Reason("trending_in_context", 0.9)], {}, "trending where you are"),
        ([Reason("precomputed", 0.9)], {}, "people like you enjoy this"),
        ([Reason("trending", 0.2), Reason("new", 0.8)], {}, "new here"),
        ([Reason("search", 1.0)], {}, "matches your search “rogue”"),
        ([Reason("similar", 1.0, "gone")], {}, "like something you looked at"),
        ([Reason("house_special", 1.0)], {}, "house special"),
        ([], {}, ""),
    ],
)
def test_the_largest_reason_is_in_plain_words(reasons, verbs, words):
    assert why(reasons, verbs, TITLES.get, "rogue") == words


def test_every_kind_of_degradation_has_a_sentence():
    assert all(sentence.endswith(".") for sentence in calmly(["signals", "after", "something_new"]))


def test_the_newest_verdict_on_an_item_holds():
    history = [entry(0, "dislike", "a"), entry(1, "like", "b"), entry(2, "like", "a"), entry(3, "dismiss", "b")]
    visitor = visitor_of(history, INTEREST_WEIGHTS, active=True)
    assert visitor.liked == ("a",)
    assert visitor.unwanted == {"b"}


def test_likes_are_listed_newest_first_and_the_heaviest_event_names_an_item():
    history = [
        entry(0, "like", "a"),
        entry(1, "like", "b"),
        entry(2, "view", "b"),
        entry(3, "rating", "c", 4.5),
        entry(4, "rating", "d", 2.0),
        entry(5, "click", "e"),
    ]
    visitor = visitor_of(history, INTEREST_WEIGHTS, active=True)
    assert visitor.liked == ("b", "a")
    assert visitor.verbs == {"a": "liked", "b": "liked", "c": "liked", "d": "rated", "e": "looked at"}


def test_a_card_shows_any_catalogue_s_item():
    film = card_of(Item(item_id="1", title="Toy Story (1995)", categories=("Adventure", "Animation")), "robin", "$")
    assert (film.name, film.year, film.maker, film.price) == ("Toy Story", "1995", "Adventure, Animation", "")
    game = card_of(
        Item(item_id="2", title="Hades", price=24.99, attributes={"year": 2020, "developer": "Supergiant"}),
        "robin",
        "$",
    )
    assert (game.name, game.year, game.maker, game.price) == ("Hades", "2020", "Supergiant", "$24.99")
    bare = card_of(Item(item_id="only/an id"), "robin & co", "")
    assert bare.title == "only/an id"
    assert bare.href == "/shop/item?id=only%2Fan+id&user=robin+%26+co"


def test_a_cover_is_drawn_from_the_words_and_is_always_the_same():
    item = Item(item_id="2", title="Hades", categories=("Roguelike",))
    cover = card_of(item, "robin", "").cover
    assert cover == card_of(item, "another", "").cover
    assert (0 <= cover.hue < HUES, 0 <= cover.motif < MOTIFS, 0 <= cover.type < TYPEFACES) == (True, True, True)


def test_facts_leave_out_what_a_page_cannot_show():
    item = Item(
        item_id="2", price=0.0, attributes={"platforms": ["PC", "Switch"], "nested": {"a": 1}, "multi_player": True}
    )
    assert facts_of(item, "$") == [("Platforms", "PC, Switch"), ("Multi player", "yes"), ("Price", "Free")]


@pytest.mark.parametrize(("day", "told"), [("1979-01-01", "1979"), ("2023-02-09", "9 February 2023")])
def test_a_day_that_stands_for_a_year_is_shown_as_a_year(day, told):
    item = Item(item_id="2", published_at=datetime.fromisoformat(f"{day}T00:00:00+00:00"))
    assert facts_of(item, "") == [("Published", told)]


def test_a_face_has_the_initials_of_a_name():
    assert face_of("quiet-otter-412").initials == "QO"
    assert face_of("  7").initials == "7"


def test_an_invented_name_is_one_of_many():
    assert invented(lambda n: 0) != invented(lambda n: n - 1)
