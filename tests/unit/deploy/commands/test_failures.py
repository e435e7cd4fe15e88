"""A failure that a user can mend becomes one sentence; other failures stay as they are."""

import errno
import os

import pytest

from deploy.commands.failures import as_sentence


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
def test_a_folder_that_cannot_be_written_is_named_with_advice(code: int) -> None:
    sentence = as_sentence(OSError(code, os.strerror(code), "/some/folder"))

    assert sentence is not None
    assert "/some/folder" in sentence
    assert "--data" in sentence


def test_a_failed_write_that_names_no_file_still_gets_advice() -> None:
    assert "the data folder" in (as_sentence(OSError(errno.ENOSPC, "No space left on device")) or "")


def test_a_missing_driver_says_which_command_installs_it() -> None:
    assert "make dev" in (as_sentence(ModuleNotFoundError("no", name="confluent_kafka.admin")) or "")


@pytest.mark.parametrize("error", [ModuleNotFoundError("no", name="schemas.gone"), OSError(errno.EPIPE, "broken")])
def test_a_failure_of_the_program_itself_is_not_hidden(error: ImportError | OSError) -> None:
    assert as_sentence(error) is None
