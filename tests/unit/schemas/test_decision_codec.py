"""Decision records are small, keep all that they hold, and are read by later versions."""

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.answers import DecidedItem, Decision, Reason, RecommendationRequest, SourceOutcome
from schemas.decision_codec import decode_decision, encode_decision
from schemas.errors import Undecodable

AT = datetime(2026, 11, 1, 12, tzinfo=UTC)


def decision(**fields) -> Decision:
    given = {
        "recommendation_id": "r-1",
        "route": "recommendations",
        "generated_at": AT,
        "request": RecommendationRequest(now=AT.timestamp(), user_id="ann", context={"device": "mobile"}),
        "items": [DecidedItem("a", 0.5, [Reason("ease", 0.75, "b"), Reason("popular", 0.25)])],
        "model_version": "v1",
        "aggregates_version": "1.2",
        "catalogue_version": "3.4",
        "config_id": "c",
        "variant": "default",
        "sources": {"ease": SourceOutcome("ok", 20)},
        "inputs": {"u:ann": b"\x9c\x01"},
    }
    return Decision(**given | fields)


TEXTS = st.text(max_size=8)
ITEMS = st.builds(
    DecidedItem,
    item_id=TEXTS,
    score=st.floats(allow_nan=False),
    reasons=st.lists(st.builds(Reason, source=TEXTS, share=st.floats(0, 1), item_id=st.none() | TEXTS), max_size=4),
    propensity=st.sampled_from([1.0, 0.25]),
)


@given(
    items=st.lists(ITEMS, max_size=6),
    recommendation_id=TEXTS,
    inputs=st.dictionaries(TEXTS, st.binary(max_size=40), max_size=3),
    sources=st.dictionaries(TEXTS, st.builds(SourceOutcome, outcome=TEXTS, candidates=st.integers(0, 9_999))),
    same_as=st.none() | TEXTS,
)
def test_a_record_is_read_as_it_was_written(**fields):
    assert decode_decision(encode_decision(decision(**fields))) == decision(**fields)


def test_shares_with_four_decimals_and_scores_of_32_bits_lose_nothing():
    reasons = [Reason("ease", number / 10_000) for number in range(0, 10_001, 7)]
    record = decision(items=[DecidedItem("a", 3.2850069999694824, reasons)])
    assert decode_decision(encode_decision(record)) == record


def test_a_record_of_an_earlier_version_is_json_and_is_read_as_before():
    assert decode_decision(msgspec.json.encode(decision())) == decision()


def test_a_record_of_the_first_packed_version_stays_readable():
    first = bytes.fromhex(
        "010003722d31bbc3208c2e74ed7fd673cd03f7189841169f76bcb5f35401030303cceec589797930f31b97411cbd0ce2"
        "85490b1317264d6438c202546e3f61ea44a6499074034b880c8c47587c648f704e623cb0a8ccf0c062433da3c5c67a26"
        "0b93618e9bd008cfca228d4b4bad80561d619ac378e00000"
    )
    assert decode_decision(first) == decision()


def test_the_id_can_be_searched_for_without_unpacking():
    assert b"r-1" in encode_decision(decision())


@pytest.mark.parametrize(
    "value",
    [b"", b"{", b"{}", b"nonsense", b"\x01", b"\x01\x00\x03abc", encode_decision(decision())[:-3], b"\x02\x00\x00"],
)
def test_what_is_no_record_is_refused_by_name(value):
    with pytest.raises(Undecodable, match="not a decision record"):
        decode_decision(value)
