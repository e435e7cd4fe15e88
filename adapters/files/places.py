"""Opens an address that fsspec reaches (``s3://…``, ``gs://…``, ``memory://…``, a folder), and names the failures of its drivers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import fsspec

from schemas.errors import ConfigurationInvalid, FreshetError


def open_place(url: str, holds: str) -> tuple[Any, str]:
    """The file system of an address and the root in it; raises ConfigurationInvalid. ``holds`` names what is kept there."""
    try:
        files, root = fsspec.core.url_to_fs(url)
    except (ValueError, ImportError) as error:
        raise ConfigurationInvalid(f"'{url}' is no place for {holds}: {error}") from error
    return files, root.rstrip("/")


@contextmanager
def naming_failures(named: Callable[[str], FreshetError], *passed: type[Exception]) -> Iterator[None]:
    """Raises each failure of a driver as ``named(reason)``, except named errors and those of the kinds ``passed``."""
    unchanged: tuple[type[Exception], ...] = (FreshetError, *passed)
    try:
        yield
    except unchanged:
        raise
    except Exception as error:  # the errors of fsspec's drivers have no common base
        raise named(str(error) or type(error).__name__) from error
