"""Every candidate source by name: each module of this folder that declares ``SOURCE`` or ``SOURCES``."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache

from serving.ranking import candidates
from serving.ranking.candidates.source import CandidateSource


@cache
def candidate_sources() -> Mapping[str, CandidateSource]:
    """The sources in the order in which their scores are summed."""
    names = sorted(module.name for module in pkgutil.iter_modules(candidates.__path__))
    modules = [importlib.import_module(f"{candidates.__name__}.{name}") for name in names]
    declared = [source for module in modules for source in _declared(module)]
    return {source.name: source for source in sorted(declared, key=lambda source: (source.order, source.name))}


def _declared(module: object) -> tuple[CandidateSource, ...]:
    single: CandidateSource | None = getattr(module, "SOURCE", None)
    return (single,) if single else getattr(module, "SOURCES", ())
