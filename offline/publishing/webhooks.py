"""Sends notices of new models by signed webhooks, in the format of https://www.standardwebhooks.com.

The version is already active when a notice is sent, so an unavailable receiver delays nothing.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Final, Literal, Self

import msgspec
import stamina
import structlog

from offline.metrics import WEBHOOKS
from schemas.errors import ConfigurationInvalid, NotDelivered
from schemas.ports import Clock, Poster

NoticeKind = Literal[
    "model.published", "model.promoted", "model.rolled_back", "training.failed", "training.refused", "export.failed"
]

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - what every secret begins with
TRIES: Final = 5
TRY_SECONDS: Final = 5.0
TOTAL_SECONDS: Final = 20.0
"""Time limit for one receiver, in seconds. Receivers are notified in parallel."""

_log = structlog.get_logger()


class Notice(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """A notice of a model change or failure."""

    type: NoticeKind
    version: str | None
    """The version that is now active. None for a failed or refused training."""
    previous: str | None
    """The previously active version. For a failed or refused training: the one that stays active."""
    at: datetime
    message: str = ""
    """Reason of a failure or refusal."""

    @classmethod
    def of(cls, kind: NoticeKind, version: str | None, previous: str | None, now: float, message: str = "") -> Self:
        """Returns a notice of the time ``now``, in seconds since 1970."""
        return cls(type=kind, version=version, previous=previous, at=datetime.fromtimestamp(now, UTC), message=message)


Tell = Callable[[Notice], int]
"""Sends a notice. Returns the number of failed deliveries."""


def nobody(_: Notice) -> int:
    """Sends no notice."""
    return 0


def signature(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """Returns the ``webhook-signature`` header: ``v1,`` and the HMAC-SHA256 of ``id.timestamp.body`` in base64."""
    signed = b".".join((message_id.encode(), str(timestamp).encode(), body))
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


def key_of(secret: str) -> bytes:
    """Returns the key of a secret such as ``whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw``; raises ConfigurationInvalid."""
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not (secret.startswith(SECRET_PREFIX) and len(key) >= 16):
        raise ConfigurationInvalid(
            f"FRESHET_WEBHOOK_SECRET must be {SECRET_PREFIX} and at least 16 bytes in base64: "
            f"`echo {SECRET_PREFIX}$(openssl rand -base64 24)` makes one"
        )
    return key


class Webhooks:
    """Posts notices to every URL. Raises ConfigurationInvalid for an invalid URL or secret."""

    def __init__(
        self,
        post: Poster,
        urls: Sequence[str],
        secret: str,
        clock: Clock,
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        wrong = [url for url in urls if not url.startswith(("https://", "http://"))]
        if wrong:
            raise ConfigurationInvalid(f"FRESHET_WEBHOOKS: '{wrong[0]}' is not an address; it begins with https://")
        self._post, self._urls, self._clock, self._new_id = post, tuple(urls), clock, new_id
        self._key = key_of(secret) if urls else b""

    def tell(self, notice: Notice) -> int:
        """Posts to all receivers in parallel. Returns the number of failed deliveries; these raise nothing."""
        if not self._urls:
            return 0
        message_id, body = f"msg_{self._new_id()}", msgspec.json.encode(notice)
        with ThreadPoolExecutor(len(self._urls), "webhook") as pool:
            delivered = list(pool.map(lambda url: self._deliver(url, message_id, body), self._urls))
        return delivered.count(False)

    def _deliver(self, url: str, message_id: str, body: bytes) -> bool:
        try:
            for attempt in stamina.retry_context(
                on=_worth_another, attempts=TRIES, timeout=TOTAL_SECONDS, wait_max=4.0
            ):
                with attempt:
                    self._post(url, self._headers(message_id, body), body, TRY_SECONDS)
        except NotDelivered as error:
            WEBHOOKS.labels("failed").inc()
            _log.warning("webhook_not_delivered", url=url, message_id=message_id, reason=str(error))
            return False
        WEBHOOKS.labels("delivered").inc()
        return True

    def _headers(self, message_id: str, body: bytes) -> dict[str, str]:
        """Returns the headers. The id is the same for all attempts, so that a receiver can drop duplicates."""
        timestamp = int(self._clock())
        return {
            "content-type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(self._key, message_id, timestamp, body),
        }


def _worth_another(error: Exception) -> bool:
    return isinstance(error, NotDelivered) and not error.final
