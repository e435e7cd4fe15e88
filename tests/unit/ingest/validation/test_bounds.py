"""What one cheap body may cost: counted before it is walked, and without paths."""

from __future__ import annotations

import gzip
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.http import body
from ingest.http.body import gunzip
from ingest.validation import bounds, generalize
from ingest.validation.bounds import MAX_VALUES, NestedFault, check_nested, members, overfull_field
from ingest.validation.jsontext import containers
from ingest.validation.validate import Rejection, policy, validate_event, validate_item
from schemas.http.problems import ProblemError

VIEW = {"type": "view", "user_id": "ann", "item_id": "portal-2"}

values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=20,
)


class Unwalkable(list):
    """A list that may be counted, and fails where somebody looks at its members."""

    def __iter__(self):
        raise AssertionError("this list was walked")


def all_members(value):
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return sum(1 + all_members(member) for member in inner)


@given(values, st.integers(0, 30))
def test_members_are_counted_exactly_up_to_the_limit(value, limit):
    count, exact = members(value, limit), all_members(value)
    assert count == exact if exact <= limit else limit < count <= exact


def test_a_list_beyond_the_limit_is_never_walked(monkeypatch):
    monkeypatch.setattr(bounds, "_CONTAINERS", frozenset({dict, list, Unwalkable}))
    assert overfull_field({"properties": {"k" * 200_000: Unwalkable([0] * 250_000)}}) == "properties"


def test_an_event_with_more_values_than_fit_is_refused_by_its_field(noon):
    refused_properties = {"k" * 1_000: [0] * 250_000}
    with pytest.raises(Rejection, match="more than 10,000 values") as refused:
        validate_event({**VIEW, "properties": refused_properties}, noon, lambda: "id", policy())
    assert (refused.value.field, refused.value.code) == ("properties", "too-many-values")
    with pytest.raises(Rejection, match="more than 10,000 values"):
        validate_item({"item_id": "a", "categories": [0] * 250_000}, noon)


def test_an_event_with_just_as_many_values_as_fit_is_taken(noon):
    vector = [0.5] * (MAX_VALUES - len(VIEW) - 2)
    assert validate_event({**VIEW, "properties": {"vector": vector}}, noon, lambda: "id", policy()).id == "id"


def test_a_large_context_is_refused_before_its_members_are_validated(noon):
    with pytest.raises(Rejection, match="9,000 members; at most 32") as refused:
        validate_event({**VIEW, "context": {str(i): [] for i in range(9_000)}}, noon, lambda: "id", policy())
    assert refused.value.field == "context"


def test_a_path_is_put_together_for_a_fault_alone():
    class Name(str):
        __slots__ = ()

        def __str__(self):
            raise AssertionError("a path was made")

    check_nested({Name("a"): [1, 2, {Name("b"): "c"}]})
    with pytest.raises(NestedFault) as fault:
        check_nested({"a": [1, {"b": math.nan}]})
    assert fault.value.path_from("properties") == "properties.a.1.b"


def test_long_names_are_not_remembered():
    before = generalize._cached_normal.cache_info().currsize
    assert generalize.normal("E_Mail" * 50_000) == "email" * 50_000
    assert generalize._cached_normal.cache_info().currsize == before
    assert generalize.normal("E-Mail") == "email"


def test_gzip_members_are_bounded_and_each_is_read_once():
    with pytest.raises(ProblemError, match="more than 2,000 members") as refused:
        gunzip(gzip.compress(b"") * 52_000, 1_048_576)
    assert refused.value.status == 413
    assert gunzip(gzip.compress(b"x" * 500) * body.MAX_MEMBERS, 1_048_576) == b"x" * 500 * body.MAX_MEMBERS


@given(st.lists(st.binary(max_size=20_000), max_size=4))
def test_members_of_any_size_are_joined(parts):
    packed = b"".join(gzip.compress(part, level) for level, part in enumerate(parts))
    assert gunzip(packed, 100_000) == b"".join(parts)


@given(values)
def test_containers_are_counted_outside_of_strings(value):
    text = json.dumps([value, '{"[\\', "\\"])
    assert containers(text.encode(), 0) == 1 + sum(1 for _ in _containers(value))


def _containers(value):
    if isinstance(value, dict | list):
        yield value
        for member in value.values() if isinstance(value, dict) else value:
            yield from _containers(member)


@pytest.mark.parametrize("data", [b'{"' * 400_000, b'\\"' * 400_000, b'["\\' * 300_000])
def test_strings_without_an_end_are_counted_in_one_pass(data):
    assert containers(data, 0) <= 400_000
