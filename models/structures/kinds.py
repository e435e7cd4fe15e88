"""Every kind of model by its name: a file in this folder whose class has a ``kind`` is found by itself."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from types import ModuleType
from typing import Any, ClassVar, Protocol, Self

import models
from models.structures.arrays import kind_of
from schemas.errors import Undecodable


class Model(Protocol):
    """What is stored of a version: a value that becomes bytes and back."""

    kind: ClassVar[str]

    def save(self) -> bytes:
        """The model as bytes."""

    @classmethod
    def load(cls, data: bytes) -> Self:
        """Read what ``save`` wrote; raises Undecodable."""


@cache
def kinds() -> Mapping[str, type[Model]]:
    """The classes by kind."""
    found = pkgutil.walk_packages(models.__path__, f"{models.__name__}.")
    modules = (importlib.import_module(each.name) for each in found)
    return {each.kind: each for module in modules for each in _classes(module)}


def load_model(data: bytes) -> Any:
    """A model of any kind; raises Undecodable where the bytes are of none."""
    kind = kind_of(data)
    found = kinds().get(kind)
    if found is None:
        raise Undecodable(f"not a stored model: there is no kind '{kind}'; known are {', '.join(sorted(kinds()))}")
    return found.load(data)


def _classes(module: ModuleType) -> list[type[Model]]:
    own = (each for each in vars(module).values() if isinstance(each, type) and each.__module__ == module.__name__)
    return [each for each in own if isinstance(vars(each).get("kind"), str)]
