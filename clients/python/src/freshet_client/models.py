"""The types of bodies and answers. Made by ``generate.py`` from the OpenAPI document: do not change it by hand."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict


class Answer(TypedDict):
    """Recommended items, with the versions of the signals, catalogue, model and configuration that produced them."""

    recommendation_id: str
    items: list[AnswerItem]
    model_version: str | None
    signals_offset: str | None
    aggregates_version: str
    catalogue_version: str
    config_id: str
    variant: str
    degraded: list[str]
    generated_at: str
    next_cursor: str | None


class AnswerItem(TypedDict):
    """One recommended item; ``item`` is the catalogue's view of it, as JSON."""

    item_id: str
    score: float
    reasons: list[Reason]
    item: NotRequired[ShownItem]


class Because(TypedDict):
    """The user's items that led to this one, largest share first."""

    user_id: str
    model_version: str | None
    signals_offset: str | None
    degraded: list[str]
    generated_at: str
    item_id: str
    because: list[Contribution]


class Compatibility(TypedDict):
    """How well an item suits a user, and why. ``percentile`` is its place among visible items, from 0 to 1."""

    user_id: str
    model_version: str | None
    signals_offset: str | None
    degraded: list[str]
    generated_at: str
    item_id: str
    because: list[Contribution]
    score: float
    percentile: float
    reasons: list[Reason]
    predicted_rating: NotRequired[float]


class Contribution(TypedDict):
    """One of the user's own items with its share in the score of another item, 0 to 1."""

    item_id: str
    share: float


class ErasedPlaceState(TypedDict):
    """One place that holds data of people, and what has become of the person's."""

    place: str
    state: Literal["pending", "done", "expires", "at_next_training", "kept", "failed"]
    at: str | None
    """When the state was reached or is going to end, RFC 3339; null if not known."""
    detail: str
    """What it waits for, or why the last try failed."""


class ErasureAnswer(TypedDict):
    """The receipt of an erasure that was asked for now, and where the log holds the end of the user's attributes."""

    erasure_id: str
    person: str
    requested_at: str
    places: list[ErasedPlaceState]
    complete_by: str | None
    """The last of the places' times; null while one is not known."""
    signature: str
    """HMAC-SHA256 over the receipt without its signature."""
    user_id: str
    offset: str


class ErasureState(TypedDict):
    """The receipt of an erasure. It names the person by a keyed hash only."""

    erasure_id: str
    person: str
    requested_at: str
    places: list[ErasedPlaceState]
    complete_by: str | None
    """The last of the places' times; null while one is not known."""
    signature: str
    """HMAC-SHA256 over the receipt without its signature."""


class Event(TypedDict):
    """One action of a visitor, in the form in which a frontend sends it."""

    event_id: NotRequired[str | None]
    """Made by the client; the idempotency key. Made here if missing."""
    type: str
    """What happened: click, search, view, like, …"""
    user_id: NotRequired[str | None]
    """A known user."""
    anonymous_id: NotRequired[str | None]
    """A guest, stable over visits."""
    session_id: NotRequired[str | None]
    """One visit."""
    item_id: NotRequired[str | None]
    """The item it happened to."""
    value: NotRequired[float | None]
    """Stars of a rating, on the scale of the site; seconds of a dwell, from 0 to 86,400."""
    query: NotRequired[str | None]
    """What was searched for."""
    occurred_at: NotRequired[str | None]
    """Client clock, RFC 3339; any past time, at most 5 minutes ahead. Time of receipt if missing."""
    recommendation_id: NotRequired[str | None]
    """The answer that led here."""
    position: NotRequired[int | None]
    """Place in that answer, from 0."""
    impression: NotRequired[list[str] | None]
    """Item ids that were shown."""
    context: NotRequired[dict[str, str | int | float | bool | None] | None]
    """Device, country, page, …"""
    properties: NotRequired[dict[str, Any] | None]
    """Anything else worth keeping."""
    schema_version: NotRequired[int]
    """Version of this envelope; 1 so far."""


class EventResult(TypedDict):
    """The outcome of one event."""

    event_id: str | None
    """The event's id, made by the collector where the client gave none."""
    status: Literal["accepted", "rejected"]
    offset: str | None
    """Where it stands on the log, as 'partition:offset'; hand it to after=."""
    error: Fault | None


class EventsAnswer(TypedDict):
    """The outcome of each event of a request, in its order."""

    results: list[EventResult]


class Fault(TypedDict):
    """The reason why one event or item of a request was rejected."""

    type: str
    """Names the kind of problem: urn:freshet:problem:<code>."""
    detail: str
    field: str | None
    index: int


class ItemFields(TypedDict):
    """The fields of an item; all are optional."""

    title: NotRequired[str | None]
    description: NotRequired[str | None]
    categories: NotRequired[list[str] | None]
    tags: NotRequired[list[str] | None]
    price: NotRequired[float | None]
    url: NotRequired[str | None]
    image_url: NotRequired[str | None]
    published_at: NotRequired[str | None]
    hidden: NotRequired[bool | None]
    available_from: NotRequired[str | None]
    available_until: NotRequired[str | None]
    attributes: NotRequired[dict[str, Any] | None]


