"""Failures of Python and of the operating system that a user can mend, as one sentence."""

from __future__ import annotations

import errno
from typing import Final

from schemas.configuration.drivers import missing_driver

DISK_ADVICE: Final = {
    errno.ENOSPC: "make room on that disk, or choose another folder with --data",
    errno.EDQUOT: "make room in your quota, or choose another folder with --data",
    errno.EROFS: "choose a folder that can be written with --data",
    errno.EACCES: "give yourself the right to it, or choose another folder with --data",
}


def as_sentence(error: ImportError | OSError) -> str | None:
    """A sentence that says what happened and what to do; None if a user cannot mend the failure."""
    if isinstance(error, ImportError):
        return missing_driver(error)
    advice = DISK_ADVICE.get(error.errno or 0)
    if advice is None:
        return None
    return f"{error.filename or 'the data folder'}: {error.strerror}; {advice}"
