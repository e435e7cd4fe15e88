"""A site's own modules, which add candidate sources and algorithms. `FRESHET_PLUGINS` names them.

The registries of sources and algorithms look into these modules as they do into the modules of their own folders.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from types import ModuleType
from typing import Protocol, TypeVar

from schemas.errors import ConfigurationInvalid


class Named(Protocol):
    """A declaration with a name."""

    @property
    def name(self) -> str:
        """The name; unique in its registry."""
        ...


N = TypeVar("N", bound=Named)
_loaded: dict[str, ModuleType] = {}


def load_plugins(names: tuple[str, ...]) -> tuple[str, ...]:
    """Imports these modules in place of those loaded before; returns the names. Raises ValueError for a missing one."""
    modules: dict[str, ModuleType] = {}
    for name in names:
        try:
            modules[name] = import_module(name)
        except ImportError as error:
            raise ValueError(f"the module '{name}' cannot be imported: {error}") from error
    _loaded.clear()
    _loaded.update(modules)
    return names


def plugins() -> tuple[ModuleType, ...]:
    """The modules that the settings name, in their order."""
    return tuple(_loaded.values())


def by_unique_name(declarations: Iterable[N], kind: str) -> dict[str, N]:
    """The declarations by name, in their order. Raises ConfigurationInvalid where two have one name."""
    named: dict[str, N] = {}
    for declaration in declarations:
        if declaration.name in named:
            raise ConfigurationInvalid(f"there are two {kind} named '{declaration.name}': rename the one of the plugin")
        named[declaration.name] = declaration
    return named
