"""A bucket of passivated guests answers as a dictionary of keys and checksums does."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.keys import anonymous_key, is_guest_key, session_key, user_key
from schemas.values.passivated import (
    ALL_BUCKETS,
    Bucket,
    bucket_key,
    checksum_of,
    decode_bucket,
    encode_bucket,
    is_bucket_key,
    is_held,
)

KEYS = [f"a:guest{number}" for number in range(12)]
steps = st.lists(st.tuples(st.sampled_from(["add", "remove"]), st.sets(st.sampled_from(KEYS)), st.integers(0, 9)))


@given(steps)
def test_it_holds_what_was_added_and_not_removed(steps):
    bucket, expected = Bucket(), {}
    for number, (what, keys, before) in enumerate(steps):
        if what == "add":
            added = {key: checksum_of(f"{key} {number}".encode()) for key in keys}
            bucket = bucket.added(added, before)
            expected |= added
        else:
            bucket = bucket.removed(keys)
            expected = {key: checksum for key, checksum in expected.items() if key not in keys}
        bucket = decode_bucket(encode_bucket(bucket))
    assert {key: bucket.checksum(key) for key in KEYS} == {key: expected.get(key) for key in KEYS}
    assert len(bucket) == len(expected)


@given(st.permutations(KEYS))
def test_its_bytes_do_not_depend_on_the_order_of_guests(keys):
    bucket = Bucket()
    for key in keys:
        bucket = bucket.added({key: checksum_of(key.encode())}, 7)
    assert bucket == Bucket().added({key: checksum_of(key.encode()) for key in KEYS}, 7)


def test_it_takes_twelve_bytes_a_guest_and_none_when_it_is_empty():
    bucket = Bucket().added({key: checksum_of(b"") for key in KEYS}, 1_000)
    assert len(encode_bucket(bucket)) <= 12 * len(KEYS) + 10
    assert encode_bucket(bucket.removed(KEYS)) is None


def test_the_offset_before_which_its_records_lie_never_goes_back():
    assert Bucket().added({}, 9).added({}, 4).removed([]).before == 9


@pytest.mark.parametrize("data", [b"", b"\xc1", msgspec.msgpack.encode([3, b"cut"])])
def test_bytes_that_are_no_bucket_are_refused(data):
    with pytest.raises(msgspec.MsgspecError):
        decode_bucket(data)


def test_the_key_of_a_bucket_is_the_key_of_nobody():
    assert all(bucket_key(key) in ALL_BUCKETS for key in KEYS)
    assert all(is_bucket_key(key) and not is_guest_key(key) for key in ALL_BUCKETS)
    keys = [user_key("passivated:00"), anonymous_key("passivated:00"), session_key("x")]
    assert [is_bucket_key(key) for key in keys] == [False, False, False]
    assert [is_guest_key(key) for key in keys] == [False, True, True]


def test_a_value_that_was_let_go_counts_as_held():
    bucket = encode_bucket(Bucket().added({KEYS[0]: checksum_of(b"value")}, 1))
    held = [is_held(KEYS[0], b"value", None), is_held(KEYS[0], None, bucket), is_held(KEYS[0], None, b"\xc1")]
    assert held == [True, True, True]
    assert [is_held(KEYS[1], None, bucket), is_held(KEYS[0], None, None)] == [False, False]
