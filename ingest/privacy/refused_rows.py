"""Takes rows that name a person out of the files of rows that imports refused."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path


def rewrite_lines(path: Path, ids: Collection[str]) -> None:
    """Replaces a file of JSON lines by one without those that name one of these ids; raises OSError."""
    lines = path.read_bytes().splitlines(keepends=True)
    kept = [line for line in lines if not _names(line, ids)]
    if len(kept) < len(lines):
        unfinished = path.with_suffix(".erasing")
        unfinished.write_bytes(b"".join(kept))
        unfinished.replace(path)


def _names(line: bytes, ids: Collection[str]) -> bool:
    try:
        row = json.loads(line).get("row")
    except (ValueError, AttributeError):
        return any(id_.encode() in line for id_ in ids)
    cells = row.values() if isinstance(row, dict) else [row]
    return any(id_ == str(cell) or (len(id_) > 7 and id_ in str(cell)) for cell in cells for id_ in ids)
