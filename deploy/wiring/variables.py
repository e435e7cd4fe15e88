"""Finds variables of the environment that begin with ``FRESHET_`` and have no effect: most often they are mistyped.

The names are read from the tiers' ``config.py`` without importing them: a collector need not load what serving ranks with.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Final

import structlog

from schemas.configuration.secrets import SUFFIX
from schemas.configuration.settings import Stack

PREFIX: Final = "FRESHET_"
_ROOT: Final = Path(__file__).parents[2]
_SETTINGS: Final = (
    "schemas/configuration/settings.py",
    "schemas/configuration/server_settings.py",
    "schemas/http/connection_settings.py",
    "schemas/http/settings.py",
    *(f"{tier}/config.py" for tier in ("deploy", "ingest", "nearline", "offline", "serving")),
)
_OF_TESTS_AND_STACK: Final = frozenset({"CASES", "DATASETS", "REQUIRE_STACK", "STACK_JARS"})
"""What the local stack, the tests and the benchmarks read beside all settings."""
_BENCH: Final = "BENCH_"
_SERVERS: Final = ("FRESHET_KAFKA", "FRESHET_REDIS", "FRESHET_CASSANDRA")
"""The addresses of the cluster's servers."""

_log = structlog.get_logger(__name__)


def warn_of_variables_without_effect(stack: Stack) -> None:
    """Log a warning for every variable that has no effect on this stack; a process calls it once, when it starts."""
    for sentence in (*unknown_in_environment(), *unused_servers(os.environ, stack)):
        _log.warning("variable_without_effect", message=sentence)


def unused_servers(environment: Mapping[str, str], stack: Stack) -> list[str]:
    """A sentence where servers are named but the stack does not use them; none where the site has chosen a stack."""
    named = [name for name in _SERVERS if name in environment]
    if stack == "cluster" or not named or f"{PREFIX}STACK" in environment:
        return []
    return [f"{', '.join(named)} without effect on the embedded stack: set FRESHET_STACK=cluster to use these servers"]


def unknown_in_environment() -> list[str]:
    """A sentence for each variable of this process's environment that nothing reads."""
    return unknown_variables(os.environ)


def unknown_variables(names: Collection[str]) -> list[str]:
    """A sentence for each of these names that begins as Freshet's variables do and that nothing reads."""
    return [_sentence(name) for name in sorted(names) if name.startswith(PREFIX) and not _is_known(name)]


@cache
def declared_variables() -> frozenset[str]:
    """The variables of all tiers' settings."""
    fields = (field for path in _SETTINGS for field in _fields((_ROOT / path).read_text(encoding="utf-8")))
    return frozenset(PREFIX + field.upper() for field in fields)


def _fields(source: str) -> Iterator[str]:
    """The fields of the classes of a module."""
    for definition in ast.parse(source).body:
        for statement in definition.body if isinstance(definition, ast.ClassDef) else ():
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                yield statement.target.id


def _is_known(name: str) -> bool:
    short = name.removeprefix(PREFIX)
    return (
        not declared_variables().isdisjoint((name, name.removesuffix(SUFFIX)))
        or short in _OF_TESTS_AND_STACK
        or short.startswith(_BENCH)
    )


def _sentence(name: str) -> str:
    similar = get_close_matches(name, declared_variables(), 1, cutoff=0.8)
    return f"nothing reads {name}" + (f": is it meant to be {similar[0]}?" if similar else "")
