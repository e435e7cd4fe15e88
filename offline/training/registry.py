"""All algorithms by name. They are discovered: each module of this folder or plugin that declares one is found."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from types import ModuleType
from typing import Any

from offline import training
from offline.training.algorithm import Algorithm
from schemas.configuration.plugins import by_unique_name, plugins
from schemas.errors import ConfigurationInvalid


def algorithms() -> Mapping[str, Algorithm[Any]]:
    """Returns the algorithms by name. Modules declare them as ``ALGORITHM`` or ``ALGORITHMS``, and are sorted by name.

    Raises ConfigurationInvalid if two algorithms have the same name.
    """
    return _discovered(plugins())


@cache
def _discovered(plugin_modules: tuple[ModuleType, ...]) -> Mapping[str, Algorithm[Any]]:
    packaged = pkgutil.walk_packages(training.__path__, f"{training.__name__}.")
    names = sorted((module.name for module in packaged), key=lambda name: name.rpartition(".")[2])
    modules = [*map(importlib.import_module, names), *plugin_modules]
    single = [module.ALGORITHM for module in modules if hasattr(module, "ALGORITHM")]
    several = [algorithm for module in modules for algorithm in getattr(module, "ALGORITHMS", ())]
    return by_unique_name((*single, *several), "algorithms")


def algorithm(name: str) -> Algorithm[Any]:
    """Returns the algorithm of this name. Raises ConfigurationInvalid."""
    known = algorithms().get(name)
    if known is None:
        raise ConfigurationInvalid(f"'{name}' is not an algorithm; choose from {', '.join(algorithms())}")
    return known
