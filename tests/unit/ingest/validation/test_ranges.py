from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.validation import validate
from ingest.validation.fast_path import accept_simple_event
from ingest.validation.jsontext import parse
from ingest.validation.validate import Rejection, policy, validate_event
from schemas.log.codec import decode_event
from schemas.values.rating_scale import DEFAULT_SCALE, RatingScale

EVENT = {"event_id": "e", "user_id": "ann", "item_id": "portal-2"}


@pytest.fixture
def take(noon):
    return lambda raw, scale=DEFAULT_SCALE: validate_event({**EVENT, **raw}, noon, str, policy(scale=scale))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"type": "rating", "value": 5.5}, "value"),
        ({"type": "rating", "value": -1}, "value"),
        ({"type": "rating", "value": 1e308}, "value"),
        ({"type": "dwell", "value": -0.1}, "value"),
        ({"type": "dwell", "value": 86_401.0}, "value"),
        ({"type": "dwell", "value": 30.0, "properties": {"scroll": 1.01}}, "properties.scroll"),
        ({"type": "dwell", "value": 30.0, "properties": {"scroll": -1}}, "properties.scroll"),
        ({"type": "dwell", "value": 30.0, "properties": {"scroll": float("nan")}}, "properties.scroll"),
    ],
)
def test_a_number_out_of_its_range_is_refused_by_the_name_of_its_field(take, noon, change, field):
    with pytest.raises(Rejection) as refused:
        take(change)
    assert refused.value.field == field
    assert accept_simple_event({**EVENT, **change}, noon, policy()) is None


@pytest.mark.parametrize(
    "change",
    [
        {"type": "rating", "value": 0},
        {"type": "rating", "value": 5.0},
        {"type": "dwell", "value": 0.0},
        {"type": "dwell", "value": 86_400},
        {"type": "dwell", "value": 1.0, "properties": {"scroll": 1}},
        {"type": "dwell", "value": 1.0, "properties": {"scroll": "to the end"}},
        {"type": "view", "properties": {"scroll": 85}},
        {"type": "purchase", "value": 129.99},
    ],
)
def test_the_ends_of_a_range_belong_to_it_and_other_types_have_none(take, change):
    assert take(change)


def test_ratings_are_on_the_scale_of_the_site(take):
    assert take({"type": "rating", "value": 9}, RatingScale(0, 10))
    with pytest.raises(Rejection, match=r"not on the scale of this site, 1\.\.10"):
        take({"type": "rating", "value": 0}, RatingScale(1, 10))


@pytest.mark.parametrize("number", ["9223372036854775808", "18446744073709551616", "98765432109876543210987"])
@pytest.mark.parametrize("sign", ["", "-"])
def test_an_integer_beyond_64_bits_is_refused_wherever_it_stands(take, noon, number, sign):
    number = f"-{int(number) + 1}" if sign else number
    for path, template in (
        ("properties.a.0", '{"type": "view", "properties": {"a": [%s]}}'),
        ("context.page", '{"type": "view", "context": {"page": %s}}'),
        ("value", '{"type": "view", "value": %s}'),
        ("item_id", '{"type": "view", "item_id": %s}'),
    ):
        with pytest.raises(Rejection) as refused:
            take(parse((template % number).encode()))
        assert refused.value.field == path
    attributes = parse(b'{"attributes": {"ean": %s}}' % number.encode())
    for validator in (
        lambda: validate.put_item("i", attributes, noon),
        lambda: validate.patch_item("i", attributes, noon),
    ):
        with pytest.raises(Rejection, match="64 bits"):
            validator()
    with pytest.raises(Rejection, match="64 bits"):
        validate.put_user("u", attributes, noon, policy())
    with pytest.raises(Rejection):
        validate.put_item("i", parse(b'{"price": %s}' % number.encode()), noon)


@given(st.integers(-(2**63), 2**63 - 1))
def test_an_integer_within_64_bits_keeps_every_digit(number):
    raw = parse(b'{"properties": {"n": %d}, "context": {"n": %d}}' % (number, number))
    noon = validate.utc(1.7e9)
    event = decode_event(validate_event({**EVENT, "type": "view", **raw}, noon, str, policy()).entry.value)
    assert (event.properties, event.context) == ({"n": number}, {"n": number})


@given(st.integers(-(10**40), 10**40), st.decimals(allow_nan=False, allow_infinity=False, places=3))
def test_json_keeps_its_numbers(whole, decimal):
    assert parse(b'[%d, %s, "%d"]' % (whole, format(decimal, "f").encode(), whole)) == [
        whole,
        float(Decimal(decimal)),
        str(whole),
    ]