class ItemPage(TypedDict):
    """A page of the catalogue, or of the matches of a query."""

    items: list[ItemView]
    next_cursor: str | None
    catalogue_version: str


class ItemReceipt(TypedDict):
    """An item's change is on the log, at this offset."""

    item_id: str
    offset: str


class ItemResult(TypedDict):
    """The outcome of one item of a bulk request."""

    item_id: str | None
    status: Literal["accepted", "rejected"]
    offset: str | None
    error: Fault | None


class ItemScore(TypedDict):
    """The score of one item. ``predicted_rating`` is there where people rate items."""

    item_id: str
    score: float
    predicted_rating: NotRequired[float]


class ItemUpsert(TypedDict):
    """An item with its id, for the bulk call."""

    title: NotRequired[str | None]
    description: NotRequired[str | None]
    categories: NotRequired[list[str] | None]
    tags: NotRequired[list[str] | None]
    price: NotRequired[float | None]
    url: NotRequired[str | None]
    image_url: NotRequired[str | None]
    published_at: NotRequired[str | None]
    hidden: NotRequired[bool | None]
    available_from: NotRequired[str | None]
    available_until: NotRequired[str | None]
    attributes: NotRequired[dict[str, Any] | None]
    item_id: str


class ItemView(TypedDict):
    """ItemView of the API."""

    item_id: str
    title: NotRequired[str | None]
    description: NotRequired[str | None]
    categories: NotRequired[list[str]]
    tags: NotRequired[list[str]]
    price: NotRequired[float | None]
    url: NotRequired[str | None]
    image_url: NotRequired[str | None]
    published_at: NotRequired[str | None]
    hidden: bool
    available_from: NotRequired[str | None]
    available_until: NotRequired[str | None]
    attributes: NotRequired[dict[str, Any]]
    version: int
    first_at: NotRequired[str | None]


class ItemsAnswer(TypedDict):
    """The outcome of each item of a bulk request, in its order."""

    results: list[ItemResult]


class Liveness(TypedDict):
    """The process answers."""

    status: Literal["live"]


class Problem(TypedDict):
    """An error in the form of RFC 9457, with ``field`` and ``index`` if one is at fault."""

    type: str
    """Names the kind of problem: urn:freshet:problem:<code>."""
    title: str
    """The kind of problem, in words."""
    status: int
    """The HTTP status."""
    detail: str
    """What is wrong with this request and what to do."""
    field: NotRequired[str | None]
    """The field at fault, dotted: context.device."""
    index: NotRequired[int | None]
    """Its place in the request, from 0."""


class Published(TypedDict):
    """The answer: the version that was published, and the one that it was made from."""

    version: str
    parent: str | None
    kind: Literal["factors", "lists", "neighbours"]
    rows: int


class RankParameters(TypedDict):
    """Body of ``POST /v1/users/{user_id}/rank``."""

    count: NotRequired[int]
    """How many items."""
    category: NotRequired[list[str]]
    """Only items in any of these."""
    filter: NotRequired[str]
    """Only items that fulfil it: genres has 'RPG' and price < $max."""
    context: NotRequired[dict[str, str]]
    """context.<name>: device, country, page, …; $<name> in filters, and kept on record."""
    after: NotRequired[str | None]
    anonymous_id: NotRequired[str | None]
    session_id: NotRequired[str | None]
    exclude: NotRequired[list[str]]
    """Items to leave out."""
    diversity: NotRequired[float]
    """0: by score alone; 1: as unlike each other as can be."""
    cursor: NotRequired[str | None]
    include: NotRequired[list[str]]
    """Rank these items alone."""
    pin: NotRequired[list[str]]
    """item:place, from 1: an item that stands at this place, come what may."""
    boost: NotRequired[list[str]]
    """factor:filter, as 1.5:genres has 'RPG': multiplies scores."""
    seed: NotRequired[int]
    """Random seed: adds a little noise to scores. The same seed gives the same list."""
    item_ids: list[str]
    """The list to order."""


class RatingPrior(TypedDict):
    """The prior of an average rating: ``ratings`` more ratings of the value ``mean``."""

    mean: float
    ratings: float


class Readiness(TypedDict):
    """Whether a process can serve, and what it lacks if not."""

    status: Literal["ready", "not ready"]
    missing: list[str]
    """A sentence for each thing that is missing."""
    warnings: list[str]
    """A sentence for each thing that is wrong, but keeps nobody from serving."""


class Reason(TypedDict):
    """A candidate source that proposed an item, its share of the item's score (0 to 1), and the seed item that it started from."""

    source: str
    share: float
    item_id: NotRequired[str | None]


class RowOfFactors(TypedDict):
    """RowOfFactors of the API."""

    of: Literal["user", "item"]
    id: str
    vector: list[float]


