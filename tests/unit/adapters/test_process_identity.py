from __future__ import annotations

import os
import subprocess
import sys

import pytest

from adapters.files import process_identity
from adapters.files.process_identity import identity, is_gone

pytestmark = pytest.mark.skipif(not identity(), reason="this system has no /proc")


@pytest.fixture
def sleeper():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def test_a_process_that_lives_is_not_gone(sleeper):
    assert not is_gone(identity())
    assert not is_gone(identity(sleeper.pid))


def test_a_killed_process_is_gone_at_once_even_before_its_parent_has_noticed(sleeper):
    known = identity(sleeper.pid)
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)  # a zombie now
    assert is_gone(known)
    sleeper.wait()
    assert is_gone(known)


def test_another_process_with_the_same_number_is_not_the_one_that_was_known():
    assert is_gone(identity().replace(process_identity._started(os.getpid()), "1"))


@pytest.mark.parametrize("known", ["", "pid 7", "[]", '["", 1, "2"]', '["another boot", 1, "2"]'])
def test_of_other_machines_and_earlier_versions_nobody_can_tell(known):
    assert not is_gone(known)
