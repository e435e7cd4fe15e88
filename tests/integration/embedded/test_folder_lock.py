"""One nearline writer a folder."""

from __future__ import annotations

import pytest

from adapters.files.folder_lock import folder_lock
from schemas.errors import FolderLocked

HOLD = """
import sys, time
from pathlib import Path
from adapters.files.folder_lock import folder_lock
with folder_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_process_is_told_the_pid_of_the_first(tmp_path, python):
    holder = python(HOLD, tmp_path)
    holder.stdout.readline()
    with pytest.raises(FolderLocked, match=rf"in use by the process with pid {holder.pid}\b"), folder_lock(tmp_path):
        pass


def test_a_holder_that_was_killed_holds_nothing(tmp_path, python):
    holder = python(HOLD, tmp_path)
    holder.stdout.readline()
    holder.kill()
    holder.wait()
    with folder_lock(tmp_path):
        pass


def test_the_lock_is_let_go_at_the_end(tmp_path):
    with folder_lock(tmp_path / "new"):
        pass
    with folder_lock(tmp_path / "new"):
        pass
