"""Every algorithm in this folder, by name."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from typing import Any

from offline import training
from offline.training.algorithm import Algorithm
from schemas.errors import ConfigurationInvalid


@cache
def algorithms() -> Mapping[str, Algorithm[Any]]:
    """Those whose module declares an ``ALGORITHM`` (or several in ``ALGORITHMS``), in alphabetical order of modules."""
    found = pkgutil.walk_packages(training.__path__, f"{training.__name__}.")
    names = sorted((each.name for each in found), key=lambda name: name.rpartition(".")[2])
    modules = [importlib.import_module(name) for name in names]
    single = [module.ALGORITHM for module in modules if hasattr(module, "ALGORITHM")]
    several = [each for module in modules for each in getattr(module, "ALGORITHMS", ())]
    return {each.name: each for each in (*single, *several)}


def algorithm(name: str) -> Algorithm[Any]:
    """The algorithm of this name; raises ConfigurationInvalid."""
    found = algorithms().get(name)
    if found is None:
        raise ConfigurationInvalid(f"'{name}' is not an algorithm; choose from {', '.join(algorithms())}")
    return found
