"""The requests of the recording: so many of every route that reads, the same at every run."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode

from tests.golden.traffic import CATEGORIES, COUNTRIES, GUESTS, ITEMS, USERS, WORDS, item_id

PER_ROUTE: Final = 500
PAGES: Final = 4
"""Pages of one list that are turned over."""


class Call(NamedTuple):
    """One HTTP request."""

    route: str
    method: str
    path: str
    body: Any = None
    """JSON; a text is sent as it is."""
    follows: bool = False
    """Whether it asks for the page after the previous answer, within the moment in which that is kept."""

    @property
    def unordered(self) -> bool:
        """Whether it lists the catalogue in the order in which it was read, which differs from start to start."""
        return self.route == "items" and "query=" not in self.path


def calls() -> list[Call]:
    """PER_ROUTE calls of each route, route by route."""
    return [call for group in groups() for call in group]


def groups() -> list[list[Call]]:
    """The same; what belongs together, a list and its next pages, stands in one group."""
    single = [[_call(Random(f"{route}-{number}"), route)] for route in _ROUTES for number in range(PER_ROUTE)]
    return single + [_pages(Random(f"pages-{number}")) for number in range(PER_ROUTE // PAGES)]


def _call(random: Random, route: str) -> Call:
    method, path, parameters, body = _ROUTES[route](random)
    query = urlencode(parameters, doseq=True)
    return Call(route, method, f"{path}?{query}" if query else path, body)


def _pages(random: Random) -> list[Call]:
    """A list, and the pages that follow it."""
    parameters = _rank_parameters(random) | {"count": random.choice([2, 5])}
    parameters.pop("cursor", None)
    path = f"/v1/users/{_segment(_user(random))}/recommendations?{urlencode(parameters, doseq=True)}"
    return [Call("pages", "GET", path, follows=number > 0) for number in range(PAGES)]


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
        ("after", lambda: random.choice(["0:1", "1:200", "2:9", "4:1", "x"])),
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
        event: dict[str, Any] = {"type": kind, "occurred_at": f"2025-08-31T23:{10 + number}:00Z"}
        event |= {"query": random.choice(WORDS)} if kind == "search" else {"item_id": _item(random)}
        made.append(event | ({"value": random.choice([1, 5])} if kind == "rating" else {}))
    return made


def _brought(random: Random) -> dict[str, Any]:
    return {"item_ids": [_item(random) for _ in range(random.randrange(1, 12))]}


def _body(random: Random, body: dict[str, Any]) -> dict[str, Any]:
    """The body of a list, with parameters in half of the requests."""
    if random.random() < 0.5:
        return body | {"count": random.choice([1, 5])}
    parameters = _rank_parameters(random)
    context = {name.partition(".")[2]: parameters.pop(name) for name in list(parameters) if name.startswith("context.")}
    return {**parameters, **body, "context": context}


def _statistics(random: Random) -> Made:
    parameters: dict[str, Any] = {"period": random.choice(["day", "week", "month"] * 4 + ["year"])}
    parameters["count"] = random.randrange(9)
    if random.random() < 0.6:
        parameters["category"] = random.choice(CATEGORIES)
    kind = random.choice(["best-rated", "most-viewed", "rising"] * 3 + ["other"])
    return "GET", f"/v1/statistics/{kind}", parameters, None


def _near(random: Random) -> dict[str, Any]:
    return _list_parameters(random) | ({"user_id": _user(random)} if random.random() < 0.4 else {})


def _browse(random: Random) -> dict[str, Any]:
    parameters: dict[str, Any] = {"limit": random.choice([1, 3, 5])}
    if random.random() < 0.7:
        parameters["query"] = " ".join(random.sample(WORDS, random.randrange(1, 3)))
    if random.random() < 0.5:
        parameters["cursor"] = random.choice([f"o{random.randrange(600)}"] * 9 + ["x"])
    return parameters


def _faulty(random: Random) -> Made:
    """A request that is refused, or nearly."""
    user = f"/v1/users/{_segment(_user(random))}"
    event = {"type": "click", "item_id": "item-1"}
    fault: Made = random.choice(
        [
            ("GET", f"{user}/recommendations", {random.choice(["cuont", "limit", "filters"]): "5"}, None),
            ("GET", f"{user}/recommendations", {"count": random.choice([0, 501, "many", "", -1])}, None),
            ("GET", f"{user}/recommendations", {"diversity": random.choice([-1, 2, "x"])}, None),
            ("GET", f"{user}/recommendations", {"seed": random.choice([-1, 2**32, "x"])}, None),
            ("GET", f"{user}/recommendations", {"pin": random.choice(["item-1", "item-1:0", ":3", "item-1:x"])}, None),
            (
                "GET",
                f"{user}/recommendations",
                {"boost": random.choice(["2", "0:price > 1", "2:price >", "x:y"])},
                None,
            ),
            ("GET", f"{user}/recommendations", {"filter": random.choice(["(", "price >", "a = = b", "nope("])}, None),
            ("GET", f"/v1/users/{'u' * random.randrange(127, 131)}/recommendations", {"count": 1}, None),
            ("GET", "/v1/users/a%0Ab", {}, None),
            ("GET", f"{user}/because", {}, None),
            ("GET", f"{user}/compatibility", {"item": "item-1"}, None),
            ("GET", f"{user}/similar", {"count": random.choice([0, 501])}, None),
            ("GET", "/v1/items/item-1/together", {"type": "sold"}, None),
            ("GET", "/v1/items", {"limit": random.choice([0, 501])}, None),
            ("GET", random.choice(["/v1/nothing", "/v1", "/v1/popular/all"]), {}, None),
            ("POST", f"{user}/scores", {}, random.choice([{}, {"item_ids": []}, {"item_ids": "item-1"}, "[", ""])),
            ("POST", f"{user}/rank", {}, random.choice([{"item_ids": [1]}, {"item_ids": ["item-1"], "top": 1}, "{"])),
            ("POST", f"{user}/recommendations", {}, {"count": 1}),
            ("POST", "/v1/sessions/recommendations", {}, {"events": [event, event | {"type": random.choice(["", 5])}]}),
            ("POST", "/v1/sessions/recommendations", {}, {"events": [event | {"occurred_at": "yesterday"}]}),
            ("POST", "/v1/sessions/recommendations", {"count": 5}, {"events": [event]}),
            ("POST", "/v1/sessions/recommendations", {}, {"events": [event] * 201}),
            ("POST", "/v1/sessions/recommendations", {}, random.choice(["", "null", "[]", '{"events": 1}', "é"])),
        ]
    )
    return fault


_ROUTES: Final[dict[str, Callable[[Random], Made]]] = {
    "recommendations": lambda r: ("GET", f"/v1/users/{_segment(_user(r))}/recommendations", _rank_parameters(r), None),
    "session": lambda r: ("POST", "/v1/sessions/recommendations", {}, _body(r, {"events": _events(r)})),
    "rank": lambda r: ("POST", f"/v1/users/{_segment(_user(r))}/rank", {}, _body(r, _brought(r))),
    "scores": lambda r: ("POST", f"/v1/users/{_segment(_user(r))}/scores", {}, _brought(r)),
    "because": lambda r: ("GET", f"/v1/users/{_segment(_user(r))}/because", {"item_id": _item(r)}, None),
    "compatibility": lambda r: ("GET", f"/v1/users/{_segment(_user(r))}/compatibility", {"item_id": _item(r)}, None),
    "similar_users": lambda r: ("GET", f"/v1/users/{_segment(_user(r))}/similar", {"count": r.choice([1, 5])}, None),
    "user": lambda r: ("GET", f"/v1/users/{_segment(_user(r))}", {}, None),
    "similar": lambda r: ("GET", f"/v1/items/{_segment(_item(r))}/similar", _near(r), None),
    "together": lambda r: (
        "GET",
        f"/v1/items/{_segment(_item(r))}/together",
        _near(r) | {"type": r.choice(["viewed", "bought"])},
        None,
    ),
    "item": lambda r: ("GET", f"/v1/items/{_segment(_item(r))}", {}, None),
    "items": lambda r: ("GET", "/v1/items", _browse(r), None),
    "popular": lambda r: ("GET", "/v1/popular", _list_parameters(r), None),
    "trending": lambda r: ("GET", "/v1/trending", _list_parameters(r), None),
    "latest": lambda r: ("GET", "/v1/latest", _list_parameters(r), None),
    "statistics": _statistics,
    "faulty": _faulty,
}
