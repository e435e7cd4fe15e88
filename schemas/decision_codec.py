"""The bytes of decision records on the ``answers`` topic: packed by column, and deflated.

Every answer leaves a record, so records are small: item ids and sources are numbers in a table, scores are 32-bit where
that loses nothing. The ``recommendation_id`` stays readable in front, so that a search need not unpack each record.
Records of earlier versions are JSON, and are read as before.
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import islice
from operator import attrgetter
from typing import Final

import msgspec

from schemas.answers import DecidedItem, Decision, Reason, RecommendationRequest, SourceOutcome
from schemas.errors import Undecodable

_VERSION: Final = b"\x01"
"""First byte of a packed record; JSON begins with a brace."""
_WINDOW_BITS: Final = -13
_MEMORY: Final = 7
"""A larger window and more memory take longer to prepare, and make these short texts hardly smaller."""
_LEVEL: Final = 6
_SHARES: Final = 10_000
"""Shares have four decimals."""

_OFTEN: Final = (
    "precomputed fold_in ease similar user_knn session_knn revisits covisitation bought_together search content"
    " trending_hour trending_day trending_fortnight trending_in_context popular new_hour new cluster_popular cold_items"
    " popular_in_segment explore boost pin dislike dismiss unlike bookmark share comment dwell rating purchase cart like"
    " view click device:tablet device:mobile device:desktop country:US now count user_id anonymous_id session_id item_id"
    " context attributes default recommendations"
)
_ENCODER: Final = msgspec.msgpack.Encoder()
_DICTIONARY: Final = _ENCODER.encode(
    [{name: [outcome, 200] for name in _OFTEN.split()[:21]} for outcome in ("skipped", "ok")] + _OFTEN.split()
)
"""What most records repeat. A record cannot be read with another dictionary: a change needs a new ``_VERSION``."""


class _Reasons(msgspec.Struct, array_like=True, gc=False):
    """The reasons of all items, by column; ``counts`` says how many are each item's."""

    counts: list[int]
    names: list[str]
    sources: list[int]
    shares: bytes
    """16-bit numbers of ten-thousandths, or 64-bit floats where a share has more decimals."""
    seeds: list[int | None]


class _Packed(msgspec.Struct, array_like=True, gc=False):
    """A record without its id. ``ids`` holds each item id once; other columns hold positions in it."""

    route: str
    generated_at: datetime
    request: RecommendationRequest
    ids: list[str]
    items: list[int]
    scores: bytes
    propensities: list[float]
    """Empty where all are 1."""
    reasons: _Reasons
    model_version: str | None
    signals_offset: str | None
    aggregates_version: str
    catalogue_version: str
    config_id: str
    variant: str
    degraded: list[str]
    sources: dict[str, tuple[str, int]]
    inputs: dict[str, bytes]
    next_cursor: str | None
    same_as: str | None


_UNCHANGED: Final = tuple(
    name
    for name in _Packed.__struct_fields__
    if name in Decision.__struct_fields__ and name not in {"items", "sources"}
)
"""The fields of a record that are packed as they are."""
_VALUES: Final = attrgetter(*_UNCHANGED)
_DECODER: Final = msgspec.msgpack.Decoder(_Packed)
_JSON_DECODER: Final = msgspec.json.Decoder(Decision)


def encode_decision(decision: Decision) -> bytes:
    """The record as bytes."""
    name = decision.recommendation_id.encode()
    deflater = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW_BITS, _MEMORY, zlib.Z_DEFAULT_STRATEGY, _DICTIONARY)
    body = deflater.compress(_ENCODER.encode(_packed(decision))) + deflater.flush()
    return b"".join((_VERSION, len(name).to_bytes(2), name, body))


def decode_decision(value: bytes) -> Decision:
    """The decision record of a log entry. Raises Undecodable where the bytes are not one."""
    try:
        return _unpack(value) if value.startswith(_VERSION) else _JSON_DECODER.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, zlib.error, ValueError, LookupError) as error:
        raise Undecodable(f"not a decision record: {error}") from error


