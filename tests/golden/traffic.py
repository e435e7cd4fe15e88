"""The log of the recording: facts about 600 items and 500 users, and 60,000 varied events, the same at every run."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final, NamedTuple

EVENTS: Final = 60_000
ITEMS: Final = 600
USERS: Final = 800
GUESTS: Final = 150
CATEGORIES: Final = ("puzzle", "racing", "strategy", "sports", "horror", "story", "music", "builder")
WORDS: Final = ("red", "lost", "star", "river", "iron", "silent", "paper", "night", "crystal", "wild", "deep", "tiny")
COUNTRIES: Final = ("DE", "FR", "US", "JP")
LATEST: Final = datetime(2025, 9, 1, tzinfo=UTC)
"""The time of the last event, and of the requests; before the wall clock, as a log wants its events."""
_DAYS: Final = 60
_FRESH_APART: Final = 9
"""Every so many-th item was published in the last days."""
_KINDS: Final = (
    ("click", 300), ("view", 180), ("like", 90), ("impression", 120), ("search", 60), ("cart", 40), ("purchase", 30),
    ("rating", 50), ("dwell", 40), ("dislike", 15), ("dismiss", 15), ("unlike", 15), ("bookmark", 15), ("share", 10),
    ("comment", 10), ("repeat", 20), ("retract", 15), ("identify", 10), ("forget", 1), ("wishlist", 10),
)  # fmt: skip

_ALONE: Final = frozenset({"identify", "forget"})


class Fact(NamedTuple):
    """One record to append: its topic, key and value."""

    topic: str
    key: bytes
    value: bytes
    alone: bool = False
    """Whether the log must take it later than all before and earlier than all after: whose a guest is depends on it."""


def facts() -> list[Fact]:
    """Every record of the log, in the order in which they are appended."""
    random = Random(20_261_130)
    return [*_items(random), *_users(random), *_events(random)]


def item_id(number: int) -> str:
    """The id of an item; some hold a slash, a blank or a letter outside ASCII."""
    return {7: "shelf/7", 11: "ein Spiel", 13: "jeu-été-13"}.get(number, f"item-{number}")


def _items(random: Random) -> list[Fact]:
    made = []
    for number in range(ITEMS - 40):
        category = CATEGORIES[number % len(CATEGORIES)]
        fields: dict[str, Any] = {
            "title": f"{random.choice(WORDS)} {random.choice(WORDS)} {number}".title(),
            "description": " ".join(random.choices(WORDS, k=random.randrange(4, 20))),
            "categories": [category, *random.sample(CATEGORIES, random.randrange(2))],
            "tags": random.sample(WORDS, random.randrange(4)),
            "price": round(random.uniform(0, 80), 2),
            "published_at": _text(LATEST - timedelta(days=random.uniform(0, 3 if number % _FRESH_APART == 0 else 900))),
            "attributes": {
                "maker": f"studio-{number % 23}",
                "players": random.randrange(1, 5),
                "demo": number % 5 == 0,
            },
        }
        if number % 41 == 0:
            fields["hidden"] = True
        if number % 43 == 0:
            fields["available_until"] = _text(LATEST - timedelta(days=1))
        made.append(_upsert("items", item_id(number), "put", fields))
    made += [_upsert("items", item_id(n), "patch", {"price": 1.5, "tags": ["sale"]}) for n in range(0, 100, 9)]
    made += [_upsert("items", item_id(n), "delete", {}) for n in range(5, 60, 25)]
    return made


def _users(random: Random) -> list[Fact]:
    return [
        _upsert("users", f"user-{n}", "put", {"attributes": {"country": random.choice(COUNTRIES), "plan": n % 3}})
        for n in range(0, USERS, 2)
    ]


def _upsert(topic: str, key: str, op: str, fields: dict[str, Any]) -> Fact:
    received = _text(LATEST - timedelta(days=_DAYS))
    return Fact(topic, key.encode(), _json({"id": key, "op": op, "fields": fields, "received_at": received}))


def _events(random: Random) -> list[Fact]:
    names, weights = zip(*_KINDS, strict=True)
    made: list[dict[str, Any]] = []
    for number, kind in enumerate(random.choices(names, weights, k=EVENTS)):
        at = LATEST - timedelta(days=_DAYS) * (1 - number / EVENTS)
        event = _event(random, number, kind, at, made)
        made.append(event)
    return [Fact("events", _key(event), _json(event), event["type"] in _ALONE) for event in made]


def _event(random: Random, number: int, kind: str, at: datetime, earlier: list[dict[str, Any]]) -> dict[str, Any]:
    if kind in {"repeat", "retract"} and earlier:
        old = random.choice(earlier[-400:])
        return {**old, "type": old["type"] if kind == "repeat" else "retract", "received_at": _text(at)}
    event: dict[str, Any] = {"event_id": f"e{number}", "type": kind if kind != "repeat" else "click"}
    event |= _who(random, kind)
    if kind not in {"search", "identify", "forget"}:
        event["item_id"] = _item(random, number, event, earlier)
    late = random.choice([0, 0, 0, 0, 30, 4_000, 90_000])
    event |= {"occurred_at": _text(at - timedelta(seconds=late)), "received_at": _text(at), "schema_version": 1}
    return event | _details(random, kind)


def _who(random: Random, kind: str) -> dict[str, Any]:
    user, guest = f"user-{int(USERS * random.random() ** 2)}", f"guest-{random.randrange(GUESTS)}"
    if kind == "identify":
        return {"user_id": user, "anonymous_id": guest}
    who = {"user_id": user} if random.random() < 0.85 else {"anonymous_id": guest}
    return who | ({"session_id": f"s{random.randrange(3)}-{user}"} if random.random() < 0.7 else {})


def _item(random: Random, number: int, event: dict[str, Any], earlier: list[dict[str, Any]]) -> str:
    """What a guest was at before, or in the last days something new, or else what this visitor prefers."""
    if "user_id" not in event and random.random() < 0.3:
        guest = event["anonymous_id"]
        same = [old["item_id"] for old in earlier[-4_000:] if old.get("anonymous_id") == guest and "item_id" in old]
        if same:
            return str(random.choice(same[-4:]))
    if number > 0.95 * EVENTS and random.random() < 0.3:
        return item_id(_FRESH_APART * random.randrange((ITEMS - 40) // _FRESH_APART))
    return item_id(_preferred(random, event))


def _preferred(random: Random, event: dict[str, Any]) -> int:
    """An item, mostly of the two categories that this visitor prefers, popular ones more often."""
    visitor = sum((event.get("user_id") or event["anonymous_id"]).encode())
    base = int((ITEMS / 8) * random.random() ** 2) * 8
    return min(ITEMS - 1, base + (visitor + random.choice([0, 0, 0, 1, 1, random.randrange(8)])) % 8)


def _details(random: Random, kind: str) -> dict[str, Any]:
    details: dict[str, Any] = {}
    if kind == "rating":
        details["value"] = random.choice([1.0, 2.5, 3.0, 4.0, 4.5, 5.0])
    if kind == "dwell":
        details |= {"value": random.choice([3.0, 40.0, 300.0]), "properties": {"scroll": random.choice([0.1, 0.9])}}
    if kind == "search":
        details["query"] = " ".join(random.sample(WORDS, random.randrange(1, 3)))
    if kind in {"click", "impression"}:
        details |= {"recommendation_id": f"r{random.randrange(900)}", "position": random.randrange(12)}
    if kind == "impression":
        details["impression"] = [item_id(random.randrange(ITEMS)) for _ in range(random.randrange(1, 7))]
    if kind in {"cart", "purchase"}:
        details["properties"] = {"basket_id": f"b{random.randrange(3)}"}
    if random.random() < 0.4:
        details["context"] = {"country": random.choice(COUNTRIES), "device": random.choice(["phone", "desktop"])}
    return details


def _key(event: dict[str, Any]) -> bytes:
    return str(event.get("user_id") or event.get("anonymous_id") or event["session_id"]).encode()


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