class RowOfLists(TypedDict):
    """RowOfLists of the API."""

    user_id: str
    item_id: str
    score: float


class RowOfNeighbours(TypedDict):
    """RowOfNeighbours of the API."""

    item_id: str
    neighbour_id: str
    score: float


class Scores(TypedDict):
    """A score for each item of a list, in its order."""

    user_id: str
    model_version: str | None
    signals_offset: str | None
    degraded: list[str]
    generated_at: str
    scores: list[ItemScore]


class ScoresParameters(TypedDict):
    """Body of ``POST /v1/users/{user_id}/scores``."""

    item_ids: list[str]


class SessionEvent(TypedDict):
    """One action of a visitor, in the form in which a frontend sends it."""

    additionalProperties: NotRequired[Any]
    event_id: NotRequired[str | None]
    """Made by the client; the idempotency key. Made here if missing."""
    type: str
    """What happened: click, search, view, like, …"""
    user_id: NotRequired[str | None]
    """A known user."""
    anonymous_id: NotRequired[str | None]
    """A guest, stable over visits."""
    session_id: NotRequired[str | None]
    """One visit."""
    item_id: NotRequired[str | None]
    """The item it happened to."""
    value: NotRequired[float | None]
    """Stars of a rating, on the scale of the site; seconds of a dwell, from 0 to 86,400."""
    query: NotRequired[str | None]
    """What was searched for."""
    occurred_at: NotRequired[str | None]
    """Client clock, RFC 3339; any past time, at most 5 minutes ahead. Time of receipt if missing."""
    recommendation_id: NotRequired[str | None]
    """The answer that led here."""
    position: NotRequired[int | None]
    """Place in that answer, from 0."""
    impression: NotRequired[list[str] | None]
    """Item ids that were shown."""
    context: NotRequired[dict[str, str | int | float | bool | None] | None]
    """Device, country, page, …"""
    properties: NotRequired[dict[str, Any] | None]
    """Anything else worth keeping."""
    schema_version: NotRequired[int]
    """Version of this envelope; 1 so far."""


class SessionParameters(TypedDict):
    """Body of ``POST /v1/sessions/recommendations``."""

    count: NotRequired[int]
    """How many items."""
    category: NotRequired[list[str]]
    """Only items in any of these."""
    filter: NotRequired[str]
    """Only items that fulfil it: genres has 'RPG' and price < $max."""
    context: NotRequired[dict[str, str]]
    """context.<name>: device, country, page, …; $<name> in filters, and kept on record."""
    after: NotRequired[str | None]
    anonymous_id: NotRequired[str | None]
    session_id: NotRequired[str | None]
    exclude: NotRequired[list[str]]
    """Items to leave out."""
    diversity: NotRequired[float]
    """0: by score alone; 1: as unlike each other as can be."""
    cursor: NotRequired[str | None]
    include: NotRequired[list[str]]
    """Rank these items alone."""
    pin: NotRequired[list[str]]
    """item:place, from 1: an item that stands at this place, come what may."""
    boost: NotRequired[list[str]]
    """factor:filter, as 1.5:genres has 'RPG': multiplies scores."""
    seed: NotRequired[int]
    """Random seed: adds a little noise to scores. The same seed gives the same list."""
    events: list[SessionEvent]


class ShownItem(TypedDict):
    """ShownItem of the API."""

    title: NotRequired[str | None]
    description: NotRequired[str | None]
    categories: NotRequired[list[str]]
    tags: NotRequired[list[str]]
    price: NotRequired[float | None]
    url: NotRequired[str | None]
    image_url: NotRequired[str | None]
    published_at: NotRequired[str | None]
    attributes: NotRequired[dict[str, Any]]


class SimilarUser(TypedDict):
    """Another user; ``score`` is the cosine of both users' factors."""

    user_id: str
    score: float


class SimilarUsers(TypedDict):
    """The users who are most like this one, most similar first."""

    user_id: str
    model_version: str | None
    signals_offset: str | None
    degraded: list[str]
    generated_at: str
    users: list[SimilarUser]


class StatisticsAnswer(TypedDict):
    """A published table of statistics."""

    kind: Literal["best-rated", "most-viewed", "rising"]
    period: Literal["all", "day", "month", "week"]
    category: str | None
    as_of: str | None
    prior: RatingPrior | None
    items: list[StatisticsRow]


class StatisticsRow(TypedDict):
    """StatisticsRow of the API."""

    item_id: str
    title: str | None


class UserFields(TypedDict):
    """The fields of a user. Ages and places are generalized before they reach the log."""

    attributes: NotRequired[dict[str, Any] | None]


class UserReceipt(TypedDict):
    """A user's change is on the log, at this offset."""

    user_id: str
    offset: str


class UserView(TypedDict):
    """The current view of a user: attributes, and what the signals hold."""

    user_id: str
    attributes: dict[str, Any]
    counters: dict[str, int]
    seen: int
    last_at: str | None
    signals_offset: str | None
    degraded: list[str]
