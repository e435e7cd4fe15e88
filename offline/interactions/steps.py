"""The SQL files, in order: each reads the tables before it and is named after the table it makes."""

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
    """One step: the table it makes, its SQL in Spark's dialect, which named parameters it takes, and what it reads."""

    table: str
    sql: str
    parameters: frozenset[str]
    reads: frozenset[str]


@cache
def steps() -> tuple[SqlStep, ...]:
    """Every step, in the order of the files' numbers; the first reads ``records``, a later one ``weights`` too."""
    found = sorted(files("offline.interactions").iterdir(), key=lambda file: file.name)
    return tuple(_step(match[1], file.read_text()) for file in found if (match := _FILE.match(file.name)))


def _step(table: str, sql: str) -> SqlStep:
    bare = _COMMENT.sub("", sql)
    return SqlStep(table, sql, frozenset(_PARAMETER.findall(bare)), frozenset(_READ.findall(bare)))
