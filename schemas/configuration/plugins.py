"""A site's own modules, which add candidate sources and algorithms. `FRESHET_PLUGINS` names them.

The registries of sources and algorithms read the declarations of these modules like those of their own folders.
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
    """Imports these modules, and forgets earlier ones; returns the names. Raises ValueError for a missing module."""
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
    """The declarations by name, in their order; raises ConfigurationInvalid if two have the same name."""
    by_name: dict[str, N] = {}
    for declaration in declarations:
        if declaration.name in by_name:
            raise ConfigurationInvalid(f"there are two {kind} named '{declaration.name}': rename the one of the plugin")
        by_name[declaration.name] = declaration
    return by_name
