"""When erasures make a rebuild of the signals due."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.erasures import REBUILDS, REBUILT, decode_times, encode_times, rebuilds_due
from schemas.errors import Undecodable


class Noted:
    """Documents with these contents."""

    def __init__(self, **times: list[float]) -> None:
        self._times = times

    def read(self, name: str) -> bytes | None:
        key = {REBUILDS: "due", REBUILT: "rebuilt"}[name]
        return encode_times(self._times[key]) if key in self._times else None


moments = st.integers(0, 20).map(float)


@given(st.lists(moments), moments, moments)
def test_a_rebuild_is_due_for_each_date_that_has_passed_since_the_last_one(dates, rebuilt, now):
    due = rebuilds_due(Noted(due=dates, rebuilt=[rebuilt]), now)  # type: ignore[arg-type]
    assert due == len([date for date in dates if date <= now and date > rebuilt])


def test_without_erasures_none_is_due_and_before_the_first_rebuild_all_dates_count():
    assert rebuilds_due(Noted(), 7.0) == 0  # type: ignore[arg-type]
    assert rebuilds_due(Noted(due=[1.0, 5.0, 9.0]), 7.0) == 2  # type: ignore[arg-type]


def test_what_is_no_list_of_times_is_said():
    with pytest.raises(Undecodable, match="not times of rebuilds"):
        decode_times(b"[null]")
