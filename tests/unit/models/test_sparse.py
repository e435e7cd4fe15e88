"""Entries of rows as plain arrays."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.sparse import numbered


@given(st.lists(st.integers(0, 9), max_size=30))
def test_distinct_values_are_numbered_and_every_entry_finds_its_own(entries):
    distinct, which = numbered(np.array(entries, np.int32), 10)
    assert sorted(distinct.tolist()) == sorted(set(entries))
    assert distinct[which].tolist() == entries