def _packed(decision: Decision) -> _Packed:
    ids, items = _Table(), decision.items
    propensities = [item.propensity for item in items]
    return _Packed(
        items=ids.positions(item.item_id for item in items),
        scores=_pack_floats([item.score for item in items]),
        propensities=propensities if any(each != 1.0 for each in propensities) else [],
        reasons=_pack_reasons(items, ids),
        ids=list(ids.position_of),
        sources={name: (source.outcome, source.candidates) for name, source in decision.sources.items()},
        **dict(zip(_UNCHANGED, _VALUES(decision), strict=True)),
    )


def _unpack(value: bytes) -> Decision:
    begin = 3 + int.from_bytes(value[1:3])
    inflater = zlib.decompressobj(_WINDOW_BITS, _DICTIONARY)
    packed = _DECODER.decode(inflater.decompress(value[begin:]) + inflater.flush())
    return Decision(
        recommendation_id=value[3:begin].decode(),
        items=_unpack_items(packed),
        sources={name: SourceOutcome(*source) for name, source in packed.sources.items()},
        **dict(zip(_UNCHANGED, _VALUES(packed), strict=True)),
    )


class _Table:
    """Gives each text a number, the same one to the same text."""

    def __init__(self) -> None:
        self.position_of: dict[str, int] = {}

    def positions(self, texts: Iterable[str]) -> list[int]:
        table = self.position_of
        return [table.setdefault(text, len(table)) for text in texts]

    def optional_positions(self, texts: Iterable[str | None]) -> list[int | None]:
        table = self.position_of
        return [None if text is None else table.setdefault(text, len(table)) for text in texts]


def _pack_reasons(items: Sequence[DecidedItem], ids: _Table) -> _Reasons:
    reasons, names = [reason for item in items for reason in item.reasons], _Table()
    return _Reasons(
        counts=[len(item.reasons) for item in items],
        sources=names.positions(reason.source for reason in reasons),
        names=list(names.position_of),
        shares=_pack_shares([reason.share for reason in reasons]),
        seeds=ids.optional_positions(reason.item_id for reason in reasons),
    )


def _unpack_items(packed: _Packed) -> list[DecidedItem]:
    ids, columns = packed.ids, packed.reasons
    shares = _unpack_shares(columns.shares, len(columns.sources))
    reasons = (
        Reason(columns.names[source], share, None if seed is None else ids[seed])
        for source, share, seed in zip(columns.sources, shares, columns.seeds, strict=True)
    )
    propensities = packed.propensities or [1.0] * len(packed.items)
    return [
        DecidedItem(ids[item], score, list(islice(reasons, count)), propensity)
        for item, score, count, propensity in zip(
            packed.items, _unpack_floats(packed.scores, len(packed.items)), columns.counts, propensities, strict=True
        )
    ]


def _pack_shares(shares: list[float]) -> bytes:
    whole = [round(share * _SHARES) for share in shares]
    if all(0 <= number <= _SHARES and number / _SHARES == share for number, share in zip(whole, shares, strict=True)):
        return array("H", whole).tobytes()
    return array("d", shares).tobytes()


def _unpack_shares(data: bytes, count: int) -> list[float]:
    if len(data) == 2 * count:
        return [number / _SHARES for number in _array("H", data)]
    return _array("d", data)


def _pack_floats(values: list[float]) -> bytes:
    """The values as 32-bit floats (little-endian, as on every processor that we run on), or 64-bit where they are none."""
    narrow = array("f", values)
    return (narrow if narrow.tolist() == values else array("d", values)).tobytes()


def _unpack_floats(data: bytes, count: int) -> list[float]:
    return _array("f" if len(data) == 4 * count else "d", data)


def _array(typecode: str, data: bytes) -> list[float]:
    values: array[float] = array(typecode)
    values.frombytes(data)
    return values.tolist()
