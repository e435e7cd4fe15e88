"""The site's secret: from the settings, or from a file that an embedded site makes for itself."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

from schemas.errors import ConfigurationInvalid
from schemas.http.settings import MIN_SECRET, HttpSettings

FILE: Final = "access-secret"


def site_secret(settings: HttpSettings) -> bytes:
    """The site's secret. Embedded, it is made in the data folder at first use; a cluster without the setting has none (empty).

    Raises ConfigurationInvalid if the file cannot be read, made, or is too short.
    """
    given = settings.access_secret.get_secret_value()
    if given or settings.stack == "cluster":
        return given.encode()
    path = settings.data / FILE
    try:
        with suppress(FileExistsError):
            _make(path)
        secret = path.read_bytes().strip()
    except OSError as error:
        raise ConfigurationInvalid(f"the site's secret in {path} cannot be used ({error.strerror or error})") from error
    if len(secret) < MIN_SECRET:
        raise ConfigurationInvalid(f"{path} is too short to be the site's secret: remove it, and it is made anew")
    return secret


def _make(path: Path) -> None:
    """Makes the file, which only its owner can read; raises FileExistsError if there is one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Linked into place whole: another process that starts now must not read half of it.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32))
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)
    finally:
        temporary.unlink()
