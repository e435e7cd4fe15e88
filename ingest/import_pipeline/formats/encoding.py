"""Recognises the encoding of a file by its first bytes, and names files that are no text at all."""

from __future__ import annotations

import codecs
import re
from typing import Final

from schemas.errors import ConfigurationInvalid

UNDECODABLE: Final = "\udcff"
"""Stands in decoded text before bytes that are not in the encoding, which follow as ``\\xe9``; no file can hold it."""
ERRORS: Final = "freshet-undecodable"
"""Name of the error handler that writes UNDECODABLE."""
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LABELS: Final = {"utf-8": "UTF-8", "cp1252": "Windows-1252", "utf-16-le": "UTF-16", "utf-16-be": "UTF-16"}
_CONTAINERS: Final = (
    (re.compile(rb"PK\x03\x04"), "a zip archive or an Excel workbook: unpack it, or save its sheet as CSV"),
    (re.compile(rb"\xd0\xcf\x11\xe0"), "an old Excel workbook: save its sheet as CSV"),
    (re.compile(rb"BZh[1-9]1AY&SY"), "packed with bzip2: unpack it, or pack it with gzip"),
    (re.compile(rb"\xfd7zXZ\0"), "packed with xz: unpack it, or pack it with gzip"),
    (re.compile(rb"\x28\xb5\x2f\xfd"), "packed with zstd: unpack it, or pack it with gzip"),
    (re.compile(rb"7z\xbc\xaf"), "a 7z archive: unpack it"),
    (re.compile(rb"PAR1\x15"), "a Parquet file: write it as CSV or JSON lines"),
    (re.compile(rb"SQLite format 3\0"), "an SQLite database: export its table as CSV"),
    (re.compile(rb"%PDF-\d"), "a PDF: save its table as CSV"),
    (re.compile(rb"\s*<(!doctype )?html", re.IGNORECASE), "a web page: the download may have asked for a login"),
)
_NUL_SHARE: Final = 0.25
"""Least share of zero bytes, at even or at odd places, that shows UTF-16 without a mark."""
_CHANCE: Final = 10
_CONTROLS: Final = bytes({*range(32), 127} - {*b"\t\n\r\x01\x1c\x1d\x1e\x1f"})
"""Control characters that are neither line ends nor delimiters."""
_CONTROL_SHARE: Final = 0.02
_FEW_CONTROLS: Final = 16
"""A text may hold some of them; the rows that do are refused one by one."""
_HIGH: Final = re.compile(rb"[\x80-\xff]+")
_LONG_RUN: Final = 3
"""Western text seldom has so many letters beyond ASCII in a row; Cyrillic, Chinese or Japanese text has."""
_LONG_RUNS_SHARE: Final = 0.2


def _escape(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return UNDECODABLE + "".join(f"\\x{byte:02x}" for byte in error.object[error.start : error.end]), error.end


codecs.register_error(ERRORS, _escape)


def container(head: bytes) -> str | None:
    """Says what a file is that begins with these bytes and is not text, with what to do; None for text."""
    known = next((kind for magic, kind in _CONTAINERS if magic.match(head)), None)
    if known is None and wide_encoding(head) is None and _is_binary(head):
        return "a binary file"
    return known


def _is_binary(head: bytes) -> bool:
    controls = len(head) - len(head.translate(None, _CONTROLS))
    return controls > max(_FEW_CONTROLS, len(head) * _CONTROL_SHARE)


def wide_encoding(head: bytes) -> str | None:
    """The UTF-16 or UTF-32 encoding of a file that begins with these bytes; None for any other."""
    marked = next((name for mark, name in _BOMS if head.startswith(mark)), None)
    if marked is not None:
        return marked if marked != "utf-8" else None
    pairs = len(head) // 2
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if max(even, odd) <= pairs * _NUL_SHARE or min(even, odd) > pairs // 100:
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def detect(head: bytes) -> str | None:
    """The encoding of a text that begins with these bytes; None if it is neither Unicode nor Western European."""
    wide = wide_encoding(head)
    if wide is not None:
        return wide
    text = codecs.getincrementaldecoder("utf-8")(ERRORS).decode(head)
    wrong = text.count(UNDECODABLE)
    right = len(text) - len(text.encode("ascii", "ignore")) - wrong
    if not wrong or right > wrong:
        return "utf-8"
    if not _is_western(head):
        return None
    # Letters of Western Europe are seldom UTF-8 by chance: then the file is UTF-8 with damaged lines.
    return "utf-8" if right * _CHANCE >= wrong else "cp1252"


def _is_western(head: bytes) -> bool:
    try:
        head.decode("cp1252")
    except UnicodeDecodeError:
        return False
    runs = [len(run) for run in _HIGH.findall(head)]
    return sum(run for run in runs if run >= _LONG_RUN) <= _LONG_RUNS_SHARE * sum(runs)


def known_encoding(name: str) -> str:
    """Returns the name of an encoding that a person chose; raises ConfigurationInvalid if Python has no such text encoding."""
    try:
        "a".encode(name)
        codecs.getincrementaldecoder(name)(ERRORS).decode(b"", final=True)
    except (LookupError, UnicodeError, TypeError) as error:
        raise ConfigurationInvalid(
            f"'{name}' is not an encoding; use one such as utf-8, utf-16, cp1252, cp1251, gbk or shift_jis"
        ) from error
    return codecs.lookup(name).name


def label(encoding: str) -> str:
    """The name of an encoding as people write it."""
    return _LABELS.get(encoding, encoding.upper())
