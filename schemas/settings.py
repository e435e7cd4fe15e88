"""How every process reads its settings, and says which one cannot be used."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from schemas.errors import ConfigurationInvalid

S = TypeVar("S", bound=BaseModel)


def read_settings(settings: type[S]) -> S:
    """The settings of this process; raises ConfigurationInvalid that names the variable."""
    try:
        return settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]).removeprefix("FRESHET_").upper()
        raise ConfigurationInvalid(f"FRESHET_{name}: {first['msg']}") from error


def comma_separated(value: Any) -> Any:
    """A list's text as its parts without blanks; anything else as it is."""
    return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value
