"""A fence says by which release it was written."""

import pytest

from schemas.errors import FormatUnknown
from schemas.keys import VALUE_FORMAT, fence_text, require_known_format
from schemas.log.fence import Fence


@pytest.mark.parametrize("text", [b"7@log", b"-1@v9:log", f"v{VALUE_FORMAT}:7@log".encode(), b"vandal", b""])
def test_fences_of_this_release_and_earlier_ones_are_known(text):
    require_known_format(text)


def test_a_fence_of_a_later_release_is_named_with_what_to_do():
    with pytest.raises(FormatUnknown, match=f"format {VALUE_FORMAT + 1}.*upgrade this process"):
        require_known_format(f"v{VALUE_FORMAT + 1}:7@log".encode())


def test_the_release_before_reads_what_this_one_writes():
    assert fence_text(Fence("log", 7)) == "7@log"


def test_a_fence_is_reached_by_one_at_its_offset_or_later_on_its_log():
    fence = Fence("log", 7)
    assert [fence.is_reached_by(other) for other in (Fence("log", 7), Fence("log", 9))] == [True, True]
    assert [fence.is_reached_by(other) for other in (Fence("log", 6), Fence("other", 9), None)] == [False] * 3
