"""What a model makes once of its values before it is asked: indexes, products, other layouts."""

from __future__ import annotations

from functools import cached_property
from typing import Any, TypeVar

T = TypeVar("T")


class prepared(cached_property[T]):  # noqa: N801 - used like ``cached_property``
    """A cached property that ``prepare`` makes, so that no request waits until it is made."""


def prepare(model: Any) -> None:
    """Makes the ``prepared`` properties of a model, and of the models that it holds."""
    for name in _names(type(model)):
        getattr(model, name)
    for value in list(vars(model).values()):
        if hasattr(value, "save") and hasattr(value, "__dict__"):
            prepare(value)


def _names(kind: type) -> list[str]:
    return [name for base in kind.__mro__ for name, value in vars(base).items() if isinstance(value, prepared)]
