"""The code of the release before this one, unpacked from the history of this repository."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from functools import cache
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LAST_WITHOUT_TAG = "06560b1329d552044de0b59ef5394108df8d974c"
"""The state of the main branch that counts as the release before, until a release is tagged."""


class HistoryMissing(Exception):
    """The history has no release before this one, as in a shallow clone or an unpacked archive."""


@cache
def previous_release() -> Path:
    """Returns a folder with the code of the release before; its compiled loops are ready. Raises HistoryMissing."""
    commit = os.environ.get("FRESHET_BENCH_PREVIOUS") or _last_tag() or LAST_WITHOUT_TAG
    archived = _git("archive", "--format=tar", commit)
    if archived is None:
        raise HistoryMissing(
            f"the history of this repository lacks {commit}: fetch it with `git fetch --unshallow --tags`"
        )
    folder = Path(tempfile.mkdtemp(prefix="freshet-previous-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with tarfile.open(fileobj=BytesIO(archived)) as tar:
        tar.extractall(folder, filter="data")
    subprocess.run(
        [sys.executable, "-c", "from serving.arrays import kernels; kernels.prepare()"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        check=True,
    )
    return folder


def _last_tag() -> str | None:
    """The newest tag before the present commit."""
    described = _git("describe", "--tags", "--abbrev=0", "HEAD^")
    return described.decode().strip() if described else None


def _git(*arguments: str) -> bytes | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=False)
    except OSError:
        return None
    return done.stdout if done.returncode == 0 and done.stdout else None
