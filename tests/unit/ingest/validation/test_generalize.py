from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.validation.generalize import _RULES, CONTACT, age_group, generalize, rules_for_events, rules_for_users

USERS = rules_for_users()
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("age", "group"),
    [(0, "under-18"), (17.9, "under-18"), (18, "18-24"), (34, "25-34"), (64, "55-64"), (65, "65+"), (130, "65+")],
)
def test_an_age_falls_into_its_band(age, group):
    assert age_group(age) == group


@pytest.mark.parametrize("age", [-1, 131, float("inf")])
def test_what_is_no_age_has_no_band(age):
    assert age_group(age) is None


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ({"Birth-Date": "2008-11-24"}, {"age_group": "under-18"}),
        ({"birthDate": "2008-11-23"}, {"age_group": "18-24"}),
        ({"birth_year": 1990}, {"age_group": "35-44"}),
        ({"dob": "last summer"}, {"age_group": None}),
        ({"age": "34"}, {"age_group": "25-34"}),
        ({"age": True}, {"age_group": None}),
        ({"postcode": "sw1a 1aa"}, {"postcode_area": "SW1"}),
        ({"plz": 8001}, {"postcode_area": "80"}),
        ({"lat": 59.3326, "lng": "18.0649"}, {"lat": 59.3, "lng": 18.1}),
        ({"lat": "north"}, {"lat": None}),
        ({"ip": "2001:db8:1:2::3"}, {"ip_network": "2001:db8:1::/48"}),
        ({"ip": "not an address"}, {"ip_network": None}),
        ({"ip": "fe80::1%eth0"}, {"ip_network": "fe80::/48"}),
        ({"E-Mail Address": "a@b.c", "phone": 5, "First Name": "Ann"}, {}),
        ({"friends": [{"name": "Bo", "age": 20}]}, {"friends": [{"age_group": "18-24"}]}),
        ({"age": 40, "birth_date": None}, {"age_group": "35-44"}),
        ({"birth_date": None, "age": 40}, {"age_group": "35-44"}),
        ({"gender": "F", "occupation": "writer"}, {"gender": "F", "occupation": "writer"}),
    ],
)
def test_what_is_personal_is_made_coarse(noon, said, kept):
    assert generalize(said, USERS, noon) == kept


def test_events_keep_names_of_things_and_lose_contacts(noon):
    assert generalize({"name": "Sale", "email": "a@b.c"}, rules_for_events(), noon) == {"name": "Sale"}


def test_a_site_can_name_more_to_leave_out(noon):
    assert generalize({"Shoe-Size": 42, "plan": "gold"}, rules_for_users(["shoe_size"]), noon) == {"plan": "gold"}


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6)
NAMES = st.sampled_from([*sorted(_RULES), *sorted(CONTACT), "plan", "age_group"]) | st.text(max_size=3)
THINGS = st.recursive(SCALARS, lambda below: st.lists(below) | st.dictionaries(NAMES, below), max_leaves=8)


@given(st.dictionaries(NAMES, THINGS, max_size=4))
def test_doing_it_twice_changes_nothing(said):
    once = generalize(said, USERS, NOON)
    assert generalize(once, USERS, NOON) == once
