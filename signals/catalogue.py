"""The catalogue view: the current items and attributes of users, folded from their upserts. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from schemas.catalogue import Item, Profile, Upsert


def merge_patch(target: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """Returns the target after a merge patch (RFC 7396): null removes a member, objects merge, other values replace."""
    merged = dict(target)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            current = merged.get(key)
            merged[key] = merge_patch(current if isinstance(current, dict) else {}, value)
        else:
            merged[key] = value
    return merged


def fold_item(item: Item | None, upsert: Upsert, offset: int) -> Item:
    """Returns the item after one upsert. An upsert at or before its version changes nothing.

    Raises msgspec.ValidationError.
    """
    if item is not None and offset <= item.version:
        return item
    fields = _fields(item, upsert, {"item_id", "version", "first_at", "deleted"})
    first_at = item.first_at if item is not None and not item.deleted else upsert.received_at
    fields |= {"item_id": upsert.id, "version": offset, "first_at": first_at, "deleted": upsert.op == "delete"}
    return msgspec.convert(fields, Item)


def fold_profile(profile: Profile | None, upsert: Upsert, offset: int) -> Profile:
    """Returns the user's attributes after one upsert. An upsert at or before their version changes nothing."""
    if profile is not None and offset <= profile.version:
        return profile
    fields = _fields(profile, upsert, {"user_id", "version", "deleted"})
    fields |= {"user_id": upsert.id, "version": offset, "deleted": upsert.op == "delete"}
    return msgspec.convert(fields, Profile)


def _fields(view: Item | Profile | None, upsert: Upsert, derived: set[str]) -> dict[str, Any]:
    if upsert.op == "delete":
        return {}
    if upsert.op == "put" or view is None:
        return merge_patch({}, upsert.fields)
    current: dict[str, Any] = msgspec.to_builtins(view)
    return merge_patch({key: value for key, value in current.items() if key not in derived}, upsert.fields)
