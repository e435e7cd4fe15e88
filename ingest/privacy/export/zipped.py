"""Writes an export as a zip, chunk by chunk: a chunk is made when it is asked for, so memory does not grow with the history."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from io import RawIOBase
from time import gmtime
from typing import Final, cast
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import msgspec

from ingest.privacy.export.contents import ExportContents, Line
from ingest.privacy.export.readme import readme
from ingest.privacy.export.stores import Check, ExportStores
from schemas.ports import Clock

CHUNK: Final = 65_536
"""Bytes of a chunk, about."""
_ENCODER: Final = msgspec.json.Encoder()
_NAMES: Final = ("lists", "attributes", "signals", "events", "answers")
"""The files, in the order in which they are written: guests and sessions are found for ``signals``."""


class _Sink(RawIOBase):
    """Keeps what is written until it is taken."""

    def __init__(self) -> None:
        super().__init__()
        self._written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object, /) -> int:
        view = memoryview(cast("bytes", data))
        self._written += view
        return view.nbytes

    @property
    def size(self) -> int:
        """Bytes that wait."""
        return len(self._written)

    def take(self) -> bytes:
        """Returns what was written since the last call."""
        taken = bytes(self._written)
        self._written.clear()
        return taken


def export_chunks(
    open_stores: Callable[[], AbstractContextManager[ExportStores]], user_id: str, clock: Clock, check: Check
) -> Iterator[bytes]:
    """The bytes of a zip with all that is held on a user. The stores are open while it is read.

    Raises FreshetError and OSError: before the first chunk if a store is away, later if it goes away meanwhile.
    """
    with open_stores() as stores:
        contents = ExportContents(stores, user_id, check)
        contents.probe()
        members = {name: getattr(contents, name)() for name in _NAMES}
        yield from zip_chunks(readme(user_id, clock()), members, clock())


def zip_chunks(text: str, members: dict[str, Iterator[Line]], now: float) -> Iterator[bytes]:
    """A zip of a README and a file of JSON lines for each member. Lines are read when there is room for them."""
    sink = _Sink()
    with ZipFile(sink, "w", ZIP_DEFLATED) as archive:
        archive.writestr(_info("README.txt", now), text)
        yield sink.take()
        for name, lines in members.items():
            yield from _member(archive, _info(f"{name}.jsonl", now), lines, sink)
    yield sink.take()


def _member(archive: ZipFile, info: ZipInfo, lines: Iterable[Line], sink: _Sink) -> Iterator[bytes]:
    # A file may become larger than 2 GiB, and its size is not known when it begins.
    with archive.open(info, "w", force_zip64=True) as member:
        for line in lines:
            member.write(_ENCODER.encode(line) + b"\n")
            if sink.size >= CHUNK:
                yield sink.take()


def _info(name: str, now: float) -> ZipInfo:
    info = ZipInfo(name, gmtime(now)[:6])
    info.compress_type = ZIP_DEFLATED
    return info
