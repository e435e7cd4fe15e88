"""Snowplow's tracker protocol (``tp2``) as events. docs/compat.md says it field by field."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from ingest.compat.mapping import NAMES, Mapped, Unmapped, member, objects, part_id, without_nothing

_ACTION: Final = "com.snowplowanalytics.snowplow.ecommerce/snowplow_ecommerce_action/"
_PRODUCT: Final = "com.snowplowanalytics.snowplow.ecommerce/product/"
_SEARCH: Final = "com.snowplowanalytics.snowplow/site_search/"
_CART: Final = "com.snowplowanalytics.snowplow/add_to_cart/"
_ACTIONS: Final = {
    "product_view": "view",
    "list_click": "click",
    "add_to_cart": "cart",
    "transaction": "purchase",
    "list_view": "impression",
}
"""Actions of Snowplow's e-commerce schemas, and the types that they become."""


def events_of(_call: str, body: dict[str, Any]) -> Mapped:
    """Returns the events of a ``payload_data``, in their order."""
    data = body.get("data")
    if not isinstance(data, list):
        return [Unmapped("the body has no `data` list of a Snowplow payload_data")]
    return [
        event
        for payload in data
        for event in (_of_payload(payload) if isinstance(payload, dict) else [Unmapped("it is no JSON object")])
    ]


def _of_payload(payload: dict[str, Any]) -> Mapped:
    kind = payload.get("e")
    if kind == "ue":
        return _of_self_describing(payload)
    if kind == "se":
        action = str(payload.get("se_ac", "")).lower()
        value = _number(payload.get("se_va")) if action in {"rating", "dwell"} else None
        fields: dict[str, Any] = (
            {"query": payload.get("se_la")} if action == "search" else {"item_id": payload.get("se_la")}
        )
        known = action in NAMES
        return [_event(payload, action, value=value, **fields)] if known else [_none(f"the action {action!r}")]
    products = _products(payload)
    if kind == "pv" and len(products) == 1:
        return [_event(payload, "view", item_id=products[0])]
    if kind == "ti":
        return [_event(payload, "purchase", item_id=payload.get("ti_sk"))]
    return [_none(f"an event with e={str(kind)[:20]!r}" + (" without a product" if kind == "pv" else ""))]


def _of_self_describing(payload: dict[str, Any]) -> Mapped:
    described = member(_json(payload, "ue_pr", "ue_px"), "data")
    schema, data = str(member(described, "schema") or ""), member(described, "data")
    if _SEARCH in schema:
        terms = member(data, "terms")
        query = " ".join(map(str, terms)) if isinstance(terms, list) else None
        return [_event(payload, "search", query=query)]
    if _CART in schema:
        return [_event(payload, "cart", item_id=member(data, "sku"))]
    kind = _ACTIONS.get(str(member(data, "type"))) if _ACTION in schema else None
    products = _products(payload)
    if kind is None or not products:
        return [_none(f"the schema {schema[:120]!r}" + (" without a product" if kind else ""))]
    if kind == "impression":
        return [_event(payload, kind, impression=products)]
    return [_event(payload, kind, number, item_id=item_id) for number, item_id in enumerate(products)]


def _products(payload: dict[str, Any]) -> list[Any]:
    """The ids of the product entities of an event."""
    entities = objects(member(_json(payload, "co", "cx"), "data"))
    ids = [member(member(each, "data"), "id") for each in entities if _PRODUCT in str(each.get("schema"))]
    return [id_ for id_ in ids if id_ is not None]


def _json(payload: dict[str, Any], plain: str, encoded: str) -> Any:
    """The JSON of a field, or of its base64; None if there is none that can be read."""
    try:
        if isinstance(text := payload.get(plain), str):
            return orjson.loads(text)
        if isinstance(text := payload.get(encoded), str):
            return orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, binascii.Error):
        return None
    return None


def _event(payload: dict[str, Any], kind: str, number: int = 0, **fields: Any) -> dict[str, Any]:
    return without_nothing(
        event_id=part_id(payload.get("eid"), number),
        type=kind,
        user_id=payload.get("uid"),
        anonymous_id=member(payload, "duid", "nuid"),
        session_id=payload.get("sid"),
        occurred_at=_time(member(payload, "ttm", "dtm")),
        context=without_nothing(page=payload.get("url"), locale=payload.get("lang"), device=payload.get("p")),
        **fields,
    )


def _time(milliseconds: Any) -> Any:
    """A time in milliseconds since 1970 in the form of RFC 3339; what is none stays as it is, and is refused later."""
    number = _number(milliseconds)
    try:
        return milliseconds if number is None else datetime.fromtimestamp(number / 1000, UTC).isoformat()
    except (OverflowError, ValueError, OSError):
        return str(milliseconds)


def _number(value: Any) -> float | None:
    try:
        return None if isinstance(value, bool) or value is None else float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _none(what: str) -> Unmapped:
    return Unmapped(f"{what} stands for no event of Freshet; docs/compat.md lists what does")
