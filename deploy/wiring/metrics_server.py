"""Serves the metrics of a process that has no HTTP API of its own: a worker, or the schedule of jobs.

They are served with the same check of access as every API: from the first key on with a key that reads metrics, and on an
address that others reach not without one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from adapters.http import server as http_server
from adapters.http.application import build_application
from deploy.wiring.access import PATIENCE_SECONDS, is_loopback, open_access
from schemas.background import failing
from schemas.http.settings import HttpSettings


@contextmanager
def serving_metrics(settings: HttpSettings, host: str, port: int, otherwise: str) -> Iterator[None]:
    """Serves ``/metrics`` and health from a thread until the block ends.

    Raises PortInUse, whose sentence ends with ``otherwise``; and ConfigurationInvalid if others can reach the address and
    the site has no key. Call it in the main thread.
    """
    with http_server.listen(host, port, otherwise) as listening:
        # On this machine alone there is nothing to refuse, so nothing to wait for.
        patience = 0.0 if is_loopback(host) else PATIENCE_SECONDS
        with open_access(settings, host, only_reads=True, patience=patience) as access:
            app = build_application("Freshet metrics", [], _missing, access=access, docs=settings.docs)
            with http_server.serving(app, listening, settings, trusted_proxies=settings.trusted_proxies):
                yield


async def _missing() -> list[str]:
    return failing()
