"""Notices of ``forget``: a worker that empties a user's value tells the erasure, which then reaches all other places."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import TimeoutError as ConfirmationTimeout
from hashlib import blake2b

from schemas.erasures import ForgetNotice, encode_notice
from schemas.errors import LogUnavailable
from schemas.log import topics
from schemas.log.records import LogEntry
from schemas.ports import LogWriter

ForgetSink = Callable[[ForgetNotice], None]
"""Takes the notice of each ``forget`` that is applied, and blocks until it is confirmed; raises LogUnavailable.

A worker that dies before its commit gives the notice again.
"""


def no_notice(_: ForgetNotice) -> None:
    """Takes a notice to nobody, as where the log is folded only to compare."""


class LogForgetSink:
    """Appends notices to the topic of erasures, keyed by a hash of their subject."""

    def __init__(self, writer: LogWriter, timeout: float = 15.0) -> None:
        self._writer, self._timeout = writer, timeout

    def __call__(self, notice: ForgetNotice) -> None:
        """Block until the notice is confirmed. Raises LogUnavailable if it is not within the timeout (s)."""
        key = blake2b(notice.subject.encode(), digest_size=8).hexdigest().encode()
        appended = self._writer.append(topics.ERASURES, [LogEntry(key, encode_notice(notice))])
        try:
            [outcome] = appended.result(timeout=self._timeout)
        except ConfirmationTimeout as error:
            raise LogUnavailable(f"no confirmation of a forget's notice within {self._timeout:g} s") from error
        if isinstance(outcome, Exception):
            raise outcome
