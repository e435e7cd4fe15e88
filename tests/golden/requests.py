"""The requests of the recording: so many of every route that reads, the same at every run."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode

from tests.golden.traffic import CATEGORIES, COUNTRIES, GUESTS, ITEMS, USERS, WORDS, item_id

PER_ROUTE: Final = 500


class Call(NamedTuple):
    """One HTTP request; ``body`` is JSON."""

    route: str
    method: str
    path: str
    body: Any = None


def calls() -> list[Call]:
    """PER_ROUTE calls of each route, route by route."""
    return [_call(Random(f"{route}-{number}"), route) for route in _ROUTES for number in range(PER_ROUTE)]


def _call(random: Random, route: str) -> Call:
    method, path, parameters, body = _ROUTES[route](random)
    query = urlencode(parameters, doseq=True)
    return Call(route, method, f"{path}?{query}" if query else path, body)


Made = tuple[str, str, dict[str, Any], Any]


def _user(random: Random) -> str:
    return random.choice([f"user-{random.randrange(USERS)}"] * 8 + [f"guest-{random.randrange(GUESTS)}", "nobody"])


def _item(random: Random) -> str:
    return item_id(random.randrange(ITEMS + 5))


def _segment(text: str) -> str:
    return quote(text, safe="")


_FILTERS: Final = (
    'categories has "puzzle"',
    "price < 20 and not (attributes.demo = true)",
    'tags has "sale" or attributes.players >= 3',
    'attributes.maker = "studio-4"',
    "price > $max",
    "price <",
)


def _list_parameters(random: Random) -> dict[str, Any]:
    parameters: dict[str, Any] = {"count": random.choice([1, 3, 5, 8])}
    if random.random() < 0.2:
        parameters["category"] = random.sample(CATEGORIES, random.randrange(1, 3))
    if random.random() < 0.2:
        parameters["filter"] = random.choice(_FILTERS)
        parameters["context.max"] = "30"
    if random.random() < 0.3:
        parameters |= {"context.country": random.choice(COUNTRIES), "context.device": random.choice(["phone", "tv"])}
    return parameters


def _rank_parameters(random: Random) -> dict[str, Any]:
    parameters = _list_parameters(random)
    options: tuple[tuple[str, Callable[[], Any]], ...] = (
        ("seed", lambda: random.randrange(1, 1_000)),
        ("diversity", lambda: random.choice([0.2, 0.7, 1])),
        ("exclude", lambda: [_item(random) for _ in range(3)]),
        ("include", lambda: [_item(random) for _ in range(30)]),
        ("pin", lambda: [f"{item_id(random.randrange(50))}:{random.randrange(1, 4)}"]),
        ("boost", lambda: [f"{random.choice([0.5, 2, 5])}:{random.choice(_FILTERS[:4])}"]),
        ("session_id", lambda: f"s{random.randrange(3)}-user-1"),
        ("anonymous_id", lambda: f"guest-{random.randrange(GUESTS)}"),
        ("cursor", lambda: random.choice(["AAAAAA", "!"])),
    )
    for name, make in options:
        if random.random() < 0.15:
            parameters[name] = make()
    return parameters


def _events(random: Random) -> list[dict[str, Any]]:
    kinds = ["click", "view", "like", "search", "rating", "dislike"]
    made = []
    for number in range(random.randrange(1, 9)):
        kind = random.choice(kinds)
        event: dict[str, Any] = {"type": kind, "occurred_at": f"2026-08-31T23:{10 + number}:00Z"}
        event |= {"query": random.choice(WORDS)} if kind == "search" else {"item_id": _item(random)}
        made.append(event | ({"value": random.choice([1, 5])} if kind == "rating" else {}))
    return made


def _brought(random: Random) -> dict[str, Any]:
    return {"item_ids": [_item(random) for _ in range(random.randrange(1, 12))]}


def _statistics(random: Random) -> Made:
    return "GET", f"/v1/statistics/{random.choice(['best-rated', 'most-viewed', 'rising', 'other'])}", {}, None


_ROUTES: Final[dict[str, Callable[[Random], Made]]] = {
    "recommendations": lambda r: ("GET", f"/v1/users/{_segment(_user(r))}/recommendations", _rank_parameters(r), None),
    "session": lambda r: ("POST", "/v1/sessions/recommendations", {}, {"events": _events(r), "count": 5}),
    "rank": lambda r: ("POST", f"/v1/users/{_segment(_user(r))}/rank", {}, _brought(r)),
    "scores": lambda r: ("POST", f"/v1/users/{_segment(_user(r))}/scores", {}, _brought(r)),
    "because": lambda r: ("GET", f"/v1/users/{_segment(_user(r))}/because", {"item_id": _item(r)}, None),
    "compatibility": lambda r: ("GET", f"/v1/users/{_segment(_user(r))}/compatibility", {"item_id": _item(r)}, None),
    "similar_users": lambda r: ("GET", f"/v1/users/{_segment(_user(r))}/similar", {"count": r.choice([1, 5])}, None),
    "user": lambda r: ("GET", f"/v1/users/{_segment(_user(r))}", {}, None),
    "similar": lambda r: ("GET", f"/v1/items/{_segment(_item(r))}/similar", _list_parameters(r), None),
    "together": lambda r: (
        "GET",
        f"/v1/items/{_segment(_item(r))}/together",
        _list_parameters(r) | {"type": r.choice(["viewed", "bought"])},
        None,
    ),
    "item": lambda r: ("GET", f"/v1/items/{_segment(_item(r))}", {}, None),
    "items": lambda r: (
        "GET",
        "/v1/items",
        {"limit": 5} | ({"query": r.choice(WORDS)} if r.random() < 0.7 else {}),
        None,
    ),
    "popular": lambda r: ("GET", "/v1/popular", _list_parameters(r), None),
    "trending": lambda r: ("GET", "/v1/trending", _list_parameters(r), None),
    "latest": lambda r: ("GET", "/v1/latest", _list_parameters(r), None),
    "statistics": _statistics,
}
