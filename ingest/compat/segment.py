"""Segment's calls (track, identify, page, screen, alias, batch) as events. docs/compat.md says it field by field."""

from __future__ import annotations

from typing import Any, Final

from ingest.compat.mapping import NAMES, Mapped, Unmapped, member, objects, part_id, without_nothing

_CALLS: Final = {"t": "track", "i": "identify", "p": "page", "s": "screen", "a": "alias", "g": "group", "b": "batch"}
_OF_ECOMMERCE: Final = {
    "Product Viewed": "view",
    "Product Clicked": "click",
    "Product Added": "cart",
    "Product Added to Wishlist": "bookmark",
    "Product Shared": "share",
    "Product Reviewed": "rating",
    "Products Searched": "search",
    "Product List Viewed": "impression",
    "Order Completed": "purchase",
}
"""Events of Segment's e-commerce specification, and the types that they become."""
_ITEM: Final = ("product_id", "item_id", "sku")


def events_of(call: str, body: dict[str, Any]) -> Mapped:
    """Returns the events of a call. A batch gives those of its messages, in their order."""
    if "batch" not in body:
        return _of_message(_CALLS.get(call, call), body)
    batch = body["batch"] if isinstance(body["batch"], list) else [body["batch"]]
    return [
        event
        for message in batch
        for event in (_of_message("", message) if isinstance(message, dict) else [Unmapped("it is no JSON object")])
    ]


def _of_message(call: str, message: dict[str, Any]) -> Mapped:
    kind = str(message.get("type") or call)
    if kind == "track":
        return _of_track(message)
    if kind in {"page", "screen"}:
        item_id = member(message.get("properties"), *_ITEM)
        return [_event(message, "view", item_id=item_id)] if item_id else [_none(f"a {kind} without an item")]
    if kind == "identify":
        return [_event(message, "identify")]
    if kind == "alias":
        return [_event(message, "identify") | without_nothing(anonymous_id=message.get("previousId"))]
    return [_none(f"a call of the type {kind[:40]!r}")]


def _of_track(message: dict[str, Any]) -> Mapped:
    name, properties = message.get("event"), message.get("properties")
    kind = _type_of(name)
    if kind is None:
        return [_none(f"an event with the name {str(name)[:60]!r}")]
    products = objects(member(properties, "products"))
    if kind == "purchase" and products:
        bought = [_event(message, kind, number, item_id=member(each, *_ITEM)) for number, each in enumerate(products)]
        return list(bought)
    shown = [member(each, *_ITEM) for each in products] if kind == "impression" else None
    value = member(properties, "rating", "value") if kind in {"rating", "dwell"} else None
    query = member(properties, "query") if kind == "search" else None
    item_id = member(properties, *_ITEM)
    return [_event(message, kind, item_id=item_id, impression=shown or None, value=value, query=query)]


def _type_of(name: Any) -> str | None:
    if not isinstance(name, str):
        return None
    plain = name.strip().lower().replace(" ", "_")
    return _OF_ECOMMERCE.get(name) or (plain if plain in NAMES else None)


def _event(message: dict[str, Any], kind: str, number: int = 0, **fields: Any) -> dict[str, Any]:
    properties, context = message.get("properties"), message.get("context")
    return without_nothing(
        event_id=part_id(message.get("messageId"), number),
        type=kind,
        user_id=message.get("userId"),
        anonymous_id=message.get("anonymousId"),
        occurred_at=member(message, "timestamp", "originalTimestamp"),
        recommendation_id=member(properties, "recommendation_id"),
        position=member(properties, "position") if kind != "impression" else None,
        context=without_nothing(
            device=member(member(context, "device"), "type"),
            page=member(member(context, "page"), "path"),
            locale=member(context, "locale"),
            consent=member(properties, "consent"),
        ),
        **fields,
    )


def _none(what: str) -> Unmapped:
    return Unmapped(f"{what} stands for no event of Freshet; docs/compat.md lists what does")
