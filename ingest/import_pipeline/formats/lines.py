"""Reads a text file line by line: plain or gzip, in any encoding, with any line ends."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import IO, Final, cast

from ingest.import_pipeline.base import RowFaults, SourceLine
from ingest.import_pipeline.formats.encoding import ERRORS, UNDECODABLE, container, wide_encoding
from schemas.errors import DatasetUnknown

SAMPLE_BYTES: Final = 1 << 20
"""Bytes of a file's beginning by which its form is found."""
_CHUNK: Final = 1 << 18
_LONGEST_LINE: Final = 1 << 25
"""Most characters of a line. A longer one shows that the file is no text of rows."""
_GZIP: Final = b"\x1f\x8b"
_BOM: Final = "\ufeff"


def head(path: Path, size: int = SAMPLE_BYTES) -> bytes:
    """The first bytes of a file, unpacked. Raises DatasetUnknown if it cannot be read or is not text."""
    with _opened(path) as (_, unpacked), _damage(path):
        begin = unpacked.read(size)
    kind = container(begin)
    if kind is not None:
        raise DatasetUnknown(f"{path} is {kind}")
    return begin


def lines(path: Path, encoding: str, faults: RowFaults) -> Iterator[str]:
    """The lines of a file, without their ends. A line that is not in the encoding is a fault and returned empty.

    UTF-16 and UTF-32 are recognised whatever ``encoding`` is. Raises DatasetUnknown if the file cannot be read.
    """
    encoding = wide_encoding(head(path, 4_096)) or encoding
    return chain.from_iterable(_decoded(_blocks(path, encoding, faults), path.name, encoding, faults))


def _decoded(blocks: Iterator[list[str]], file: str, encoding: str, faults: RowFaults) -> Iterator[list[str]]:
    """The blocks, with an empty line for each that is not in the encoding."""
    count = 0
    for block in blocks:
        for place in [place for place, line in enumerate(block) if UNDECODABLE in line]:
            text = block[place].replace(UNDECODABLE, "")
            faults.note(SourceLine(file, count + place + 1), f"is not {encoding} text", "encoding", text)
            block[place] = ""
        count += len(block)
        yield block


def sample_lines(path: Path, encoding: str, limit: int, size: int = SAMPLE_BYTES) -> list[str]:
    """The first lines of a file, without a last one that the sample cuts."""
    begin = head(path, size)
    decoder = _decoder(wide_encoding(begin) or encoding)
    if len(begin) < size:
        return _split(decoder.decode(begin, final=True))[:limit]
    return _split(decoder.decode(begin))[:-1][:limit]


def _blocks(path: Path, encoding: str, faults: RowFaults) -> Iterator[list[str]]:
    """The lines of a file, many at once: dividing text is far cheaper in blocks."""
    decoder, rest = _decoder(encoding), ""
    with _opened(path) as (raw, unpacked), _damage(path):
        total = path.stat().st_size
        while chunk := unpacked.read(_CHUNK):
            faults.watch(path.name, raw.tell(), total)
            block = _split(rest + decoder.decode(chunk))
            rest = block.pop()
            if len(rest) > _LONGEST_LINE:
                raise DatasetUnknown(
                    f"{path} has a line of more than {_LONGEST_LINE:,} characters: it is no file of rows"
                )
            yield block
        # A CR at the end was held back, because LF might have followed.
        rest = (rest + decoder.decode(b"", final=True)).removesuffix("\n")
        if rest:
            yield _split(rest)
        faults.watch(path.name, total, total)


def _split(text: str) -> list[str]:
    divided = text.split("\n")
    # Joined exports have a byte order mark in the middle too.
    return [line.removeprefix(_BOM) for line in divided] if _BOM in text else divided


def _decoder(encoding: str) -> io.IncrementalNewlineDecoder:
    """Decodes chunks of bytes; CR and CRLF become LF."""
    return io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(encoding)(ERRORS), translate=True)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """A file, and the same unpacked if it is gzip. Raises DatasetUnknown if it cannot be opened."""
    try:
        raw = path.open("rb")
    except OSError as error:
        raise DatasetUnknown(f"{path} cannot be read: {error.strerror}") from error
    with raw:
        packed = raw.peek(2)[:2] == _GZIP
        yield raw, cast("IO[bytes]", gzip.GzipFile(fileobj=raw)) if packed else raw


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    try:
        yield
    except (EOFError, zlib.error, OSError) as error:
        raise DatasetUnknown(f"{path} is damaged ({error}); fetch it again") from error
