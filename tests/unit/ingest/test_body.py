from __future__ import annotations

import gzip
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.http.body import gunzip
from ingest.validation.jsontext import parse
from schemas.http.problems import ProblemError


def test_gzip_of_one_or_several_members_is_unpacked():
    assert gunzip(gzip.compress(b"ab") + gzip.compress(b"") + gzip.compress(b"cd"), 4) == b"abcd"
    assert gunzip(b"", 4) == b""


def test_a_bomb_is_refused_without_unpacking_it():
    bomb = gzip.compress(b"0" * 50_000_000, 1)
    tracemalloc.start()
    with pytest.raises(ProblemError) as refused:
        gunzip(bomb, 1_048_576)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert refused.value.status == 413
    assert peak < 8_000_000


def test_members_add_up_to_the_same_limit():
    with pytest.raises(ProblemError) as refused:
        gunzip(gzip.compress(b"abc") * 2, 5)
    assert refused.value.status == 413


@pytest.mark.parametrize(
    "data", [b"plain", gzip.compress(b"abcd" * 99, mtime=0)[:-3], gzip.compress(b"ab", mtime=0) + b"rest"]
)
def test_what_is_no_whole_gzip_is_a_bad_request(data):
    with pytest.raises(ProblemError) as refused:
        gunzip(data, 1_000)
    assert refused.value.status == 400


@given(st.binary(max_size=300))
def test_any_bytes_are_unpacked_or_refused(data):
    try:
        status = 200 if len(gunzip(data, 100)) <= 100 else 500
    except ProblemError as error:
        status = error.status
    assert status in {200, 400, 413}


@given(st.binary(max_size=300) | st.text().map(str.encode))
def test_any_bytes_are_parsed_or_refused(data):
    try:
        parse(data)
    except ValueError as error:
        str(error).encode()


@pytest.mark.parametrize(
    "data", [b"[" * 5_000, b"[" * 5_000 + b"]" * 5_000, b"1" * 5_000, b'{"a":' * 2_000, b"nul", b"\xff"]
)
def test_json_that_breaks_parsers_is_refused(data):
    with pytest.raises(ValueError):
        parse(data)
