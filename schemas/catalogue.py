"""Items and users: the fields that a site sends, and the current view that the tiers keep."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema

from schemas.errors import Undecodable
from schemas.events import Number, ZonedTime
from schemas.values.ids import Id
from schemas.values.integers import TOO_LONG, beyond_64_bits

Label = Annotated[str, Field(min_length=1, max_length=128)]
WebAddress = Annotated[str, StringConstraints(max_length=2_048, pattern=r"^https?://[^\s\x00-\x1f\x7f-\x9f]+$")]
"""An absolute address of the web; a page may show it as a link or an image."""
Attributes = Annotated[dict[str, Any], Field(max_length=128)]

MAX_DEPTH: Final = 32
"""Most levels of objects and lists in an upsert. A deeper value could be read, but not written again."""


class ItemFields(BaseModel):
    """The fields of an item; all are optional."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    title: Annotated[str, Field(max_length=1_024)] | None = None
    description: Annotated[str, Field(max_length=20_000)] | None = None
    categories: Annotated[list[Label], Field(max_length=64)] | None = None
    tags: Annotated[list[Label], Field(max_length=128)] | None = None
    price: Annotated[Number, Field(ge=0, strict=True), WithJsonSchema({"type": "number", "minimum": 0})] | None = None
    url: WebAddress | None = None
    image_url: WebAddress | None = None
    published_at: ZonedTime | None = None
    hidden: Annotated[bool, Field(strict=True)] | None = None
    available_from: ZonedTime | None = None
    available_until: ZonedTime | None = None
    attributes: Attributes | None = None


SHOWN_FIELDS: Final = tuple(
    name for name in ItemFields.model_fields if name not in {"hidden", "available_from", "available_until"}
)
"""The fields of an item that lists of recommendations show."""


class ItemUpsert(ItemFields):
    """An item with its id, for the bulk call."""

    item_id: Id


class UserFields(BaseModel):
    """The fields of a user. Ages and places are generalized before they reach the log."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    attributes: Attributes | None = None


class Upsert(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One change of an item or a user, in its form on the log.

    ``put`` replaces, ``patch`` is an RFC 7396 merge patch, ``delete`` removes.
    """

    id: str
    op: Literal["put", "patch", "delete"]
    fields: dict[str, Any] = {}
    received_at: datetime


class Item(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The current view of an item. ``version`` is the log offset of its last change, ``first_at`` the time of its first."""

    item_id: str
    title: str | None = None
    description: str | None = None
    categories: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    price: float | None = None
    url: str | None = None
    image_url: str | None = None
    published_at: datetime | None = None
    hidden: bool = False
    available_from: datetime | None = None
    available_until: datetime | None = None
    attributes: dict[str, Any] = {}
    version: int = -1
    first_at: datetime | None = None
    deleted: bool = False


class Profile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The current view of a user's attributes."""

    user_id: str
    attributes: dict[str, Any] = {}
    version: int = -1
    deleted: bool = False


_UPSERT = msgspec.json.Decoder(Upsert)
_ITEM = msgspec.json.Decoder(Item)
_PROFILE = msgspec.json.Decoder(Profile)


def encode_upsert(upsert: Upsert) -> bytes:
    """The change as JSON."""
    return msgspec.json.encode(upsert)


def decode_upsert(value: bytes) -> Upsert:
    """Reads a change from the log; raises Undecodable if the bytes are not one."""
    try:
        upsert = _UPSERT.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Undecodable(f"not an item or user: {error}") from error
    if _deeper(upsert.fields, MAX_DEPTH):
        raise Undecodable(f"not an item or user: its fields are nested deeper than {MAX_DEPTH}")
    if beyond_64_bits(upsert.fields):
        raise Undecodable(f"not an item or user: it {TOO_LONG}")
    return upsert


def _deeper(value: Any, limit: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    members = value.values() if isinstance(value, dict) else value
    return limit == 0 or any(_deeper(member, limit - 1) for member in members)


def encode_view(view: Item | Profile) -> bytes:
    """A view as JSON, in its form in the store."""
    return msgspec.json.encode(view)


def decode_item(value: bytes) -> Item:
    """Reads an item's view from the store."""
    return _ITEM.decode(value)


def decode_profile(value: bytes) -> Profile:
    """Reads a user's view from the store."""
    return _PROFILE.decode(value)
