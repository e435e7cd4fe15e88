"""The file of the last known keys, so that a process that starts while the log is dead still knows whom to let in."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Final

import msgspec
import structlog

from schemas.access.view import AccessView
from schemas.configuration.addresses import Address

_log = structlog.get_logger(__name__)
_DECODER: Final = msgspec.json.Decoder(AccessView)
_ENCODER: Final = msgspec.json.Encoder()


def known_keys_file(folder: Path, log: Address) -> Path:
    """The path of the file for this log and site in a data folder; another log has another file."""
    name = blake2b(f"{log.url} {log.site}".encode(), digest_size=4).hexdigest()
    return folder / f"access-{name}.json"


class KnownKeys:
    """The file of an access view. It holds digests, never a key, and only its owner can read it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fault: str | None = None
        """Why the file could not be written the last time; None if it was."""

    def read(self) -> AccessView:
        """The view that was written last; the empty view if there is no file, or none that can be read."""
        try:
            return _DECODER.decode(self.path.read_bytes())
        except FileNotFoundError:
            return AccessView()
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            _log.warning("known_keys_unreadable", path=str(self.path), reason=str(error))
            return AccessView()

    def write(self, view: AccessView) -> None:
        """Replaces the file whole; a failure is kept in ``fault`` and logged, because the process goes on without."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._replace(_ENCODER.encode(view))
        except OSError as error:
            if self.fault is None:
                _log.warning("known_keys_not_written", path=str(self.path), reason=str(error))
            self.fault = f"the last known keys cannot be written to {self.path}: {error.strerror or error}"
        else:
            self.fault = None

    def _replace(self, content: bytes) -> None:
        # mkstemp makes files that only their owner can read or write.
        descriptor, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self.path)
        except BaseException:
            with suppress(OSError):
                Path(name).unlink()
            raise
