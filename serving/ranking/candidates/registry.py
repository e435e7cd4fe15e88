"""Every candidate source by name: those that a module of this folder or a plugin declares as ``SOURCE`` or ``SOURCES``."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from types import ModuleType

from schemas.configuration.plugins import by_unique_name, plugins
from serving.ranking import candidates
from serving.ranking.candidates.source import CandidateSource


def candidate_sources() -> Mapping[str, CandidateSource]:
    """The sources in the order in which their scores are summed; raises ConfigurationInvalid where two have one name."""
    return _discovered(plugins())


@cache
def _discovered(plugin_modules: tuple[ModuleType, ...]) -> Mapping[str, CandidateSource]:
    names = sorted(module.name for module in pkgutil.iter_modules(candidates.__path__))
    modules = [importlib.import_module(f"{candidates.__name__}.{name}") for name in names]
    declared = [source for module in (*modules, *plugin_modules) for source in _declared(module)]
    return by_unique_name(sorted(declared, key=lambda source: (source.order, source.name)), "candidate sources")


def _declared(module: object) -> tuple[CandidateSource, ...]:
    single: CandidateSource | None = getattr(module, "SOURCE", None)
    return (single,) if single else getattr(module, "SOURCES", ())
