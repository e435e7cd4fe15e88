"""Item cards: the page's view of an item of any catalogue, with a cover drawn from its words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode
from zlib import crc32

from schemas.catalogue import Item

HUES: Final = 14
MOTIFS: Final = 8
TYPEFACES: Final = 3
_SPREAD: Final = 9
"""Start value of the checksum. With it, the usual genres of games and films seldom share a hue."""
_YEAR_AT_END: Final = re.compile(r"^(.+?)\s*\((\d{4})\)$")
_MAKERS: Final = ("developer", "author", "artist", "brand", "director", "publisher", "channel", "maker")
_SHORT_FACTS: Final = 12
_LONG_NAME: Final = 26
_LONG_WORD: Final = 9


class Cover(NamedTuple):
    """The drawn cover of an item: numbers of style classes."""

    hue: int
    motif: int
    type: int


class Face(NamedTuple):
    """A shopper's drawn portrait."""

    hue: int
    initials: str


class ItemCard(NamedTuple):
    """The content of one card. The cover shows ``name`` and ``year``; ``title`` is the item's full title."""

    item_id: str
    title: str
    name: str
    long: bool
    """True if the name needs smaller letters, because it or one of its words is long."""
    year: str
    kicker: str
    """The small line above the name: its first category."""
    maker: str
    price: str
    cover: Cover
    image: str
    """The address of its image, shown over the drawn cover; may be empty."""
    href: str
    why: str = ""
    liked: bool = False


class CardList(NamedTuple):
    """A titled row or grid of cards, with its sentences and the ids of its answer."""

    key: str
    title: str
    shape: str
    """``grid``, or ``rail``: one row that scrolls sideways."""
    cards: Sequence[ItemCard]
    sentence: str = ""
    notes: Sequence[str] = ()
    recommendation_id: str | None = None
    signals_offset: str | None = None


def card_of(item: Item, user: str, currency: str, *, why: str = "", liked: bool = False) -> ItemCard:
    """The card of an item. An item without a title shows its id."""
    title = item.title or item.item_id
    name, year = _name_and_year(item, title)
    return ItemCard(
        item_id=item.item_id,
        title=title,
        name=name,
        long=len(name) > _LONG_NAME or max(map(len, name.split()), default=0) > _LONG_WORD,
        year=year,
        kicker=item.categories[0] if item.categories else "",
        maker=_maker(item),
        price="" if item.price is None else price(item.price, currency),
        cover=_cover(item, title),
        image=item.image_url or "",
        href="/shop/item?" + urlencode({"id": item.item_id, "user": user}),
        why=why,
        liked=liked,
    )


def face_of(user: str) -> Face:
    """A shopper's portrait: a colour and up to two letters."""
    words = re.findall(r"\w+", user)
    initials = "".join(word[0] for word in words[:2]) if len(words) > 1 else user.strip()[:2]
    return Face(crc32(user.encode()) % HUES, initials.upper())


def facts_of(item: Item, currency: str) -> list[tuple[str, str]]:
    """The other fields of an item, as pairs of a name and a short text."""
    facts = [(_label(name), _short(value)) for name, value in item.attributes.items()]
    if item.price is not None:
        facts.append(("Price", price(item.price, currency)))
    if item.published_at is not None and "year" not in item.attributes:
        facts.append(("Published", _day(item.published_at)))
    return [(name, text) for name, text in facts if text][:_SHORT_FACTS]


def labels_of(item: Item) -> list[str]:
    """The item's genres, then its tags, each once."""
    return list(dict.fromkeys((*item.categories, *item.tags)))


def price(amount: float, currency: str) -> str:
    """A price as a shop writes it."""
    return "Free" if amount == 0 else f"{currency}{amount:,.2f}"


def _name_and_year(item: Item, title: str) -> tuple[str, str]:
    dated = _YEAR_AT_END.match(title)
    if dated:
        return dated[1], dated[2]
    year = item.attributes.get("year")
    if isinstance(year, int | float | str) and str(year):
        return title, str(year)
    return title, str(item.published_at.year) if item.published_at else ""


def _maker(item: Item) -> str:
    """The maker of an item, or its categories if no maker is named."""
    maker = next((_short(item.attributes[name]) for name in _MAKERS if item.attributes.get(name)), "")
    return maker or ", ".join(item.categories[:3])


def _cover(item: Item, title: str) -> Cover:
    genre = item.categories[0] if item.categories else title
    drawn = crc32(title.encode())
    return Cover(crc32(genre.encode(), _SPREAD) % HUES, drawn % MOTIFS, drawn // MOTIFS % TYPEFACES)


def _label(name: str) -> str:
    return name.replace("_", " ").strip().capitalize()


def _short(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return _joined(value)
    return str(value) if isinstance(value, str | int | float) else ""


def _joined(values: Iterable[Any]) -> str:
    return ", ".join(str(value) for value in values if isinstance(value, str | int | float))


def _day(moment: datetime) -> str:
    # Catalogues that know only the year write the first of January.
    whole_year = (moment.month, moment.day) == (1, 1)
    return f"{moment.year}" if whole_year else f"{moment.day} {moment:%B %Y}"
