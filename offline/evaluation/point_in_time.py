"""The archive as it was at an earlier time. A split by time must not see later events."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import duckdb

_QUERY: Final = """
COPY (
    SELECT *
    FROM read_parquet($files, hive_partitioning = false)
    WHERE epoch_us(TRY_CAST(json_extract_string(TRY_CAST(TRY(decode(value)) AS JSON), '$.occurred_at') AS TIMESTAMP)) <= $until_us
) TO $target (FORMAT parquet)
"""


def copy_until(files: Sequence[str], moment: float, target: Path) -> str:
    """Copies the archived events that occurred up to a moment (seconds since 1970). Returns the path of the new file.

    Raises duckdb.Error if a file cannot be read.
    """
    arguments = {"files": list(files), "until_us": round(moment * 1e6), "target": str(target)}
    with duckdb.connect() as connection:
        connection.execute("SET autoinstall_known_extensions = false")
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(_QUERY, arguments)
    return str(target)
