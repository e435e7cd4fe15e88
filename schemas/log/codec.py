"""The codec of events on the log: JSON."""

from __future__ import annotations

from typing import Final

import msgspec

from schemas.errors import Undecodable
from schemas.events import MAX_AHEAD, MAX_CLOCK_ERROR, LoggedEvent
from schemas.values.integers import TOO_LONG, beyond_64_bits

_EVENT_ENCODER: Final = msgspec.json.Encoder()
_EVENT_DECODER: Final = msgspec.json.Decoder(LoggedEvent)


def encode_event(event: LoggedEvent) -> bytes:
    """The event as one line of JSON."""
    return _EVENT_ENCODER.encode(event)


def decode_event(value: bytes, timestamp_ms: int | None = None) -> LoggedEvent:
    """Reads an event from the log; raises Undecodable if the bytes are not one.

    With ``timestamp_ms``, the time at which the log received it, its times are judged too. An event that is ahead of its
    ``received_at`` did not come through a collector: it would outweigh all other events in a decayed count. The clocks of
    the log and of the reader do not judge again what a collector has accepted, unless ``received_at`` is far ahead of both.
    """
    try:
        event = _EVENT_DECODER.decode(value)
        if beyond_64_bits(event.position) or beyond_64_bits(event.context) or beyond_64_bits(event.properties):
            raise Undecodable(f"not an event: it {TOO_LONG}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Undecodable(f"not an event: {error}") from error
    if not event.partition_key:
        raise Undecodable("not an event: it names no user_id, anonymous_id or session_id")
    if timestamp_ms is not None:
        _check_times(event, timestamp_ms / 1_000)
    return event


def _check_times(event: LoggedEvent, logged_at: float) -> None:
    if event.occurred_at - event.received_at > MAX_AHEAD:
        raise Undecodable(f"occurred_at {event.occurred_at.isoformat()} is ahead of received_at")
    if event.received_at.timestamp() - logged_at > MAX_CLOCK_ERROR.total_seconds():
        raise Undecodable(f"received_at {event.received_at.isoformat()} is ahead of the log's own time")
