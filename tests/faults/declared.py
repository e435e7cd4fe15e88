"""All declared faults, by name. A module of ``rows`` that has FAULTS adds to them."""

from __future__ import annotations

import importlib
from functools import cache
from pathlib import Path

from tests.faults.run import Fault


@cache
def faults() -> dict[str, Fault]:
    """Returns the faults of all modules of ``rows``, in the order of their numbers."""
    modules = sorted(path.stem for path in (Path(__file__).parent / "rows").glob("*.py"))
    declared = [fault for name in modules for fault in importlib.import_module(f"tests.faults.rows.{name}").FAULTS]
    return {fault.name: fault for fault in sorted(declared, key=lambda fault: fault.number)}
