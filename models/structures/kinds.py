"""The registry of model kinds. Each class of ``models`` that declares a ``kind`` is discovered."""

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
    """A stored value of a version, which can be encoded and decoded."""

    kind: ClassVar[str]

    def save(self) -> bytes:
        """Returns the model as bytes."""

    @classmethod
    def load(cls, data: bytes) -> Self:
        """Reads the bytes of ``save``. Raises Undecodable."""


@cache
def kinds() -> Mapping[str, type[Model]]:
    """Returns the model classes by kind."""
    packages = pkgutil.walk_packages(models.__path__, f"{models.__name__}.")
    modules = (importlib.import_module(package.name) for package in packages)
    return {model_class.kind: model_class for module in modules for model_class in _classes(module)}


def load_model(data: bytes) -> Any:
    """Returns a model of any kind. Raises Undecodable for an unknown kind."""
    kind = kind_of(data)
    model_class = kinds().get(kind)
    if model_class is None:
        raise Undecodable(f"not a stored model: there is no kind '{kind}'; known are {', '.join(sorted(kinds()))}")
    return model_class.load(data)


def _classes(module: ModuleType) -> list[type[Model]]:
    own = (
        member for member in vars(module).values() if isinstance(member, type) and member.__module__ == module.__name__
    )
    return [member for member in own if isinstance(vars(member).get("kind"), str)]
