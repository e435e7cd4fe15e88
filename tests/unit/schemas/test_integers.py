from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import Undecodable
from schemas.log.codec import decode_event
from schemas.values.integers import beyond_64_bits

VALUES = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text() | st.integers(-(2**70), 2**70),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=12,
)


def leaves(value):
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return [value] if members is None else [leaf for member in members for leaf in leaves(member)]


@given(VALUES)
def test_a_value_is_beyond_64_bits_exactly_if_one_of_its_integers_is(value):
    integers = [leaf for leaf in leaves(value) if type(leaf) is int]
    assert beyond_64_bits(value) == any(not -(2**63) <= number < 2**64 for number in integers)


@given(VALUES)
def test_what_is_not_beyond_64_bits_can_be_stored_in_signals(value):
    if not beyond_64_bits(value):
        msgspec.msgpack.encode(value)


@pytest.mark.parametrize("field", ['"position":%d', '"properties":{"a":[%d]}', '"context":{"country":%d}'])
@pytest.mark.parametrize(
    ("number", "fits"), [(2**63 - 1, True), (2**64 - 1, True), (2**64, False), (-(2**63) - 1, False)]
)
def test_an_event_with_an_integer_beyond_64_bits_is_not_decoded(field, number, fits):
    times = '"occurred_at":"2026-01-01T00:00:00Z","received_at":"2026-01-01T00:00:00Z"'
    value = f'{{"event_id":"e","type":"view","user_id":"u","item_id":"i",{times},{field % number}}}'.encode()
    if fits:
        assert decode_event(value).event_id == "e"
    else:
        with pytest.raises(Undecodable, match="64 bits; send it as text"):
            decode_event(value)
