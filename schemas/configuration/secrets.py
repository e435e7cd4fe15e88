"""Secrets in settings: where they come from, and how addresses are shown without them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import EnvSettingsSource

from schemas.errors import ConfigurationInvalid

SUFFIX: Final = "_FILE"
"""After the name of a secret's variable, this names a file that holds the secret: a secret of Docker or Kubernetes."""
MASK: Final = "***"
_PASSWORD: Final = re.compile(r"(?<=://)(?<!sqlite://)(?<!file://)\S*@")
"""Everything up to the last @ of an address: a password that is not escaped may contain any character."""
_IN_QUERY: Final = re.compile(r"(?i)([?&][^=&\s]*(?:password|secret|token|key)[^=&\s]*=)[^&\s]*")


class MayHoldPassword:
    """Marks a setting whose URL may contain a password: it is shown without it, and may come from a file."""


def is_secret(field: FieldInfo) -> bool:
    """True if a setting is a secret, or an address that may contain one."""
    is_marked = any(mark is MayHoldPassword or isinstance(mark, MayHoldPassword) for mark in field.metadata)
    return is_marked or "SecretStr" in str(field.annotation) or field.annotation is SecretStr


def masked(text: str) -> str:
    """A text with the passwords of the URLs in it replaced: ``redis://ann:***@host``."""
    return _IN_QUERY.sub(rf"\1{MASK}", _PASSWORD.sub(_masked_user, text))


def _masked_user(found: re.Match[str]) -> str:
    user, colon, _ = found.group().partition(":")
    return f"{user}:{MASK}@" if colon else f"{MASK}@"


class SecretFiles(EnvSettingsSource):
    """Reads secrets from the files that ``FRESHET_<NAME>_FILE`` variables name, without a line break at their end.

    Raises ConfigurationInvalid if a file cannot be read, or if a secret is set in both ways.
    """

    def __call__(self) -> dict[str, Any]:
        """The secrets, by the name of their setting."""
        secrets = {name: self._read(name) for name, field in self.settings_cls.model_fields.items() if is_secret(field)}
        return {name: text for name, text in secrets.items() if text is not None}

    def _read(self, name: str) -> str | None:
        variable = f"{self.env_prefix}{name}"
        path = self.env_vars.get((variable + SUFFIX).lower())
        if not path:
            return None
        shown = f"{variable}{SUFFIX}".upper()
        if self.env_vars.get(variable.lower()):
            raise ConfigurationInvalid(f"{variable.upper()} and {shown} are both set: keep one of them")
        try:
            return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationInvalid(
                f"{shown}: {path} cannot be read as text ({error}): name a file with the secret"
            ) from error
