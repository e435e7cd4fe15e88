"""The fault table of reliability.md, made from tests/faults/results/*.json."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

HEAD: Final = ("#", "fault", "must hold", "cluster", "embedded")
NOT_RUN: Final = "–"
_UNNUMBERED: Final = 99


def rows(folder: Path) -> list[tuple[str, ...]]:
    """Returns the cells of each fault, in the order of its number; the results of a stack stand in one column."""
    by_fault: dict[str, dict[str, Any]] = {}
    for stack, row in _results(folder):
        by_fault.setdefault(row["fault"], {})[stack] = row
    ordered = sorted(by_fault.items(), key=lambda item: (_number(item[1]), item[0]))
    return [_cells(fault, by_stack) for fault, by_stack in ordered]


def _results(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted(folder.glob("*.json")):
        result = json.loads(path.read_bytes())
        for row in result["rows"]:
            yield result["stack"], row | {"commit": result["commit"]}


def _number(by_stack: dict[str, Any]) -> int:
    return min(row.get("number") or _UNNUMBERED for row in by_stack.values())


def _cells(fault: str, by_stack: dict[str, Any]) -> tuple[str, ...]:
    number = _number(by_stack)
    must = next((row["must"] for row in by_stack.values() if row.get("must")), "")
    cells = (_cell(by_stack[stack]) if stack in by_stack else NOT_RUN for stack in ("cluster", "embedded"))
    return ("" if number == _UNNUMBERED else str(number), fault, must, *cells)


def _cell(row: dict[str, Any]) -> str:
    counts = [row[name] for name in ("lost", "doubled", "wrong", "server_errors")]
    told = " / ".join(f"{count:,}" for count in counts)
    parts = [f"{row['repetitions']} ×, {row['acknowledged']:,} events: {f'**{told}**' if any(counts) else told}"]
    if row["longest_stall_s"] is not None:
        parts.append(f"stall {row['longest_stall_s']:.1f} s")
    if row["recovered_s"] is not None:
        parts.append(f"whole again in {row['recovered_s']:.1f} s")
    return f"{', '.join(parts)} ({row['commit'][:7]})"
