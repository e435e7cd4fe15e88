"""What Redis offers at its addresses: signals, the nonces beside them, and erasure."""

from __future__ import annotations

from typing import Final

from adapters.redis.erasure import scrub
from adapters.redis.nonces import nonce_store
from adapters.redis.signals import prepare, signal_reader, signal_store
from adapters.registry import Adapter

ADAPTER: Final = Adapter(
    ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster"),
    signal_store=signal_store,
    signal_reader=signal_reader,
    nonce_store=nonce_store,
    prepare=prepare,
    scrub=scrub,
)
"""Signals at ``redis://host:port/database``, on a socket at ``unix://path``, behind sentinels at
``redis+sentinel://host:port,host:port/service/database``, in a cluster at ``redis+cluster://host:port,host:port``.
``rediss`` in the place of ``redis`` is with TLS."""
