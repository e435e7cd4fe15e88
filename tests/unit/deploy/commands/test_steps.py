from __future__ import annotations

import pytest

from deploy.commands.common import in_words


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("interactions: deduplicated", "finding out who had what"),
        ("interactions on Spark", "finding out who had what"),
        ("training ials", "learning ials"),
        ("archiving events", "copying to the archive: events"),
        ("lists of users", "choosing each person's list"),
        ("comparing inputs", "comparing inputs"),
    ],
)
def test_a_step_is_told_in_plain_words(step, words):
    assert in_words(step) == words
