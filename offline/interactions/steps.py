"""The SQL files of the steps, in order. A file is named after the table that it creates, and reads earlier tables."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple

_FILE: Final = re.compile(r"^\d\d_(\w+)\.sql$")
_PARAMETER: Final = re.compile(r"(?<![:\w]):([a-z_]+)")
_READ: Final = re.compile(r"\b(?:FROM|JOIN)\s+(\w+)")
_COMMENT: Final = re.compile(r"--[^\n]*")


class SqlStep(NamedTuple):
    """One step, read from its SQL file."""

    table: str
    """The table that it creates."""
    sql: str
    """Its SQL in Spark's dialect."""
    parameters: frozenset[str]
    """The named parameters that it takes."""
    reads: frozenset[str]
    """The tables that it reads."""


@cache
def steps() -> tuple[SqlStep, ...]:
    """Returns all steps, in order of the numbers of their files. Besides earlier tables they read ``records`` and ``weights``."""
    sql_files = sorted(files("offline.interactions").iterdir(), key=lambda file: file.name)
    return tuple(_step(match[1], file.read_text()) for file in sql_files if (match := _FILE.match(file.name)))


def _step(table: str, sql: str) -> SqlStep:
    statement = _COMMENT.sub("", sql)
    return SqlStep(table, sql, frozenset(_PARAMETER.findall(statement)), frozenset(_READ.findall(statement)))
